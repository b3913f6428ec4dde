"""Jobs: each method is one statement, each move guarded by state and by token, tenant or due time."""

import math
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg

from gleaner_core.errors import DocumentGone, JobError
from gleaner_core.states import Refinement, State
from gleaner_repo import moves, records, sql
from gleaner_repo.moves import EXTRACTION, MOVES, REFINEMENT
from gleaner_repo.pool import Database
from gleaner_repo.rows import (
    Bodies,
    ClaimedJob,
    Doubt,
    Event,
    Finished,
    Job,
    JobFilter,
    Lease,
    MovedJob,
    NewJob,
    Renewal,
    StaleLease,
    StaleWait,
    Submitted,
)

FREE_HAND_BACKS = 20
MAX_LAPSES = 3
CAREFUL_S = 60.0
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NEWEST = UUID(int=2**128 - 1)
OLDEST = UUID(int=0)
ID_MARGIN = timedelta(hours=1)
"""How far the time in a job's id, of the clock of whoever made it, is from the database's at most, where it matters."""

_HEADS = {
    moves.DUE: moves.offered,
    moves.SUSPECT: moves.offered,
    moves.HOLDER: moves.held,
    moves.PATIENT_HOLDER: moves.held,
    moves.LAST_HOLDER: moves.ended_by_holder,
    moves.TENANT: moves.owned,
    moves.LAPSED: moves.lapsed,
    moves.WORN_OUT: moves.lapsed,
    moves.OVER: moves.ended,
    moves.REFINEMENT_OVER: moves.ended,
}
STATEMENTS: Mapping[str, str] = {name: sql.named(name, _HEADS[move.guard](move)) for name, move in MOVES.items()}
"""The statement of each move."""

_SUBMIT_ANY = sql.read("submit")
SUBMIT_NEW = sql.named("submit", _SUBMIT_ANY.replace("    ON CONFLICT DO NOTHING\n", ""))
_FIND_SUBMITTED = sql.read("find_submitted")
_DELETE = sql.read("delete_job")
_RENEW = sql.read("renew")
_HELD_BY = sql.read("held_by")
_LEASE_OF = sql.read("lease_of")
_BODIES = sql.read("bodies")
_GET = sql.read("get_job")
_GET_RESULT = sql.read("get_result")
_LIST = sql.read("list_jobs")
_LIST_RARE = sql.read("list_jobs_in_rare_states")
_LIST_KEYED = sql.read("list_job_of_key")
_EVENTS_OF = sql.read("events_of")
_STALE_LEASES = sql.read("stale_running")
_STALE_WAITS = sql.read("stale_waiting")
_SUSPECTS_DUE = sql.read("suspects_due")

_STATES_OF = {
    Refinement.PENDING: State.PARTIAL_SUCCEEDED,
    Refinement.RUNNING: State.REFINING_BBOXES,
    Refinement.SUCCEEDED: State.SUCCEEDED,
    Refinement.FAILED: State.PARTIAL_SUCCEEDED,
    Refinement.CANCELLED: State.PARTIAL_SUCCEEDED,
}


