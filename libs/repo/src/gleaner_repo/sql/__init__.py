"""The statements that are not moves: one file each, read once."""

from importlib import resources


def read(name: str) -> str:
    """The statement in `name`.sql."""
    return resources.files(__name__).joinpath(f"{name}.sql").read_text(encoding="utf-8")
