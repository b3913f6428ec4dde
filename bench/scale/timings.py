"""Calls of two databases in turn, and the table of what each took."""

import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bench.queue.adapters.stopwatch import quantiles
from bench.scale.sides import MEASURES, Side, request_keys

Counters = dict[str, int]


@dataclass
class Taken:
    """What the calls of one measure took on one side: seconds by round, and pages and WAL of all of them."""

    rounds: list[list[float]] = field(default_factory=list)
    counted: Counters = field(default_factory=dict)
    statements: Mapping[str, None] = field(default_factory=dict)

    @property
    def seconds(self) -> list[float]:
        return [second for one in self.rounds for second in one]

    def each(self, counter: str) -> float:
        """What a call added to a counter."""
        return self.counted[counter] / len(self.seconds)


async def measure(sides: Sequence[Side], rounds: int, calls: int) -> dict[str, dict[str, Taken]]:
    """By measure and side. The sides take turns measure by measure, and change places from round to round."""
    taken = {name: {side.name: Taken() for side in sides} for name in MEASURES}
    for number in range(-1, rounds):  # one for the caches, and for plans to become generic
        for name, found in taken.items():
            for side in sides if number % 2 else reversed(sides):
                one = await _round(side, name, calls)
                if number >= 0:
                    _add(found[side.name], one)
    return taken


async def _round(side: Side, name: str, number: int) -> Taken:
    calls = await side.calls(name, number)
    before = await side.counters()
    noted, seconds = side.database.note(), []
    for call in calls:
        begun = time.perf_counter()
        await call()
        seconds.append(time.perf_counter() - begun)
    statements = dict(noted)
    after = await side.counters()
    return Taken([seconds], {name: after[name] - before[name] for name in after}, statements)


def _add(taken: Taken, one: Taken) -> None:
    taken.rounds += one.rounds
    taken.counted = {name: taken.counted.get(name, 0) + value for name, value in one.counted.items()}
    taken.statements = one.statements


def table(taken: Mapping[str, Mapping[str, Taken]], sides: Sequence[Side]) -> str:
    """One line a measure: milliseconds, how many times more, and pages a call."""
    few, many = (side.name for side in sides)
    lines = [
        f"| call | ms p50 / p99, {few} | {many} | p50s, median [quartiles] | pages, {few} | {many} | not in memory |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, found in taken.items():
        one, other = found[few], found[many]
        low, half, high = _ratios(one.rounds, other.rounds)
        lines.append(
            f"| {name} | {_times(one)} | {_times(other)} | {half:.2f} [{low:.2f} .. {high:.2f}]"
            f" | {one.each('pages'):.0f} | {other.each('pages'):.0f} | {other.each('reads'):.1f} |"
        )
    return "\n".join(lines)


def _times(taken: Taken) -> str:
    found = quantiles(taken.seconds)
    return f"{found['p50']:.2f} / {found['p99']:.1f}"


def _ratios(few: Sequence[Sequence[float]], many: Sequence[Sequence[float]]) -> tuple[float, ...]:
    ratios = [statistics.median(b) / statistics.median(a) for a, b in zip(few, many, strict=True)]
    return tuple(statistics.quantiles(ratios, n=4)) if len(ratios) > 1 else (ratios[0],) * 3


async def write_ahead(side: Side, jobs: int, keys: str) -> dict[str, float]:
    """WAL of a submit after a checkpoint, in batches of 100: bytes a job, and images of whole pages among them.

    The first change of a page after a checkpoint writes all of it. `keys`: random ones or ones in the order of time.
    """
    await side.database.fetch("CHECKPOINT")
    total: Counters = {}
    for _ in range(jobs // 100):
        batch = [await side.new_job(key) for key in request_keys(keys, 100)]
        before = await side.counters()
        await side.jobs.submit(batch)
        after = await side.counters()
        total = {name: total.get(name, 0) + after[name] - before[name] for name in after}
    return {"bytes": total["wal"] / jobs, "images": total["images"] / jobs}
