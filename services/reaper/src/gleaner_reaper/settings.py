"""What the reaper reads from the environment."""

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from gleaner_repo import DatabaseSettings
from gleaner_rpc import ChannelSettings
from gleaner_telemetry import OtelSettings


class ReaperSettings(BaseSettings):
    """All of the reaper's settings, each with the prefix GLEANER_."""

    model_config = SettingsConfigDict(env_prefix="GLEANER_", frozen=True, extra="ignore")

    database: DatabaseSettings = Field(default_factory=DatabaseSettings)
    channels: ChannelSettings = Field(default_factory=ChannelSettings)
    otel: OtelSettings = Field(default_factory=OtelSettings)

    worker_addresses: str = Field(default="127.0.0.1:50052", description="Workers, host:port and comma, or a DNS name.")
    bbox_worker_addresses: str = Field(
        default="127.0.0.1:50053", description="Bbox workers, host:port and comma, or a DNS name."
    )
    job_run_lease_s: float = Field(default=15, gt=0, description="Lease of a job that is being extracted.")
    bbox_refine_lease_s: float = Field(default=15, gt=0, description="Lease of a job whose boxes are being looked for.")
    max_lapses: int = Field(default=3, ge=1, description="Leases of a leg that may run out before it is given up.")
    queued_orphan_threshold_s: float = Field(
        default=600, ge=0, description="How long a job may be due before the reaper offers it to the workers."
    )
    partial_succeeded_orphan_threshold_s: float = Field(
        default=1320, ge=0, description="How long a refinement may be due before the reaper offers it."
    )
    reaper_sweep_interval_s: float = Field(default=60, gt=0, description="Pause between two sweeps with --loop.")
    reaper_batch_size: int = Field(default=1000, ge=1, description="Rows that one statement of a sweep takes at most.")
