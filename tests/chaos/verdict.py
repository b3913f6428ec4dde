"""What the database says when all is quiet again, and whether it is what was promised."""

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from uuid import UUID

from chaos.faults import Fault, Kill
from chaos.load import Load
from chaos.readers import GROUPS, Readers
from chaos.suite import Suite

from gleaner_core.states import State
from gleaner_repo import Database, JobRepository
from gleaner_repo.moves import CALLBACK_EVENTS, EVENT_NAMES, FINAL_EVENTS
from support.history import (
    STARTS,
    Due,
    Ended,
    Handed,
    History,
    Logged,
    Parked,
    Received,
    misread,
    unfinished,
    violations,
)
from support.jobs import TENANT

_LEFT = """SELECT (SELECT count(*) FROM queue) AS jobs,
    (SELECT count(*) FROM deliveries WHERE state IN ('PENDING', 'SENDING')) AS deliveries,
    (
        SELECT count(*)
        FROM groups
        JOIN events ON (events.era, events.xid, events.id) > (groups.era, groups.xid, groups.id)
    ) AS unread"""
_LOG = """SELECT events.*, jobs.callback_url IS NOT NULL AS told
FROM events JOIN jobs ON jobs.id = events.job_id ORDER BY events.job_id, events.seq"""
_PARKED = """SELECT group_name, event_id, tries, extract(epoch FROM at)::float8 AS since,
    extract(epoch FROM parked_at)::float8 AS until
FROM parked_events"""
_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Facts:
    """What there is in the database at the end."""

    log: list[Logged]
    at: dict[tuple[str, int], float]
    outcomes: list[Ended]
    due: list[Due]
    keys: dict[str, str | None]
    parked: list[Parked]


async def quiet(database: Database, patience: float) -> dict[str, int]:
    """Waits until nothing is left to do; returns what is left all the same when patience is over."""
    give_up = time.monotonic() + patience
    while True:
        row = await database.fetchrow(_LEFT)
        assert row is not None
        if not any(row) or time.monotonic() > give_up:
            return dict(row)
        await asyncio.sleep(0.5)


async def facts(database: Database, faults: Sequence[Fault]) -> Facts:
    """Reads everything."""
    events = await database.fetch(_LOG)
    deliveries = await database.fetch("SELECT event_id, state FROM deliveries")
    outcomes = await database.fetch("SELECT job_id, seq, lease_token FROM outcomes")
    return Facts(
        log=[
            Logged(
                str(event["job_id"]),
                event["seq"],
                EVENT_NAMES[event["type"]],
                event["series"],
                EVENT_NAMES[event["type"]] in FINAL_EVENTS,
                str(event["event_id"]),
                event["told"] and EVENT_NAMES[event["type"]] in CALLBACK_EVENTS,
                (event["era"], event["xid"], event["id"]),
            )
            for event in events
        ],
        at={(str(event["job_id"]), event["seq"]): event["at"].timestamp() for event in events},
        outcomes=[Ended(str(row["job_id"]), row["seq"], row["lease_token"]) for row in outcomes],
        due=[Due(str(row["event_id"]), row["state"] == "DELIVERED") for row in deliveries],
        keys={str(row["id"]): row["request_key"] for row in await database.fetch("SELECT id, request_key FROM jobs")},
        parked=[
            Parked(row["group_name"], str(row["event_id"]), row["tries"], _unseen(faults, row["since"], row["until"]))
            for row in await database.fetch(_PARKED)
        ],
    )


def _unseen(faults: Iterable[Fault], since: float, until: float) -> int:
    """How many faults may have ended a stream between two times, with events on the way to their reader."""
    return sum(
        fault.target in ("api", "postgres") and fault.began <= until and since <= fault.ended for fault in faults
    )


async def judged(suite: Suite, history: History, load: Load, readers: Readers, found: Facts) -> list[str]:
    """Everything that is not as it was promised."""
    sent = {call.key for call in history.calls if call.key}
    ended = Counter(found.keys.values())
    return [
        *violations(history.calls, found.log, suite.receiver.received, found.outcomes, found.due),
        *unfinished(found.keys, found.log),
        *chain.from_iterable(misread(group, found.log, history.handed, found.parked) for group in GROUPS),
        *(f"{job}: nobody submitted it: doubled" for job, key in found.keys.items() if key not in sent),
        *(f"request id {key} has {count} jobs: doubled" for key, count in ended.items() if count > 1),
        *_watched(load.watched),
        *await _told(suite.database, load, found),
        *(f"a client was told {what} ({count} times)" for what, count in (load.surprises + readers.surprises).items()),
        *(f"a bug was logged by {what} ({count} times)" for what, count in suite.bugs.items()),
    ]


