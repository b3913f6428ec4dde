"""A second Postgres that follows a first one, and can take its place."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from gleaner_stack.binaries import account, embedded, run
from gleaner_stack.postgres import PASSWORD, EmbeddedPostgres
from gleaner_stack.scratch import Scratch

SETTINGS = {"max_connections": "50", "shared_buffers": "32MB", "hot_standby": "on"}


@contextmanager
def standby(primary: EmbeddedPostgres) -> Iterator[EmbeddedPostgres]:
    """A hot standby of the server; promote it with SELECT pg_promote()."""
    scratch = Scratch()
    data = scratch.path / "standby"
    try:
        _base_backup(primary, data)
        with EmbeddedPostgres(data, settings=SETTINGS) as server:
            yield server
    finally:
        scratch.remove()


def _base_backup(primary: EmbeddedPostgres, data: Path) -> None:
    runner = account()
    data.mkdir(mode=0o700)
    if runner:
        for path in (data, primary.data_dir / PASSWORD):
            os.chown(path, runner.uid, runner.gid)  # else the backup cannot read what it copies
    url = urlsplit(primary.url)
    made = run(
        [
            embedded(runner) / "pg_basebackup",
            f"--dbname=postgresql://{url.netloc}/?sslmode=disable",
            f"--pgdata={data}",
            "--write-recovery-conf",
            "--checkpoint=fast",
            "--no-sync",
        ],
        runner,
    )
    if made.returncode != 0:
        raise RuntimeError(made.stderr)
