"""Embedded Postgres: it runs as anybody, keeps what it is told to keep, and leaves nothing running."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from gleaner_stack.postgres import EmbeddedPostgres, PostgresError
from support.processes import ended, is_alive, owner

FAST = {"fsync": "off"}


@pytest.fixture
def data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A directory for data that an unprivileged user can reach; pytest's own are closed to others."""
    import shutil
    import tempfile

    folder = Path(tempfile.mkdtemp(prefix="gleaner-test-"))
    folder.chmod(0o755)
    yield folder / "data"
    shutil.rmtree(folder)


async def ask(url: str, question: str) -> object:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(question)
    finally:
        await connection.close()


async def test_it_starts_with_the_given_settings_and_ends_with_the_block() -> None:
    async with EmbeddedPostgres(settings=FAST | {"work_mem": "7MB"}) as postgres:
        answer = await ask(postgres.url, "SHOW work_mem")
        pid, folder = postgres.pid, postgres.data_dir

    assert answer == "7MB"
    assert not is_alive(pid)
    assert not folder.exists()


def test_root_lends_it_to_an_unprivileged_user() -> None:
    with EmbeddedPostgres(settings=FAST) as postgres:
        uid = owner(postgres.pid)

    assert uid != 0
    assert uid == os.geteuid() or os.geteuid() == 0


async def test_two_run_side_by_side() -> None:
    async with EmbeddedPostgres(settings=FAST) as one, EmbeddedPostgres(settings=FAST) as other:
        await ask(one.url, "CREATE TABLE here ()")

        assert await ask(other.url, "SELECT to_regclass('here')") is None


async def test_kept_data_is_there_after_a_restart(data: Path) -> None:
    async with EmbeddedPostgres(data, FAST) as postgres:
        await ask(postgres.url, "CREATE TABLE kept AS SELECT 42 AS answer")
    async with EmbeddedPostgres(data, FAST) as postgres:
        assert await ask(postgres.url, "SELECT answer FROM kept") == 42


async def test_a_password_is_needed() -> None:
    async with EmbeddedPostgres(settings=FAST) as postgres:
        user, rest = postgres.url.split("//")[1].split(":", 1)
        with pytest.raises(asyncpg.InvalidPasswordError):
            await asyncpg.connect(f"postgresql://{user}:guess@{rest.split('@')[1]}")


START = """
import sys
from pathlib import Path
from gleaner_stack.postgres import EmbeddedPostgres
with EmbeddedPostgres(Path(sys.argv[1]), {"fsync": "off"}) as postgres:
    print(postgres.pid, flush=True)
    sys.stdin.read()
"""


def test_it_dies_with_its_parent_and_its_data_can_be_used_again(data: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", START, data], stdin=-1, stdout=-1, text=True) as parent:
        assert parent.stdout is not None
        server = int(parent.stdout.readline())
        parent.kill()

    assert ended(server)
    with EmbeddedPostgres(data, FAST) as postgres:  # postmaster.pid is stale or gone, the log is replayed
        assert is_alive(postgres.pid)


def test_a_second_server_over_the_same_data_is_refused(data: Path) -> None:
    with (
        EmbeddedPostgres(data, FAST),
        pytest.raises(PostgresError, match=r"postmaster\.pid"),
        EmbeddedPostgres(data, FAST),
    ):
        pass


def test_a_stale_pid_file_is_no_hindrance(data: Path) -> None:
    with EmbeddedPostgres(data, FAST) as postgres:
        os.kill(postgres.pid, signal.SIGKILL)
        assert ended(postgres.pid)
    assert (data / "postmaster.pid").exists()

    with EmbeddedPostgres(data, FAST) as postgres:
        assert is_alive(postgres.pid)


def test_an_occupied_port_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(PostgresError, match=f"port {port} .* in use"), EmbeddedPostgres(port=port):
            pass


def test_a_directory_that_cannot_be_written_is_named(data: Path) -> None:
    data.parent.chmod(0o700)  # to the unprivileged user of root, this is a folder in root's home
    if os.geteuid() != 0:
        data.mkdir(mode=0o500)

    with pytest.raises(PostgresError, match=f"cannot write {data}"), EmbeddedPostgres(data):
        pass


def test_a_folder_with_other_things_in_it_is_left_alone(data: Path) -> None:
    data.mkdir(mode=0o777)
    (data / "precious").write_text("work")
    data.chmod(0o777)

    with pytest.raises(PostgresError, match="not empty"), EmbeddedPostgres(data):
        pass
    assert [path.name for path in data.iterdir()] == ["precious"]


def test_data_of_another_version_is_refused_with_both_versions(data: Path) -> None:
    with EmbeddedPostgres(data, FAST):
        pass
    (data / "PG_VERSION").write_text("9\n")

    with pytest.raises(PostgresError, match=r"data of Postgres 9, but .* is \d+"), EmbeddedPostgres(data):
        pass


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: only root copies the programs")
def test_root_runs_a_copy_where_the_checkout_is_closed_to_others(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.util
    import shutil

    from gleaner_stack import binaries

    spec = importlib.util.find_spec(binaries.PACKAGE)
    assert spec is not None and spec.origin is not None
    installed = Path(spec.origin).parent
    home = data.parent / "home"
    home.mkdir()
    shutil.copytree(installed / binaries.INSTALL, home / binaries.PACKAGE / binaries.INSTALL, symlinks=True)
    shutil.copytree(f"{installed}.libs", home / f"{binaries.PACKAGE}.libs")
    (home / binaries.PACKAGE / "__init__.py").touch()
    home.chmod(0o700)
    monkeypatch.syspath_prepend(home)
    runner = binaries.account()

    umask = os.umask(0o077)  # what an administrator may have
    try:
        bindir = binaries.embedded(runner, cache=data.parent / "cache" / "here")
    finally:
        os.umask(umask)

    assert data.parent / "cache" in bindir.parents
    assert home.stat().st_mode & 0o777 == 0o700
    with EmbeddedPostgres(data, FAST, bindir=bindir) as postgres:
        assert owner(postgres.pid) not in (0, None)


@pytest.mark.parametrize("bindir", sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)[:1])
async def test_a_postgres_found_on_the_machine_does_as_well(bindir: Path) -> None:
    async with EmbeddedPostgres(settings=FAST, bindir=bindir) as postgres:
        assert f"PostgreSQL {bindir.parent.name}" in str(await ask(postgres.url, "SELECT version()"))
