"""How the command of a service begins and ends."""

import argparse
import asyncio
import gc
import os
import sys
from collections.abc import Awaitable, Callable
from typing import TypeVar

from pydantic import ValidationError
from pydantic_settings import BaseSettings

from gleaner_core.errors import Unavailable
from gleaner_core.version import VERSION
from gleaner_rpc.server import CannotListen
from gleaner_rpc.tls import UnfitCertificates, check_files
from gleaner_telemetry import CannotBeScraped

S = TypeVar("S", bound=BaseSettings)
_OBJECTS_BETWEEN_LOOKS = 20_000
_LONGEST_S = 315_360_000


def run_service(name: str, what: str, settings: type[S], main: Callable[[S], Awaitable[None]]) -> None:
    """Reads the settings, runs `main`, and exits: 0 after a drain, 1 if something it stands on does not answer, 2 for
    settings that do not fit."""
    parser = argparse.ArgumentParser(
        prog=name, description=f"{what} Configured by the environment alone: docs/settings.md lists every variable."
    )
    parser.add_argument("--version", action="version", version=f"{name} {VERSION}")
    parser.parse_args()
    try:
        read = read_settings(settings)
    except SettingsDoNotFit as error:
        sys.stderr.write(f"{name}: {error}\n")
        sys.exit(2)
    try:
        _run(main(read))
    except* (Unavailable, CannotListen, CannotBeScraped) as errors:
        sys.exit(f"{name}: {_first(errors)}")


class SettingsDoNotFit(Exception):
    """The environment does not say what a service needs; the text says why, line by line."""


def read_settings(settings: type[S]) -> S:
    """The settings, and the files they name can be used. Raises SettingsDoNotFit."""
    if endless := [name for name, value in os.environ.items() if _is_endless(name.upper(), value)]:
        lines = "\n".join(f"  {name}: is no number of seconds up to {_LONGEST_S:,}, ten years" for name in endless)
        raise SettingsDoNotFit(f"the settings do not fit\n{lines}")
    try:
        read = settings()
        check_files(read)
    except ValidationError as error:
        raise SettingsDoNotFit(f"the settings do not fit\n{described(error)}") from None
    except UnfitCertificates as error:
        raise SettingsDoNotFit(f"the settings do not fit\n  {error}") from None
    return read


def _is_endless(name: str, value: str) -> bool:
    if not name.startswith("GLEANER_") or not name.endswith("_S"):
        return False
    try:
        return not abs(float(value)) <= _LONGEST_S  # what is no number at all, either
    except ValueError:
        return False  # told with the rest


def described(error: ValidationError) -> str:
    """What is wrong with the settings, a line each, without their values: one may be a password."""
    lines = []
    for finding in error.errors(include_input=False, include_url=False):
        where = "_".join(str(part) for part in finding["loc"]).upper()
        message = finding["msg"].removeprefix("Value error, ")
        lines.append(f"  GLEANER_{where.removeprefix('GLEANER_')}: {message}" if where else f"  {message}")
    return "\n".join(lines)


def _first(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    error: BaseException = errors
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _run(main: Awaitable[None]) -> None:
    # A call makes hundreds of objects and hardly a cycle among them: to look for one every 700 took a twentieth of it.
    gc.set_threshold(_OBJECTS_BETWEEN_LOOKS, 20, 20)

    async def awaited() -> None:
        await main

    try:
        import uvloop
    except ImportError:
        asyncio.run(awaited())
    else:
        uvloop.run(awaited())