def _watched(watched: dict[str, list[int]]) -> Iterable[str]:
    for job, seen in watched.items():
        if seen != list(range(1, len(seen) + 1)):
            yield f"{job}: its watcher saw the moves {seen}"


async def _told(database: Database, load: Load, found: Facts) -> list[str]:
    """The public state is the log's last word, and every result can be read."""
    repository = JobRepository(database)
    last = {event.job: event for event in found.log}
    names = list(last)
    wrong: list[str] = []
    for start in range(0, len(names), _AT_ONCE):
        for job_id, job in (await repository.get(TENANT, map(UUID, names[start : start + _AT_ONCE]))).items():
            event = last[str(job_id)]
            if (job.seq, job.series, job.over) != (event.seq, event.series, event.final):
                wrong.append(f"{job_id}: shown as seq {job.seq} of series {job.series}, the log has {event}")
            elif job.state in (State.SUCCEEDED, State.PARTIAL_SUCCEEDED):
                wrong += filter(None, [await load.readable(str(job_id))])
    return wrong


def recoveries(kills: Iterable[Kill], found: Facts) -> tuple[list[float], list[float]]:
    """Seconds from the kill of a process that held a job to the job's next run: where none had died over it before, and
    where one had, for then it is under suspicion and rests first."""
    by_job: dict[str, list[Logged]] = defaultdict(list)
    for event in found.log:
        by_job[event.job].append(event)
    first: list[float] = []
    again: list[float] = []
    for kill in kills:
        for job, seq in kill.held:
            before = [event for event in by_job[job] if event.seq <= seq]
            after = [event for event in by_job[job] if event.seq > seq]
            if after and after[0].type.endswith("rescued"):  # else it ended in the moment before the kill
                rescue = after[0]
                started = next((event.seq for event in after if event.type in STARTS), None)
                if started is not None:
                    suspected = any((event.type, event.series) == (rescue.type, rescue.series) for event in before)
                    (again if suspected else first).append(found.at[job, started] - kill.at)
    return sorted(first), sorted(again)


def report(
    plan_seconds: float,
    found: Facts,
    faults: Sequence[Fault],
    kills: Sequence[Kill],
    received: Sequence[Received],
    handed: Sequence[Handed],
    wrong: Sequence[str],
) -> dict[str, object]:
    """The run in figures."""
    first, again = recoveries(kills, found)
    last = {event.job: event.type for event in found.log}
    times_received = Counter(webhook.webhook_id for webhook in received)
    return {
        "seconds": plan_seconds,
        "jobs": len(found.keys),
        "ended_by": dict(Counter(last.values()).most_common()),
        "moves": dict(Counter(event.type for event in found.log).most_common()),
        "kills": len(kills),
        "faults": dict(Counter(fault.kind for fault in faults).most_common()),
        "kills_by_service": dict(Counter(kill.target for kill in kills).most_common()),
        "jobs_held_by_the_killed": sum(len(kill.held) for kill in kills),
        "recovery_s": _spread(first),
        "recovery_of_suspects_s": _spread(again),
        "deliveries": len(found.due),
        "webhooks_received": len(received),
        "webhooks_received_again": len(received) - len(times_received),
        "events": len(found.log),
        "groups": {group.name: _reading(group.name, handed, found.parked) for group in GROUPS},
        "violations": list(wrong),
    }


def _reading(group: str, handed: Iterable[Handed], parked: Iterable[Parked]) -> dict[str, int]:
    times = Counter(one.taken for one in handed if one.group == group)
    return {
        "taken": times[True],
        "not_taken": times[False],
        "parked": sum(one.group == group for one in parked),
    }


def _spread(ordered: Sequence[float]) -> dict[str, float | None]:
    return {
        "count": len(ordered),
        "p50": _quantile(ordered, 0.5),
        "p99": _quantile(ordered, 0.99),
        "max": _quantile(ordered, 1),
    }


def _quantile(ordered: Sequence[float], share: float) -> float | None:
    return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))], 2) if ordered else None
