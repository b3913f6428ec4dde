"""What this package adds to the `gleaner` command (entry points `gleaner.commands`).

The command imports this at every start, whatever it is asked to do: so the rest is imported when it runs.
"""

import asyncio
import os
from pathlib import Path
from typing import Annotated

import typer

API_PORT = 50051
SAMPLES = Path("samples")
OUT = Path("out/demo")


def up(
    data: Annotated[
        Path | None,
        typer.Option(help="Where embedded Postgres keeps its data.", show_default="a directory of this user's own"),
    ] = None,
    ephemeral: Annotated[bool, typer.Option("--ephemeral", help="Throw the data away at the end.")] = False,
    database_url: Annotated[
        str | None,
        typer.Option(envvar="GLEANER_DATABASE_URL", help="Use this Postgres instead of the embedded one."),
    ] = None,
    postgres_bindir: Annotated[
        Path | None,
        typer.Option(envvar="GLEANER_POSTGRES_BINDIR", help="Run the Postgres of this directory (with initdb in it)."),
    ] = None,
    port: Annotated[int, typer.Option(help="The api's port on 127.0.0.1; 0 for a free one.")] = API_PORT,
    workers: Annotated[int, typer.Option(min=1, help="Workers to run.")] = 1,
    bbox_workers: Annotated[int, typer.Option(min=1, help="Bbox workers to run.")] = 1,
) -> None:
    """Run the whole suite on this machine until ctrl-C: Postgres, api, workers and reaper."""
    from gleaner_stack.supervisor import StackOptions
    from gleaner_stack.terminal import TerminalLog, run_stack

    if ephemeral and data:
        raise typer.BadParameter("--data keeps, --ephemeral throws away: choose one")
    options = StackOptions(
        database_url=database_url,
        data=None if ephemeral else data or default_data(),
        bindir=postgres_bindir,
        port=port,
        workers=workers,
        bbox_workers=bbox_workers,
    )
    raise typer.Exit(asyncio.run(run_stack(options, TerminalLog())))


def demo(
    samples: Annotated[Path, typer.Option(exists=True, file_okay=False, help="Where the documents are.")] = SAMPLES,
    out: Annotated[Path, typer.Option(file_okay=False, help="Where pictures and log go; made if need be.")] = OUT,
) -> None:
    """Send a real invoice and a real receipt through a suite of their own, and show what comes back (in a checkout)."""
    from gleaner_stack.demo import run_demo

    raise typer.Exit(run_demo(samples, out))


def default_data() -> Path:
    """Where data is kept if nobody says where: of root, a place that Postgres's own account can reach."""
    if os.geteuid() == 0:
        return Path("/var/lib/gleaner/postgres")
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share", "gleaner", "postgres")
