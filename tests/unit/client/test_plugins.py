from importlib.metadata import EntryPoint
from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from gleaner_client.cli import plugins
from gleaner_client.cli.app import app as gleaner


def greet(name: Annotated[str, typer.Argument()], loud: bool = False) -> None:
    """Greet somebody."""
    typer.echo(f"hello {name}".upper() if loud else f"hello {name}")


def contradictory(what: Annotated[str, typer.Option(), typer.Argument()]) -> None:
    """Nothing can be made of this, which typer finds out late."""


class Loaded(EntryPoint):
    """An entry point of this file, which no package installs."""

    def load(self) -> object:
        return {"greet": greet, "contradictory": contradictory}[self.value]


@pytest.fixture
def app() -> typer.Typer:
    fresh = typer.Typer()

    @fresh.command()
    def get() -> None:
        typer.echo("the one that is built in")

    group = typer.Typer()
    group.command("get")(get)
    group.command("list")(get)
    fresh.add_typer(group, name="group")

    plugins.add_to(
        fresh,
        [
            EntryPoint("absent", "no_such_package:thing", plugins.GROUP),
            Loaded("get", "greet", plugins.GROUP),
            Loaded("group", "greet", plugins.GROUP),
            Loaded("greet", "greet", plugins.GROUP),
            Loaded("odd", "contradictory", plugins.GROUP),
        ],
    )
    return fresh


def test_a_plugin_is_a_command_with_its_options(app: typer.Typer) -> None:
    assert CliRunner().invoke(app, ["greet", "you", "--loud"]).output == "HELLO YOU\n"


@pytest.mark.parametrize("name", ["absent", "odd"])
def test_a_broken_plugin_says_so_and_breaks_no_other(app: typer.Typer, name: str) -> None:
    broken = CliRunner().invoke(app, [name])
    assert broken.exit_code == 1
    assert "cannot be loaded" in broken.output
    assert CliRunner().invoke(app, ["greet", "you"]).exit_code == 0
    assert "cannot be loaded" in CliRunner().invoke(app, ["--help"]).output


@pytest.mark.parametrize("name", [["get"], ["group", "get"]])
def test_a_plugin_takes_no_built_in_name(app: typer.Typer, name: list[str]) -> None:
    assert CliRunner().invoke(app, name).output == "the one that is built in\n"


def test_help_documents_the_exit_statuses() -> None:
    text = " ".join(CliRunner().invoke(gleaner, ["--help"]).output.split())
    assert "3 no such job" in text and "124 out of time" in text
