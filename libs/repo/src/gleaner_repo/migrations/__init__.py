"""The migrations: numbered files, forward-only, that the previous version of the code survives."""

from functools import cache
from importlib import resources


@cache
def migrations() -> tuple[tuple[str, str], ...]:
    """Name and text of every migration, in order."""
    files = sorted(
        (file for file in resources.files(__name__).iterdir() if file.name.endswith(".sql")),
        key=lambda file: file.name,
    )
    return tuple((file.name.removesuffix(".sql"), file.read_text(encoding="utf-8")) for file in files)


def newest_migration() -> str:
    """Name of the migration that this code needs."""
    return migrations()[-1][0]
