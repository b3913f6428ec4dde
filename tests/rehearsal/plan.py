"""What a rehearsal is told."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How many replicas, how hard, how often. Rates are a second; pauses are seconds, a cluster's shortened."""

    rounds: int = 3
    apis: int = 2
    max_workers: int = 3
    max_bbox_workers: int = 2
    job_rate: float = 2.0
    sync_rate: float = 1.0
    burst: int = 40
    jobs_per_replica: float = 6.0
    steady: float = 5.0
    poll: float = 0.5
    quiet: float = 3.0
    patience: float = 120.0
    seed: int = 0
    out: Path = Path("out")

    @property
    def environment(self) -> dict[str, str]:
        """Settings of the services."""
        return {
            "GLEANER_DRAIN_PAUSE_S": "1",  # a pod's preStop
            "GLEANER_DRAIN_GRACE_S": "30",
            "GLEANER_RUN_GRACE_S": "30",
            "GLEANER_SLOTS": "2",
            "GLEANER_DATABASE_POOL_SIZE": "4",
            "OMP_NUM_THREADS": "1",
        }
