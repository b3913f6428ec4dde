"""Children of a pool: what they answer, and every way in which they end."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import uvloop

from gleaner_children import ChildLimits, ChildPool, Header
from gleaner_core.errors import ChildDied, DocumentDamaged, WorkTimeout
from support.processes import ended, is_alive

ECHO: Header = {"do": "echo"}
LIMITS = ChildLimits(memory_mb=256, timeout=timedelta(seconds=30))


def a_pool(limits: ChildLimits = LIMITS, children: int = 1) -> ChildPool:
    return ChildPool("support.odd_child", limits, work="doing odd jobs", children=children, arguments=["--odd"])


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))


@pytest.fixture
async def pool() -> AsyncIterator[ChildPool]:
    async with a_pool() as opened:
        yield opened


def pid_of_child(pool: ChildPool) -> int:
    process = pool._children[0]._process
    assert process is not None
    return process.pid


async def has_ended(pid: int) -> bool:
    return await asyncio.to_thread(ended, pid)


async def begun(pool: ChildPool, what: str) -> tuple[asyncio.Task[tuple[Header, bytes]], int]:
    """A task that asks for something without end, and the child that is at it."""
    at_it = asyncio.Event()
    task = asyncio.create_task(pool.ask({"do": what}, on_note=lambda note: at_it.set()))
    async with asyncio.timeout(10):
        await at_it.wait()
    return task, pid_of_child(pool)


async def test_children_run_before_anybody_asks(pool: ChildPool) -> None:
    pid = pid_of_child(pool)

    told, _ = await pool.ask(ECHO)

    assert told == {"pid": pid, "arguments": ["--odd"]}


async def test_bodies_come_back_whole_whatever_is_printed(pool: ChildPool) -> None:
    body = os.urandom(3 * 2**20)

    assert (await pool.ask(ECHO, body))[1] == body


async def test_a_child_stays_after_an_error_that_is_an_answer(pool: ChildPool) -> None:
    with pytest.raises(DocumentDamaged, match="refused"):
        await pool.ask({"do": "refuse"})

    await pool.ask(ECHO)
    assert pool.restarts == 0


async def test_a_bug_is_logged_without_its_text_and_its_child_replaced(
    pool: ChildPool, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(ChildDied, match="doing odd jobs failed"):
        await pool.ask({"do": "stumble"})

    [record] = [record for record in caplog.records if record.name == "gleaner_children.pool"]
    assert "KeyError" in record.getMessage() and "odd_child.py" in vars(record)["trace"]
    assert "what the document says" not in record.getMessage()
    await pool.ask(ECHO)
    assert pool.restarts == 1


async def test_a_child_that_died_idle_is_replaced_unnoticed(pool: ChildPool) -> None:
    await pool.ask(ECHO)
    pid = pid_of_child(pool)
    os.kill(pid, signal.SIGKILL)
    assert await has_ended(pid)

    await pool.ask(ECHO)
    assert pool.restarts == 1


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def test_a_child_that_takes_no_more_questions_but_lives_is_replaced_unnoticed(
    run: Callable[[Coroutine[Any, Any, None]], None],
) -> None:
    """As for the moment in which one that is killed has lost its pipes and is no zombie yet."""

    async def ask_again() -> None:
        async with a_pool() as pool:
            told, _ = await pool.ask({"do": "hang up"})
            stdin = pool._children[0]._process.stdin  # type: ignore[union-attr]
            while not stdin.is_closing():  # type: ignore[union-attr]
                await asyncio.sleep(0.01)
            assert is_alive(told["pid"])
            assert (await pool.ask(ECHO))[0]["pid"] != told["pid"]
            assert not is_alive(told["pid"])

    run(ask_again())


async def test_a_child_killed_at_its_work_is_told_and_replaced(pool: ChildPool) -> None:
    task, pid = await begun(pool, "compute")

    os.kill(pid, signal.SIGKILL)
    with pytest.raises(ChildDied, match=r"the child process died \(-9\) while doing odd jobs") as died:
        await task

    assert died.value.retryable
    await pool.ask(ECHO)
    assert pool.restarts == 1


async def test_cancelling_ends_the_work_within_a_second(pool: ChildPool) -> None:
    task, pid = await begun(pool, "compute")

    began = time.monotonic()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert time.monotonic() - began < 1
    assert not is_alive(pid)
    await pool.ask(ECHO)
    assert pool.restarts == 1


async def test_a_child_that_takes_too_much_memory_is_ended(pool: ChildPool) -> None:
    with pytest.raises(ChildDied, match="doing odd jobs took more than 256 MiB of memory"):
        await pool.ask({"do": "grow", "mb": 300, "stay_s": 30})

    await pool.ask(ECHO)


async def test_a_child_that_keeps_much_memory_is_replaced_after_its_answer(pool: ChildPool) -> None:
    worn, _ = await pool.ask({"do": "grow", "mb": 200, "stay_s": 0})

    assert (await pool.ask(ECHO))[0]["pid"] != worn["pid"]


@pytest.mark.parametrize(
    "limits",
    [
        ChildLimits(memory_mb=256, timeout=timedelta(seconds=0.5)),
        ChildLimits(memory_mb=256, timeout=timedelta(seconds=30), silence=timedelta(seconds=0.5)),
    ],
    ids=["in all", "in silence"],
)
async def test_a_child_that_takes_too_long_is_ended(limits: ChildLimits) -> None:
    async with a_pool(limits) as pool:
        with pytest.raises(WorkTimeout, match="doing odd jobs took too long"):
            await pool.ask({"do": "dawdle"})


async def test_an_answer_without_measure_is_not_read(pool: ChildPool) -> None:
    with pytest.raises(ChildDied, match="at too great a length"):
        await pool.ask({"do": "babble"})

    await pool.ask(ECHO)


async def test_children_work_side_by_side_and_others_wait_their_turn() -> None:
    async with a_pool(children=2) as pool:
        answers = await asyncio.gather(*(pool.ask(ECHO, str(i).encode()) for i in range(5)))

        assert [body for _, body in answers] == [b"0", b"1", b"2", b"3", b"4"]
        assert len({told["pid"] for told, _ in answers}) == 2
        assert pool.restarts == 0


async def test_leaving_ends_the_children() -> None:
    async with a_pool(children=2) as pool:
        answers = await asyncio.gather(pool.ask(ECHO), pool.ask(ECHO))

    assert not any(is_alive(told["pid"]) for told, _ in answers)


PARENT = """
import asyncio
from datetime import timedelta
from gleaner_children import ChildLimits, ChildPool

async def main():
    async with ChildPool("support.odd_child", ChildLimits(256, timedelta(seconds=60)), work="doing odd jobs") as pool:
        await pool.ask({"do": "compute"}, on_note=lambda _: print(pool._children[0]._process.pid, flush=True))

asyncio.run(main())
"""


async def test_a_child_at_its_work_dies_with_its_parent() -> None:
    parent = await asyncio.create_subprocess_exec(sys.executable, "-c", PARENT, stdout=asyncio.subprocess.PIPE)
    assert parent.stdout is not None
    pid = int(await parent.stdout.readline())

    parent.kill()
    await parent.wait()

    assert await has_ended(pid)
