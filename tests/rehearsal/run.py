"""A rehearsal from start to end: load all the time, meanwhile more and fewer replicas, and all of them replaced."""

import asyncio
import json
from collections import Counter

from rehearsal.fleet import Fleet, running
from rehearsal.load import Load
from rehearsal.plan import Plan

from gleaner_client import GleanerClient
from gleaner_core.states import Refinement, State
from gleaner_repo import Database
from gleaner_repo.moves import EVENT_NAMES

_JOBS = "SELECT request_key, state, refinement FROM job_status JOIN jobs USING (tenant_id, id, request_key)"
_MOVES = "SELECT type, count(*) AS count FROM events GROUP BY type"


async def rehearsal(plan: Plan) -> dict[str, object]:
    """The report; `failed`, `lost` and `wrong` say how it went. Written to `rehearsal.json`, too."""
    async with running(plan) as fleet:
        async with GleanerClient(fleet.target, timeout=20) as client:
            load = Load(client, plan.seed)
            wrong = await _play(plan, fleet, load)
        lost = await _lost(fleet.database, load.keys)
        moves = {EVENT_NAMES[row["type"]]: row["count"] for row in await fleet.database.fetch(_MOVES)}
    wrong += [f"a replica of {each.name} ended too late, or by itself" for each in fleet.deployments if not each.clean]
    if rescued := sum(count for move, count in moves.items() if move.endswith("rescued")):
        wrong.append(f"{rescued} leases ran out: their holders ended without handing back")
    report = _report(fleet, load, moves) | {"wrong": wrong, "failed": len(load.told.failed), "lost": len(lost)}
    report["failures"], report["losses"] = dict(Counter(load.told.failed)), lost
    (plan.out / "rehearsal.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    return report


async def _play(plan: Plan, fleet: Fleet, load: Load) -> list[str]:
    """All acts; returns what did not come about in time."""
    stop = asyncio.Event()
    wrong: list[str] = []
    async with asyncio.TaskGroup() as group:
        callers = group.create_task(load.run(plan.job_rate, plan.sync_rate, stop))
        await asyncio.sleep(plan.steady)
        for _ in range(plan.rounds):
            wrong += await _up_and_down(plan, fleet, load)
            fleet.diary("rolling restart of everything")
            await asyncio.gather(*(deployment.restart() for deployment in fleet.deployments))
        stop.set()
        await asyncio.wait({callers}, timeout=plan.patience)
        if not callers.done():
            callers.cancel()
            load.told.failed.append("callers still wait for answers")
    return wrong + await _to_zero_and_back(plan, fleet, load)


async def _up_and_down(plan: Plan, fleet: Fleet, load: Load) -> list[str]:
    """Bursts of jobs until there are more workers, however fast these are, and fewer again when it is over."""
    workers = fleet.workers.deployment
    fleet.diary(f"{plan.burst} jobs at once, again and again")
    try:
        async with asyncio.timeout(plan.patience), asyncio.TaskGroup() as group:
            # Beside the bursts: there may be fewer again by the end of the one that they came in.
            grown = group.create_task(workers.reached(lambda size: size >= plan.max_workers, 2 * plan.patience))
            while not grown.done():
                await load.burst(plan.burst)
        await workers.reached(lambda size: size < plan.max_workers, plan.patience)
    except TimeoutError:
        return [f"{plan.burst} jobs at a time came, and there were {workers.size} workers"]
    return []


async def _to_zero_and_back(plan: Plan, fleet: Fleet, load: Load) -> list[str]:
    """Nothing to do, nobody there; one job, and somebody is."""
    for scaler in (fleet.workers, fleet.bbox_workers):
        scaler.minimum = 0
    try:
        for scaler in (fleet.workers, fleet.bbox_workers):
            await scaler.deployment.reached(lambda size: size == 0, plan.patience)
        fleet.diary("asleep; one job comes")
        async with asyncio.timeout(plan.patience):
            await load.job()
    except TimeoutError:
        return ["a suite with nothing to do did not go to sleep, or did not wake up"]
    fleet.diary("it has ended")
    return []


async def _lost(database: Database, keys: set[str]) -> list[str]:
    """The jobs that were asked for and did not succeed, boxes and all, exactly once."""
    found = Counter(
        row["request_key"]
        for row in await database.fetch(_JOBS)
        if row["state"] == State.SUCCEEDED and row["refinement"] in (Refinement.SUCCEEDED, None)
    )
    return sorted(f"{key}: succeeded {found[key]} times" for key in keys | found.keys() if found[key] != 1)


def _report(fleet: Fleet, load: Load, moves: dict[str, int]) -> dict[str, object]:
    told = load.told
    return {
        "diary": fleet.diary.lines,
        "processes": {each.name: each.started for each in fleet.deployments},
        "largest_figure": {"extraction": fleet.workers.most, "refinement": fleet.bbox_workers.most},
        "scaler_calls_failed": fleet.workers.failures + fleet.bbox_workers.failures,
        "jobs": len(load.keys),
        "calls": dict(told.calls),
        "seconds": {
            call: {"p50": _quantile(seconds, 0.5), "p99": _quantile(seconds, 0.99)}
            for call, seconds in told.seconds.items()
        },
        "no_room": {"repeated": told.full, "answered_without_boxes": told.without_boxes},
        "moves": moves,
    }


def _quantile(seconds: list[float], share: float) -> float:
    return round(sorted(seconds)[min(len(seconds) - 1, int(share * len(seconds)))], 2)
