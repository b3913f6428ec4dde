"""How a command runs: one connection, one limit of time, and every failure an exit status."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import NoReturn

import typer

from gleaner_client import printing
from gleaner_client.channel import speaks_tls
from gleaner_client.cli.greeting import misunderstanding
from gleaner_client.client import GleanerClient
from gleaner_client.errors import GleanerError, TimedOut
from gleaner_client.exits import Exit, of_error
from gleaner_client.schema_files import SchemaError, SchemaFile, read_schema_file
from gleaner_client.tls import CertificateError, Tls

Work = Callable[[GleanerClient], Awaitable[Exit]]


def run(work: Work, *, server: str, timeout: float | None, schema: SchemaFile | None = None) -> NoReturn:
    """Do the work and exit with its status, or with its failure's."""
    tls = Tls.of(os.environ)
    try:
        status = asyncio.run(_limited(_connected(work, server, tls), timeout))
    except CertificateError as error:
        printing.note(f"error: {error}; the variables are GLEANER_TLS_CA, _CERT, _KEY and _NAME", "red")
        status = Exit.USAGE
    except GleanerError as error:
        printing.complain(error, schema.line_of if schema else None)
        if error.code.name == "UNAVAILABLE":
            printing.note(f"The server is {server}; another one is named with --server or GLEANER_SERVER.")
            if why := misunderstanding(server, tls=speaks_tls(server, tls or False)):
                printing.note(why)
        status = of_error(error)
    raise typer.Exit(status)


async def _connected(work: Work, server: str, tls: Tls | None) -> Exit:
    async with GleanerClient(server, tls=tls or False) as client:
        return await work(client)


async def _limited(work: Awaitable[Exit], limit: float | None) -> Exit:
    try:
        async with asyncio.timeout(limit):
            return await work
    except TimeoutError:
        raise TimedOut(f"gave up after {limit:g} s") from None


def the_schema(path: Path) -> SchemaFile:
    """The schema of a file, or the end of the command."""
    try:
        return read_schema_file(path)
    except SchemaError as error:
        printing.note(f"error: {error}", "red")
        raise typer.Exit(Exit.INVALID) from None