class JobRepository:
    """The jobs of all tenants. Every method raises Unavailable if the database did not answer; whether its statement
    was carried out is then unknown."""

    def __init__(self, database: Database, *, max_lapses: int = MAX_LAPSES) -> None:
        self._database = database
        self._max_lapses = max_lapses
        self._careful_until = -math.inf

    # What clients do.

    async def submit(self, jobs: Sequence[NewJob]) -> list[Submitted]:
        """Stores jobs that are not there yet, by id or request key, and tells of each which job has it now.

        Safe to repeat with the same jobs. Raises DocumentGone, and stores none, if one of the documents is not there.

        Trusts that they are new, until one is not: then the statement has failed, and for a minute each row is looked
        for before it is stored, which takes a fifth longer. Where requests are repeated all the time, one batch a
        minute is sent twice.
        """
        columns = _columns(jobs)
        while True:
            careful = time.monotonic() < self._careful_until
            try:
                rows = await self._database.fetch(_SUBMIT_ANY if careful else SUBMIT_NEW, *columns)
            except asyncpg.UniqueViolationError:
                if not careful:
                    self._careful_until = time.monotonic() + CAREFUL_S
                elif len(jobs) > 1:
                    raise
                elif before := await self._submitted_before(jobs[0]):
                    return [before]
                continue
            except asyncpg.ForeignKeyViolationError as error:
                raise DocumentGone("the bytes are not stored; send them again") from error
            created = {row["id"]: row["created_at"] for row in rows}
            known = [job for job in jobs if job.id not in created]
            found = await self._find_submitted(known) if known else {}
            if all(job.id in created or job.id in found for job in jobs):
                return [
                    Submitted(job.id, job.fingerprint, created[job.id], True) if job.id in created else found[job.id]
                    for job in jobs
                ]
            # Gone between the two statements, by deletion: insert once more.

    async def mark_cancelled(
        self, tenant_id: str, job_id: UUID, *, running: bool = False, reason: str = ""
    ) -> MovedJob | None:
        """QUEUED (with `running`: or RUNNING) -> CANCELLED; else ends the refinement and keeps the result.

        Returns None if the job was in no state that can be cancelled so: read it to know why. In this order no job is
        missed, for within a series none returns from the second pair of states to the first.
        """
        pair = (
            ("cancel_even_running", "cancel_bbox_refine_even_running")
            if running
            else ("mark_cancelled", "cancel_bbox_refine")
        )
        for move in pair:
            if rows := await self._database.fetch(STATEMENTS[move], [job_id], tenant_id, reason):
                return records.moved(MOVES[move], rows[0])
        return None

    async def retry(self, tenant_id: str, job_id: UUID, series: int | None = None) -> MovedJob | None:
        """FAILED or CANCELLED -> QUEUED, refinement FAILED or CANCELLED -> PARTIAL_SUCCEEDED: the next series.

        With `series` only after that one: then it is safe to repeat. Returns None if the job is alive, succeeded, or
        somebody else was faster.
        """
        for move in ("retry_job", "retry_bbox_refine"):
            try:
                rows = await self._database.fetch(STATEMENTS[move], [job_id], tenant_id, series)
            except asyncpg.UniqueViolationError:  # decided on a snapshot from before another retry
                return None
            if rows:
                return records.moved(MOVES[move], rows[0])
        return None

    async def delete(self, tenant_id: str, job_id: UUID) -> bool:
        """Removes a job that is over, with request and results; its events stay, without what they said.

        Documents that no other job refers to are doomed. Returns False if the job is alive or is not there.
        """
        try:
            return bool(await self._database.fetch(_DELETE, tenant_id, job_id))
        except asyncpg.ForeignKeyViolationError:  # decided on a snapshot from before it was retried
            return False

    async def get(self, tenant_id: str, job_ids: Iterable[UUID]) -> dict[UUID, Job]:
        """The jobs as they are; what the tenant does not have is missing."""
        return {row["id"]: records.job(row) for row in await self._database.fetch(_GET, tenant_id, list(job_ids))}

    async def result(self, tenant_id: str, job_id: UUID) -> bytes | None:
        """The newest result of a job, None if there is none."""
        row = await self._database.fetchrow(_GET_RESULT, tenant_id, job_id)
        return None if row is None else row["result"]

    async def list_page(self, tenant_id: str, only: JobFilter, *, below: UUID = NEWEST, limit: int = 50) -> list[Job]:
        """Up to `limit` jobs with ids below `below`, newest first.

        Costs what it returns, whatever else there is; but for `states` with SUCCEEDED, or none, it passes all jobs
        that are in other states or whose refinements are others, until it has enough.
        """
        states = only.states or frozenset(_STATES_OF[refinement] for refinement in only.refinements)
        rare = states and State.SUCCEEDED not in states
        arguments: list[Any] = [
            tenant_id,
            min(below, _id_near(only.created_before, ID_MARGIN)) if only.created_before else below,
            only.created_after,
            only.created_before,
            [str(refinement) for refinement in only.refinements] or None,
            limit,
            [str(state) for state in states] or None,
            _id_near(only.created_after, -ID_MARGIN) if only.created_after else OLDEST,
        ]
        if only.request_key is not None:
            rows = await self._database.fetch(_LIST_KEYED, *arguments, only.request_key)
        else:
            rows = await self._database.fetch(_LIST_RARE if rare else _LIST, *arguments)
        return [records.job(row) for row in rows]

    async def events_of(self, after: Mapping[UUID, int]) -> list[Event]:
        """The events of jobs after a seq each, ordered by job and seq; at most 1,000 a job."""
        rows = await self._database.fetch(_EVENTS_OF, list(after), list(after.values()))
        return [records.event(row) for row in rows]

    # What a worker does, on the extraction's leg.

    async def mark_running(self, limit: int, lease: timedelta, holder: UUID) -> list[ClaimedJob]:
        """QUEUED -> RUNNING for up to `limit` due jobs, oldest first: one winner each of any number."""
        return await self.claim("mark_running", limit, lease, holder)

    async def mark_suspect_running(self, lease: timedelta, holder: UUID) -> list[ClaimedJob]:
        """QUEUED -> RUNNING for one job that lost leases before: run it alone."""
        return await self.claim("mark_suspect_running", 1, lease, holder)

    async def mark_succeeded(self, lease: Lease, result: bytes) -> MovedJob | None:
        """RUNNING -> SUCCEEDED. Returns None if the lease is lost: throw the result away and stop."""
        return await self.finish("mark_succeeded", lease, Finished(result=result))

    async def mark_partial_succeeded(self, lease: Lease, result: bytes, artefact: bytes) -> MovedJob | None:
        """RUNNING -> PARTIAL_SUCCEEDED: the result can be read at once, the boxes are the next leg's."""
        return await self.finish("mark_partial_succeeded", lease, Finished(result=result, artefact=artefact))

    async def mark_failed(self, lease: Lease, error: JobError) -> MovedJob | None:
        """RUNNING -> FAILED, for good. Returns None if the lease is lost."""
        return await self.finish("mark_failed", lease, Finished(error=error))

    async def requeue_for_retry(self, lease: Lease, error: JobError, delay: timedelta) -> MovedJob | None:
        """RUNNING -> QUEUED, to be taken again after `delay`. Returns None if the lease is lost, or cancelled."""
        return await self.finish("requeue_for_retry", lease, Finished(error=error, delay=delay))

    async def hand_back(self, lease: Lease) -> MovedJob | None:
        """RUNNING -> QUEUED, at once and without counting the attempt.

        Returns None if the lease is lost, or if the job was handed back too often: then the lease runs out and ends it.
        """
        return await self.finish("hand_back", lease, Finished())

    # What a worker does, on the refinement's leg.

    async def mark_bbox_refining(self, limit: int, lease: timedelta, holder: UUID) -> list[ClaimedJob]:
        """PARTIAL_SUCCEEDED -> REFINING_BBOXES for up to `limit` due jobs, oldest first."""
        return await self.claim("mark_bbox_refining", limit, lease, holder)

    async def mark_suspect_bbox_refining(self, lease: timedelta, holder: UUID) -> list[ClaimedJob]:
        """PARTIAL_SUCCEEDED -> REFINING_BBOXES for one job that lost leases before: run it alone."""
        return await self.claim("mark_suspect_bbox_refining", 1, lease, holder)

    async def mark_bbox_refined(self, lease: Lease, result: bytes) -> MovedJob | None:
        """REFINING_BBOXES -> SUCCEEDED, with the boxes. Returns None if the lease is lost."""
        return await self.finish("mark_bbox_refined", lease, Finished(result=result))

    async def mark_bbox_refine_failed(self, lease: Lease, error: JobError) -> MovedJob | None:
        """REFINING_BBOXES -> PARTIAL_SUCCEEDED for good: the extraction's result stays readable."""
        return await self.finish("mark_bbox_refine_failed", lease, Finished(error=error))

    async def requeue_bbox_refine(self, lease: Lease, error: JobError, delay: timedelta) -> MovedJob | None:
        """REFINING_BBOXES -> PARTIAL_SUCCEEDED, to be taken again after `delay`."""
        return await self.finish("requeue_bbox_refine", lease, Finished(error=error, delay=delay))

    async def hand_back_bbox_refine(self, lease: Lease) -> MovedJob | None:
        """REFINING_BBOXES -> PARTIAL_SUCCEEDED, as `hand_back`."""
        return await self.finish("hand_back_bbox_refine", lease, Finished())

    # What both legs share.

    async def claim(
        self, move: str, limit: int, lease: timedelta, holder: UUID, low: datetime = EPOCH
    ) -> list[ClaimedJob]:
        """Makes one of the claiming moves for up to `limit` due jobs, oldest first, due since `low` or later."""
        sent = time.monotonic()
        rows = await self._database.fetch(STATEMENTS[move], limit, lease, MOVES[move].leg, holder, low)
        claimed = [records.claimed(MOVES[move], row, sent + lease.total_seconds()) for row in rows]
        return sorted(claimed, key=lambda job: job.available_at)

    async def bodies(self, job: ClaimedJob) -> Bodies | None:
        """What a run of the job works on; None if the job was cancelled, and deleted, since it was claimed.

        Asks the database for what did not come with the claim, by a statement that holds nothing: see `moves.offered`.
        """
        if job.request is not None:
            return Bodies(job.request)
        row = await self._database.fetchrow(_BODIES, job.tenant_id, job.id)
        return None if row is None else Bodies(row["request"], row["result"], row["artefact"])

    async def finish(self, move: str, lease: Lease, how: Finished) -> MovedJob | None:
        """Makes one of a holder's moves. Returns None if the lease is lost; safe to repeat (see `doubt`)."""
        return (await self.finish_many(move, [(lease, how)])).get(lease)

    async def finish_many(self, move: str, ends: Sequence[tuple[Lease, Finished]]) -> dict[Lease, MovedJob]:
        """Makes one of a holder's moves for many leases; what is lost is missing."""
        asked = {(lease.job_id, lease.token): (lease, how) for lease, how in ends}
        arguments: list[Any] = [
            [lease.job_id for lease, _ in asked.values()],
            [lease.token for lease, _ in asked.values()],
            *([records.TOLD[name](how) for _, how in asked.values()] for name in MOVES[move].told),
        ]
        if MOVES[move].guard is moves.PATIENT_HOLDER:
            arguments += [FREE_HAND_BACKS, self._max_lapses]
        rows = await self._database.fetch(STATEMENTS[move], *arguments)
        return {asked[row["id"], row["lease_token"]][0]: records.moved(MOVES[move], row) for row in rows}

    async def renew(self, leases: Iterable[Lease], lease: timedelta) -> Renewal:
        """Writes the leases' new end and counts it from before the statement was sent."""
        asked = {(held.job_id, held.token): held for held in leases}
        sent = time.monotonic()
        # A connection may be dead without a word: within a third of the lease, so that there is time to ask on another.
        rows = await self._database.fetch(
            _RENEW,
            [key[0] for key in asked],
            [key[1] for key in asked],
            lease,
            within=lease.total_seconds() / 3,
        )
        answers: dict[str, set[Lease]] = {"kept": set(), "lost": set(), "unknown": set()}
        for row in rows:
            held = asked[row["id"], row["lease_token"]]
            answers[row["answer"]].add(held)
            if row["answer"] == "kept":
                held.expires = sent + lease.total_seconds()
        return Renewal(*(frozenset(answers[answer]) for answer in ("kept", "lost", "unknown")))

    async def held_by(self, holder: UUID, leg: int) -> set[Lease]:
        """What the database says a holder has, with no time left on this process's count."""
        rows = await self._database.fetch(_HELD_BY, holder, leg)
        return {Lease(row["id"], row["lease_token"], expires=time.monotonic()) for row in rows}

    async def suspects_due(self, leg: int) -> int:
        """Whether a job waits that must be run alone: 0, or how many workers are at work meanwhile, at least 1."""
        row = await self._database.fetchrow(_SUSPECTS_DUE, leg)
        assert row is not None
        return int(row["workers"])

    async def doubt(self, move: str, lease: Lease) -> Doubt:
        """How it stands with a holder's move whose answer was lost: MADE by me, still OPEN, or the lease LOST."""
        step = MOVES[move]
        row = await self._database.fetchrow(_LEASE_OF, lease.job_id, lease.token, step.to_state, step.refinement)
        assert row is not None
        if row["ended"] and (step.ends or step.stamps is moves.NEXT_LEG):
            return Doubt.MADE
        if row["lease_token"] != lease.token:
            return Doubt.LOST
        if not row["ready"]:
            return Doubt.OPEN
        return Doubt.MADE if row["state"] == step.to_state else Doubt.LOST

    # What finds and mends orphans.

    async def rescue(
        self,
        *,
        limit: int = 100,
        base: timedelta = timedelta(seconds=5),
        cap: timedelta = timedelta(seconds=300),
        seen: Sequence[StaleLease] | None = None,
    ) -> dict[str, list[MovedJob]]:
        """Takes lapsed leases back on both legs, or ends the leg if its lapses are used up; by move.

        With `seen` only those leases, if they are unchanged since.
        """
        only: list[Any] = [None, None, None]
        if seen is not None:
            only = [[s.job_id for s in seen], [s.token for s in seen], [s.expires_at for s in seen]]
        made = {}
        for move in ("rescue", "fail_crashed", "rescue_bbox_refine", "fail_crashed_bbox_refine"):
            backoff = [] if MOVES[move].ends else [base, cap]
            rows = await self._database.fetch(STATEMENTS[move], limit, self._max_lapses, *only, *backoff)
            made[move] = [records.moved(MOVES[move], row) for row in rows]
        return made

    async def find_stale_running(self, limit: int = 1000) -> list[StaleLease]:
        """Leases of the extraction's leg that ran out."""
        return await self._stale_leases(EXTRACTION, limit)

    async def find_stale_refining(self, limit: int = 1000) -> list[StaleLease]:
        """Leases of the refinement's leg that ran out."""
        return await self._stale_leases(REFINEMENT, limit)

    async def find_stale_queued(self, threshold: timedelta, limit: int = 1000) -> list[StaleWait]:
        """Jobs that were due to be extracted for longer than `threshold`."""
        return await self._stale_waits(EXTRACTION, threshold, limit)

    async def find_pending_refinement(self, threshold: timedelta, limit: int = 1000) -> list[StaleWait]:
        """Jobs whose refinement was due for longer than `threshold`."""
        return await self._stale_waits(REFINEMENT, threshold, limit)

    async def _stale_leases(self, leg: int, limit: int) -> list[StaleLease]:
        rows = await self._database.fetch(_STALE_LEASES, leg, limit)
        return [StaleLease(row["id"], row["lease_token"], row["lease_expires_at"], row["lapses"]) for row in rows]

    async def _stale_waits(self, leg: int, threshold: timedelta, limit: int) -> list[StaleWait]:
        rows = await self._database.fetch(_STALE_WAITS, leg, threshold, limit)
        return [StaleWait(row["id"], row["available_at"]) for row in rows]

    async def _submitted_before(self, job: NewJob) -> Submitted | None:
        """What became of a submit that was carried out, whose job is over and deleted: only its events are there.

        It is the one that made the job: were it asked for once more, all would be done twice.
        """
        events = await self.events_of({job.id: 0})
        return Submitted(job.id, job.fingerprint, events[0].at, created=True) if events else None

    async def _find_submitted(self, jobs: Sequence[NewJob]) -> dict[UUID, Submitted]:
        rows = await self._database.fetch(
            _FIND_SUBMITTED,
            [job.id for job in jobs],
            [job.tenant_id for job in jobs],
            [job.request_key for job in jobs],
        )
        # A repeated submit finds its own job by id: then it is the one that made it.
        return {
            row["asked"]: Submitted(row["id"], row["fingerprint"], row["created_at"], row["asked"] == row["id"])
            for row in rows
        }


def _columns(jobs: Sequence[NewJob]) -> tuple[list[Any], ...]:
    """The arguments of a submit: in one order, whoever sends them, so that no two wait for each other."""
    jobs = sorted(jobs, key=lambda job: (job.tenant_id, job.request_key or "", job.id.int))
    links = [(job.id, digest) for job in jobs for digest in job.digests]
    return (
        [job.id for job in jobs],
        [job.tenant_id for job in jobs],
        [job.request_key for job in jobs],
        [job.fingerprint for job in jobs],
        [job.request for job in jobs],
        [job.about for job in jobs],
        [job.callback_url for job in jobs],
        [job.trace_context for job in jobs],
        [job_id for job_id, _ in links],
        [digest for _, digest in links],
    )


def _id_near(at: datetime, after: timedelta) -> UUID:
    """The first UUIDv7 of a moment `after` another, which may be the first or last that there is."""
    milliseconds = int((at.timestamp() + after.total_seconds()) * 1000)
    return UUID(int=min(max(milliseconds, 0), 2**48 - 1) << 80)
