"""What some tests need that only a package manager can bring: skipped with the reason, except in CI."""

import os
import shutil
from pathlib import Path
from typing import NoReturn

import pytest

PACKAGES = {
    "kubectl": "kubernetes-client",
    "spin": "spin",
    "gcc": "gcc",
    "pgbouncer": "pgbouncer",
    "promtool": "prometheus",
    "prometheus": "prometheus",
}


def program(name: str) -> Path:
    """Where the program is. Skips the test if it is not installed, or fails it where nothing may be missing."""
    found = shutil.which(name, path=os.environ["PATH"] + os.pathsep + "/usr/sbin")
    if found is None:
        missing(f"{name} is not installed (apt-get install {PACKAGES.get(name, name)})")
    return Path(found)


def postgres_15() -> Path:
    """The programs of a PostgreSQL 15."""
    folder = Path("/usr/lib/postgresql/15/bin")
    if not (folder / "postgres").exists():
        missing("PostgreSQL 15 is not installed (apt-get install postgresql-15)")
    return folder


def missing(reason: str) -> NoReturn:
    """Skips the test for the reason, or fails it where nothing may be missing."""
    if os.environ.get("GLEANER_NOTHING_MISSING"):
        pytest.fail(reason)
    pytest.skip(reason)
