"""Files that benchmarks write."""

from pathlib import Path


def file_to_write(name: str) -> Path:
    """An argument's file, whose folder is made now: not found missing once all was measured."""
    file = Path(name)
    file.parent.mkdir(parents=True, exist_ok=True)
    return file
