"""What a test may want to know of processes that it did not necessarily start itself."""

import asyncio
import os
import select
from pathlib import Path


def is_alive(pid: int) -> bool:
    """Whether the process runs; a zombie that nobody has waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def ended(pid: int, patience: float = 10.0) -> bool:
    """Whether the process, which need not be a child, ends in time."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        # Readable once the process is over; of somebody else's child that is all that can be waited for.
        return bool(select.select([handle], [], [], patience)[0])
    finally:
        os.close(handle)


def owner(pid: int) -> int:
    """The user id that the process runs as."""
    return Path(f"/proc/{pid}").stat().st_uid


def children(pid: int, depth: int = 99) -> set[int]:
    """The descendants of a process, down to that many generations."""
    if depth == 0:
        return set()
    below = {int(child) for task in Path(f"/proc/{pid}/task").glob("*/children") for child in task.read_text().split()}
    return below.union(*(children(child, depth - 1) for child in below))


async def at_work(pid: int, cpu_s: float = 0.2, patience: float = 30.0) -> None:
    """Returns once the process has spent so much more time on a processor."""
    begun = _cpu_s(pid)
    async with asyncio.timeout(patience):
        while _cpu_s(pid) < begun + cpu_s:
            await asyncio.sleep(0.01)


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
