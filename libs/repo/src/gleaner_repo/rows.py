"""What the repository takes and gives: small values, no protobuf."""

import time
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from gleaner_core.errors import JobError
from gleaner_core.states import Refinement, State

NO_DELAY = timedelta(0)


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job to store. `id` is the caller's, so that a repeated submit repeats it; `digests` are its documents'."""

    id: UUID
    tenant_id: str
    fingerprint: bytes
    request: bytes
    about: bytes = b""
    request_key: str | None = None
    callback_url: str | None = None
    trace_context: str | None = None
    digests: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Submitted:
    """What became of a submit: the job that has the id or the request key, and whether this submit made it."""

    id: UUID
    fingerprint: bytes
    created_at: datetime
    created: bool


@dataclass(unsafe_hash=True, slots=True)
class Lease:
    """The right to write to a job, until it runs out or somebody else is given a higher token.

    `expires` counts on this process's monotonic clock, from before the claim or renewal was sent: it is never later
    than what the database has written.
    """

    job_id: UUID
    token: int
    expires: float = field(compare=False)

    def lapsed(self) -> bool:
        """Whether it ran out by this process's own count."""
        return time.monotonic() >= self.expires

    @property
    def left(self) -> float:
        """Seconds until it runs out by this process's own count; negative afterwards."""
        return self.expires - time.monotonic()


@dataclass(frozen=True, slots=True)
class ClaimedJob:
    """A job as it was claimed. `request` is None if it did not come with the claim: see `JobRepository.bodies`."""

    lease: Lease
    tenant_id: str
    leg: int
    series: int
    seq: int
    attempt: int
    lapses: int
    created_at: datetime
    available_at: datetime
    started_at: datetime
    trace_context: str | None
    request: bytes | None

    @property
    def id(self) -> UUID:
        """The job's id."""
        return self.lease.job_id

    @property
    def waited(self) -> timedelta:
        """How long it had been due when it was claimed, by the database's clock."""
        return self.started_at - self.available_at


@dataclass(frozen=True, slots=True)
class Bodies:
    """What a run works on. `result` and `artefact` are the extraction's, for the refinement leg."""

    request: bytes
    result: bytes | None = None
    artefact: bytes | None = None


@dataclass(frozen=True, slots=True)
class MovedJob:
    """A job right after a move."""

    id: UUID
    tenant_id: str
    state: State
    leg: int
    series: int
    seq: int
    attempt: int
    lapses: int
    hand_backs: int
    lease_token: int


@dataclass(frozen=True, slots=True)
class Job:
    """A job as it is: alive by its queue row, over by its newest outcome."""

    id: UUID
    tenant_id: str
    state: State
    refinement: Refinement | None
    leg: int
    series: int
    seq: int
    attempt: int
    lapses: int
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    available_at: datetime | None
    error: JobError | None
    reason: str | None
    request_key: str | None
    fingerprint: bytes
    about: bytes
    callback_url: str | None

    @property
    def over(self) -> bool:
        """Whether nothing more happens to it, unless somebody retries it."""
        return self.available_at is None


@dataclass(frozen=True, slots=True)
class JobFilter:
    """Which jobs to list; what is empty or None does not matter."""

    states: frozenset[State] = frozenset()
    refinements: frozenset[Refinement] = frozenset()
    created_after: datetime | None = None
    created_before: datetime | None = None
    request_key: str | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """A move of a job, as it was written with it. `event_id` is the webhook-id of what it sends; `state` is None if a
    later version wrote it, whose moves are not known here.
    """

    job_id: UUID
    seq: int
    event_id: UUID
    type: str
    leg: int
    series: int
    attempt: int
    final: bool
    at: datetime
    state: State | None
    refinement: Refinement | None
    error: JobError | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class Finished:
    """How a run ended, as its worker says: what `finish` of a leg writes. A move takes its own (`Move.told`)."""

    result: bytes | None = None
    artefact: bytes | None = None
    error: JobError | None = None
    delay: timedelta = NO_DELAY


@dataclass(frozen=True, slots=True)
class Renewal:
    """What the database said of each lease: kept, lost for good, or unknown (locked by somebody, ask again)."""

    kept: frozenset[Lease]
    lost: frozenset[Lease]
    unknown: frozenset[Lease]


@dataclass(frozen=True, slots=True)
class StaleLease:
    """A lease that ran out and was not rescued yet."""

    job_id: UUID
    token: int
    expires_at: datetime
    lapses: int


@dataclass(frozen=True, slots=True)
class StaleWait:
    """A job that was due for long and that nobody took."""

    job_id: UUID
    available_at: datetime


class Doubt(StrEnum):
    """How it stands with a move whose answer was lost."""

    MADE = "MADE"
    OPEN = "OPEN"  # the lease is still mine: try again
    LOST = "LOST"
