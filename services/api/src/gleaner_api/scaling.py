"""How many replicas a leg's workers need: what a trigger's metadata asks for, and the figure that answers it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from gleaner_core.errors import Finding, InvalidRequest
from gleaner_repo import Backlog

LEGS = ("extraction", "refinement")
LEG, JOBS_PER_REPLICA, MAX_AGE = "leg", "jobsPerReplica", "maxAgeSeconds"

DELIVERIES_PER_JOB = 8
"""A worker sends eight times as many deliveries at once as it runs jobs (GLEANER_WEBHOOK_SLOTS, GLEANER_SLOTS)."""
MOST = 1_000_000
MOST_URGENT = 10.0
"""However long the oldest waits, what waits counts no more than this often."""


@dataclass(frozen=True, slots=True)
class Scaling:
    """What one trigger wants: the work of a leg, in jobs, shared out among replicas."""

    leg: str
    jobs_per_replica: float
    max_age: timedelta | None

    @property
    def metric(self) -> str:
        """The name of the trigger's one metric."""
        return f"gleaner-{self.leg}-jobs"

    def active(self, backlog: Backlog) -> bool:
        """Whether anything is to be done now: without, no replica is needed."""
        return self.figure(backlog) > 0

    def figure(self, backlog: Backlog) -> float:
        """The work that there is, in jobs: those that run, those that may be claimed, and on the extraction's leg,
        whose workers send them, a share for each delivery.

        What waits counts more, the longer the oldest has been waiting beyond `max_age`: a few big documents are late
        without being many. What waits for a later attempt needs nobody yet.
        """
        jobs = backlog.extraction if self.leg == "extraction" else backlog.refinement
        figure = jobs.running + jobs.claimable * self._urgency(jobs.oldest)
        if self.leg == "extraction":  # those that are being sent too: their sender may be dead
            figure += (backlog.deliveries.due + backlog.deliveries.sending) / DELIVERIES_PER_JOB
        return figure

    def _urgency(self, oldest: timedelta | None) -> float:
        if self.max_age is None or oldest is None:
            return 1.0
        return min(max(oldest / self.max_age, 1.0), MOST_URGENT)


def scaling_of(metadata: Mapping[str, str], path: str = "scalerMetadata") -> Scaling:
    """What the metadata of a trigger asks for; keys that are KEDA's own are not looked at.

    Raises InvalidRequest with all that is wrong; `path` is where the metadata stands in the request.
    """
    findings: list[Finding] = []

    def wrong(key: str, reason: str, description: str) -> None:
        findings.append(Finding(f'{path}["{key}"]', reason, description))

    def positive(key: str) -> float:
        number = _number(metadata[key])
        if 0 < number <= MOST:
            return number
        wrong(key, "NO_POSITIVE_NUMBER", f"must be a number above 0 and not above {MOST:,}")
        return 1.0

    leg = metadata.get(LEG, "")
    if leg not in LEGS:
        wrong(LEG, "UNKNOWN_LEG" if LEG in metadata else "REQUIRED", f"must be one of {', '.join(LEGS)}")
    if JOBS_PER_REPLICA not in metadata:
        wrong(JOBS_PER_REPLICA, "REQUIRED", "how many jobs, waiting and running, one replica is to have")
    jobs_per_replica = positive(JOBS_PER_REPLICA) if JOBS_PER_REPLICA in metadata else 1.0
    max_age = timedelta(seconds=positive(MAX_AGE)) if MAX_AGE in metadata else None
    if findings:
        raise InvalidRequest(findings)
    return Scaling(leg, jobs_per_replica, max_age)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
