"""The statements that are not moves: one file each, read once. And the names of all, by which telemetry knows them."""

from importlib import resources

_NAMES: dict[str, str] = {}


def read(name: str) -> str:
    """The statement in `name`.sql."""
    return named(name, resources.files(__name__).joinpath(f"{name}.sql").read_text(encoding="utf-8"))


def named(name: str, statement: str) -> str:
    """The statement, known by the name from here on."""
    _NAMES[statement] = name
    return statement


def name_of(statement: str) -> str:
    """What the statement is called; its first word if nobody has named it."""
    return _NAMES.get(statement) or statement.split(maxsplit=1)[0]
