"""Commands of other packages: entry points of the group `gleaner.commands`, each a function with typer's annotations.

They are imported at every start of the command, so a good one imports what is heavy in its body.
"""

from collections.abc import Callable, Iterable
from importlib.metadata import EntryPoint, entry_points
from typing import Any

import typer

GROUP = "gleaner.commands"


def add_to(app: typer.Typer, found: Iterable[EntryPoint] | None = None) -> None:
    """Add each plugin as a command of its name. One that cannot be loaded says so when it is called."""
    taken = {command.name or command.callback.__name__ for command in app.registered_commands if command.callback}
    taken |= {group.name for group in app.registered_groups if group.name}
    for entry in sorted(entry_points(group=GROUP) if found is None else found, key=lambda entry: entry.name):
        if entry.name not in taken:
            taken.add(entry.name)
            app.command(entry.name)(_loaded(entry))


def _loaded(entry: EntryPoint) -> Callable[..., Any]:
    try:
        function: Callable[..., Any] = entry.load()
        trial = typer.Typer()
        trial.command(entry.name)(function)
        typer.main.get_command(trial)  # typer reads annotations only here
    except Exception as error:  # whatever a plugin does wrong, the other commands must work
        return _broken(entry, error)
    return function


def _broken(entry: EntryPoint, error: Exception) -> Callable[[], None]:
    said = f"cannot be loaded from {entry.value}: {type(error).__name__}: {error}"

    def broken() -> None:
        typer.echo(f"error: the command {entry.name} {said}", err=True)
        raise typer.Exit(1)

    broken.__doc__ = f"({said})"
    return broken
