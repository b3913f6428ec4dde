"""What the database returns, as the values of `rows`, and what a holder tells, as the database takes it."""

import json
from collections.abc import Callable
from typing import Any

import asyncpg

from gleaner_core.errors import JobError
from gleaner_core.states import Refinement, State
from gleaner_repo import moves
from gleaner_repo.moves import Move
from gleaner_repo.rows import ClaimedJob, Event, Finished, Job, Lease, MovedJob


def moved(move: Move, row: asyncpg.Record) -> MovedJob:
    """A job right after `move`, in the row that its statement returned."""
    return MovedJob(
        id=row["id"],
        tenant_id=row["tenant_id"],
        state=move.to_state,
        leg=move.leg_after,
        series=row["series"],
        seq=row["seq"],
        attempt=row["attempt"],
        lapses=row["lapses"],
        hand_backs=row["hand_backs"],
        lease_token=row["lease_token"],
    )


def claimed(move: Move, row: asyncpg.Record, expires: float) -> ClaimedJob:
    """A job that `move` has claimed; its lease runs out at `expires` of this process's clock."""
    return ClaimedJob(
        lease=Lease(row["id"], row["lease_token"], expires),
        tenant_id=row["tenant_id"],
        leg=move.leg,
        series=row["series"],
        seq=row["seq"],
        attempt=row["attempt"],
        lapses=row["lapses"],
        created_at=row["created_at"],
        available_at=row["available_at"],
        started_at=row["started_at"],
        trace_context=row["trace_context"],
        request=row["request"],
    )


def job(row: asyncpg.Record) -> Job:
    """A job as it is, in a row of `job_status`."""
    return Job(
        id=row["id"],
        tenant_id=row["tenant_id"],
        state=State(row["state"]),
        refinement=Refinement(row["refinement"]) if row["refinement"] else None,
        leg=row["leg"],
        series=row["series"],
        seq=row["seq"],
        attempt=row["attempt"],
        lapses=row["lapses"],
        created_at=row["created_at"],
        started_at=row["started_at"],
        ended_at=row["ended_at"],
        available_at=row["available_at"],
        error=_error(row["error"]),
        reason=row["reason"],
        request_key=row["request_key"],
        fingerprint=row["fingerprint"],
        about=row["about"],
        callback_url=row["callback_url"],
    )


def event(row: asyncpg.Record) -> Event:
    """The event in a row that has all columns of one."""
    name = moves.event_name(row["type"])
    state, refinement = moves.states_after(name, row["leg"])
    told = row["body"] if state else ""  # how a later version says what it says is not known either
    cancelled = name in ("job.cancelled", "job.refinement_cancelled")
    return Event(
        job_id=row["job_id"],
        seq=row["seq"],
        event_id=row["event_id"],
        type=name,
        leg=row["leg"],
        series=row["series"],
        attempt=row["attempt"],
        final=name in moves.FINAL_EVENTS,
        at=row["at"],
        state=state,
        refinement=refinement,
        error=None if cancelled else _error(told or None),
        reason=json.loads(told)["reason"] if cancelled and told else None,
    )


TOLD: dict[str, Callable[[Finished], Any]] = {
    "delay": lambda how: how.delay,
    "error": lambda how: _as_json(how.error),
    "result": lambda how: how.result,
    "artefact": lambda how: how.artefact,
}
"""A holder's arguments besides his lease, by the columns' names (`Move.told`)."""


def _as_json(error: JobError | None) -> str | None:
    if error is None:
        return None
    return json.dumps({"reason": error.reason, "message": error.message, "retryable": error.retryable})


def _error(text: str | None) -> JobError | None:
    if text is None:
        return None
    fields = json.loads(text)
    return JobError(fields["reason"], fields["message"], fields["retryable"])
