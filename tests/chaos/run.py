"""A chaos run from start to end: load and faults for a while, then quiet, then the verdict."""

import asyncio
import json
import random

from chaos import verdict
from chaos.faults import Faults
from chaos.load import Load
from chaos.plan import Plan
from chaos.readers import Readers
from chaos.suite import Suite, running

from gleaner_client import GleanerClient
from gleaner_repo import JobRepository
from support.history import History, lost_and_doubled


async def chaos(plan: Plan) -> dict[str, object]:
    """The report of a run; `lost`, `doubled` and `violations` say how it went. Written to `chaos.json`, too."""
    history_path = plan.out / "chaos.history"
    history_path.unlink(missing_ok=True)
    history = History(history_path)
    async with (
        asyncio.timeout(plan.seconds + plan.drain + 180),
        running(plan) as suite,
        GleanerClient(suite.stack.api_address, timeout=10) as client,
    ):
        load = Load(client, JobRepository(suite.database), history, suite.receiver.url, plan.seed)
        readers = Readers(suite, history, plan)
        faults = Faults(suite, plan, random.Random(plan.seed))
        unserved = await _fire(plan, suite, load, readers, faults)
        await readers.write_down_sink()
        found = await verdict.facts(suite.database, faults.log)
        wrong = unserved + await verdict.judged(suite, history, load, readers, found)
    told = verdict.report(plan.seconds, found, faults.log, faults.kills, suite.receiver.received, history.handed, wrong)
    told["seed"] = plan.seed
    told["calls"], told["unanswered"] = len(history.calls), sum(call.ended is None for call in history.calls)
    told["lost"], told["doubled"] = lost_and_doubled(wrong)
    (plan.out / "chaos.json").write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
    return told


async def _fire(plan: Plan, suite: Suite, load: Load, readers: Readers, faults: Faults) -> list[str]:
    """Load, readers and faults, then nothing but readers; returns what did not come to its end in time."""
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        clients = group.create_task(load.run(plan.rate, stop))
        reading = group.create_task(readers.run(stop))
        breaking = group.create_task(faults.run(stop))
        await asyncio.sleep(plan.seconds)
        stop.set()
        await breaking
        await asyncio.wait({clients}, timeout=plan.drain)
        left = await verdict.quiet(suite.database, plan.drain)
        reading.cancel()
        if not clients.done():
            clients.cancel()
            return [f"clients still wait for answers: {left}"]
    return [f"{count} {what} were never done with" for what, count in left.items() if count]
