"""The supervisor: it starts everything, keeps it running, and leaves nothing behind, however it ends itself."""

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator

import pytest

from gleaner_stack.processes import StackError
from gleaner_stack.supervisor import Stack, StackOptions
from support import stand_in_service
from support.log_lines import LogLines
from support.processes import children, ended, is_alive

STAND_IN = [sys.executable, str(stand_in_service.__file__)]
KINDS = ("api", "worker", "bbox-worker", "reaper")
STAND_INS = {"migrate": ["/bin/echo", "nothing to migrate"], **dict.fromkeys(KINDS, STAND_IN)}
ELSEWHERE = "postgresql://nobody@127.0.0.1:1/none"  # no stand-in asks it


@pytest.fixture
def log() -> LogLines:
    return LogLines()


def options(**changes: object) -> StackOptions:
    return StackOptions(**({"database_url": ELSEWHERE, "commands": STAND_INS, "grace": 5.0} | changes))  # type: ignore[arg-type]


async def test_every_service_serves_inside_the_block_and_none_runs_after_it(log: LogLines) -> None:
    async with Stack(options(workers=2), log) as stack:
        pids = [process.pid for process in stack.processes.values()]

    assert sorted(stack.processes) == ["api", "bbox-worker-1", "reaper-1", "worker-1", "worker-2"]
    assert not any(map(is_alive, pids))
    assert stack.clean
    assert log.lines.index("api: stand-in: ended") < log.lines.index("worker-1: stand-in: ended")


async def test_services_learn_each_others_addresses(log: LogLines) -> None:
    show = ["/bin/sh", "-c", 'echo "$GLEANER_WORKER_ADDRESSES" "$GLEANER_DATABASE_URL"; exec sleep 600']
    async with Stack(options(workers=2, commands=STAND_INS | {"reaper": show}), log) as stack:
        workers = ",".join(str(stack.processes[name].service.address) for name in ("worker-1", "worker-2"))
        await log.wait_for(f"reaper-1: {workers} {ELSEWHERE}")


async def test_a_service_that_dies_is_started_again_at_the_same_address(log: LogLines) -> None:
    async with Stack(options(), log) as stack:
        address = stack.processes["worker-1"].service.address
        killed = stack.kill("worker-1")
        await log.wait_for("worker-1: was ended by SIGKILL; starting it again in 0.5 s")
        await stack.serving()

        assert stack.processes["worker-1"].pid != killed
        assert stack.processes["worker-1"].service.address == address
        assert stack.processes["worker-1"].starts == 2


@pytest.mark.parametrize("behaviour", ["", "deaf"])
async def test_who_ignores_the_end_is_killed_and_so_are_orphans(log: LogLines, behaviour: str) -> None:
    environment = {"STAND_IN": behaviour, "STAND_IN_CHILD": "1"}
    async with Stack(options(environment=environment, grace=0.2 if behaviour else 5.0), log) as stack:
        pids = [process.pid for process in stack.processes.values()]
        await log.wait_for("reaper-1: stand-in: up")
        orphans = {child for pid in pids for child in children(pid)}

    assert len(orphans) == len(pids)
    assert all(map(ended, orphans.union(pids)))
    assert stack.clean == (behaviour != "deaf")


async def test_a_service_that_cannot_start_ends_the_stack_with_its_name(log: LogLines) -> None:
    broken = {"STAND_IN": "broken"}
    with pytest.raises(StackError, match="ends again and again"):
        async with Stack(options(environment=broken), log):
            pass
    assert "api: stand-in: broken" in log.lines


async def test_a_taken_port_is_refused_before_anything_starts(log: LogLines) -> None:
    async with Stack(options(), log) as first:
        port = int(first.api_address.rpartition(":")[2])
        with pytest.raises(StackError, match=f"port {port} .* in use"):
            async with Stack(options(port=port), log):
                pass


async def test_a_failed_migration_ends_the_stack(log: LogLines) -> None:
    with pytest.raises(StackError, match="up to date"):
        async with Stack(options(commands=STAND_INS | {"migrate": ["/bin/false"]}), log):
            pass


async def test_a_long_line_does_not_end_the_log(log: LogLines) -> None:
    talk = ["/bin/sh", "-c", "head -c 300000 /dev/zero | tr '\\0' x; echo; echo still here; exec sleep 600"]
    async with Stack(options(commands=STAND_INS | {"reaper": talk}), log):
        await log.wait_for("reaper-1: still here")


async def test_its_own_postgres_is_started_again_after_a_crash(log: LogLines) -> None:
    async with Stack(options(database_url=None, postgres_settings={"fsync": "off"}), log) as stack:
        assert stack.postgres is not None
        before, url = stack.postgres.pid, stack.postgres.url
        stack.postgres.kill()
        await log.wait_for("postgres: ready again")

        assert stack.postgres.pid != before
        assert stack.postgres.url == url


COMMAND = """
import asyncio, json, sys
from gleaner_stack.supervisor import StackOptions
from gleaner_stack.terminal import TerminalLog, run_stack
sys.exit(asyncio.run(run_stack(StackOptions(commands=json.loads(sys.argv[1]), grace=5), TerminalLog())))
"""


@pytest.fixture
async def command() -> AsyncIterator[Process]:
    """A supervisor as a process of its own, with a Postgres and stand-ins, ready."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", COMMAND, json.dumps(STAND_INS), stdout=PIPE, start_new_session=True
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(30):
            while b"ready: 127.0.0.1" not in await process.stdout.readline():
                assert not process.stdout.at_eof()
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_ends_everything_with_status_0(command: Process, number: signal.Signals) -> None:
    services = children(command.pid, depth=1)
    command.send_signal(number)
    await asyncio.wait_for(command.communicate(), 20)

    assert command.returncode == 0
    assert len(services) == 5  # Postgres and four services
    assert all(ended(pid) for pid in services)


async def test_ctrl_c_at_the_terminal_is_the_supervisors_alone(command: Process) -> None:
    os.killpg(command.pid, signal.SIGINT)  # as a terminal does, to the whole foreground group
    output, _ = await asyncio.wait_for(command.communicate(), 20)

    assert command.returncode == 0
    assert output.count(b"stand-in: ended") == 4


async def test_kill_9_of_the_supervisor_leaves_no_service_and_no_postgres(command: Process) -> None:
    services = children(command.pid, depth=1)
    command.kill()
    await command.wait()

    assert len(services) == 5
    assert all(ended(pid) for pid in services)
