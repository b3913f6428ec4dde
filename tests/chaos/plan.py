"""What a chaos run is told."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How long, how hard, with what. All times are seconds; `lease` 0 leaves the suite's own defaults; with a
    `trouble_every` of hours there is nothing but kills.
    """

    seconds: float = 300.0
    lease: float = 3.0
    rate: float = 2.0
    workers: int = 3
    bbox_workers: int = 2
    reapers: int = 2
    kill_every: float = 6.0
    only_workers: bool = False
    pgbouncer: bool = False
    trouble_every: float = 12.0
    drain: float = 180.0
    seed: int = 0
    out: Path = Path("out")

    @property
    def longest_lease(self) -> float:
        """The lease that the workers have."""
        return self.lease or 15.0

    @property
    def environment(self) -> dict[str, str]:
        """Settings of the services."""
        hasty = {
            "GLEANER_JOB_RUN_LEASE_S": f"{self.lease:g}",
            "GLEANER_BBOX_REFINE_LEASE_S": f"{self.lease:g}",
            "GLEANER_HEARTBEAT_S": f"{self.lease / 3:g}",
            "GLEANER_POLL_MAX_S": f"{min(self.lease / 3, 2):g}",
            "GLEANER_RESCUE_INTERVAL_S": "0.5",
            "GLEANER_RETRY_BASE_DELAY_S": "0.5",
            "GLEANER_RETRY_MAX_DELAY_S": "5",
            "GLEANER_DATABASE_TIMEOUT_S": f"{self.lease:g}",
            "GLEANER_QUEUED_ORPHAN_THRESHOLD_S": "5",
            "GLEANER_PARTIAL_SUCCEEDED_ORPHAN_THRESHOLD_S": "5",
            "GLEANER_WEBHOOK_LEASE_S": f"{self.lease:g}",
            "GLEANER_GROUP_LEASE_S": f"{self.lease:g}",
            "GLEANER_WEBHOOK_POLL_MAX_S": f"{min(self.lease / 3, 2):g}",
        }
        pooled = {"GLEANER_DATABASE_POOLER": "true"} if self.pgbouncer else {}
        return (
            (hasty if self.lease else {})
            | pooled
            | {
                "GLEANER_REAPER_SWEEP_INTERVAL_S": "2",
                "GLEANER_GROUP_MAX_TRIES": "3",  # a poisoned event holds up its group for seconds
                "GLEANER_WEBHOOK_ALLOW_PRIVATE": "true",
                "GLEANER_WEBHOOK_SECRETS": "whsec_" + "Y2hhb3M6IG5vYm9keSdzIHNlY3JldCwgb2Ygbm8gdXNl",
                "GLEANER_WEBHOOK_TIMEOUT_S": "1",
                "GLEANER_WEBHOOK_MAX_ATTEMPTS": "100",
                "GLEANER_WEBHOOK_RETRY_BASE_DELAY_S": "0.5",
                "GLEANER_WEBHOOK_RETRY_MAX_DELAY_S": "2",
                "GLEANER_WEBHOOK_BREAKER_PAUSE_S": "1",
                "OMP_NUM_THREADS": "1",
            }
        )
