"""What the reaper reads from the environment."""

from datetime import timedelta
from math import inf
from typing import Self

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from gleaner_repo import DatabaseSettings
from gleaner_rpc import ChannelSettings
from gleaner_telemetry import OtelSettings

_DAY_S = 86_400.0


class RetentionSettings(BaseSettings):
    """How long things are kept that nobody needs to do anything with any more; 0 is for ever, but for documents."""

    model_config = SettingsConfigDict(env_prefix="GLEANER_", frozen=True, extra="ignore")

    retention_s: float = Field(
        default=30 * _DAY_S,
        ge=0,
        description="How long a job is kept after it ended, with request, results and deliveries. 0: for ever.",
    )
    document_retention_s: float = Field(
        default=3600,
        gt=0,
        description="How long a document's bytes are kept when no job refers to them: the time between an upload and"
        " its submit. Below 660, submits may have to send bytes a second time.",
    )
    event_retention_s: float = Field(
        default=30 * _DAY_S,
        ge=0,
        description="How long events are kept, once every group has read them and their job is over. 0: for ever.",
    )
    delivery_retention_s: float = Field(
        default=30 * _DAY_S,
        ge=0,
        description="How long a webhook delivery that was made or given up can be listed and sent again. 0: as long as"
        " its job.",
    )
    parked_event_retention_s: float = Field(
        default=30 * _DAY_S, ge=0, description="How long events that a group parked can be replayed. 0: for ever."
    )
    group_ttl_s: float = Field(
        default=7 * _DAY_S,
        gt=0,
        description="How long a consumer group may stand still before something to read until it expires, and holds"
        " the log no longer.",
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        deliveries = self.delivery_retention_s or self.retention_s or inf
        if (self.event_retention_s or inf) < deliveries:
            raise ValueError(
                f"events are kept for {self.event_retention_s:g} s, deliveries, which need them, for"
                " longer. Raise GLEANER_EVENT_RETENTION_S or lower GLEANER_DELIVERY_RETENTION_S to the same"
            )
        return self


class ReaperSettings(BaseSettings):
    """All of the reaper's settings, each with the prefix GLEANER_."""

    model_config = SettingsConfigDict(env_prefix="GLEANER_", frozen=True, extra="ignore")

    database: DatabaseSettings = Field(default_factory=DatabaseSettings)
    channels: ChannelSettings = Field(default_factory=ChannelSettings)
    retention: RetentionSettings = Field(default_factory=RetentionSettings)
    otel: OtelSettings = Field(default_factory=OtelSettings)

    worker_addresses: str = Field(default="127.0.0.1:50052", description="Workers, host:port and comma, or a DNS name.")
    bbox_worker_addresses: str = Field(
        default="127.0.0.1:50053", description="Bbox workers, host:port and comma, or a DNS name."
    )
    job_run_lease_s: float = Field(default=15, gt=0, description="Lease of a job that is being extracted.")
    bbox_refine_lease_s: float = Field(default=15, gt=0, description="Lease of a job whose boxes are being looked for.")
    max_lapses: int = Field(default=3, ge=1, description="Leases of a leg that may run out before it is given up.")
    retry_base_delay_s: float = Field(default=5, ge=0, description="First back-off after an error.")
    retry_max_delay_s: float = Field(default=300, ge=0, description="Longest back-off after an error.")
    queued_orphan_threshold_s: float = Field(
        default=600, ge=0, description="How long a job may be due before the reaper offers it to the workers."
    )
    partial_succeeded_orphan_threshold_s: float = Field(
        default=1320, ge=0, description="How long a refinement may be due before the reaper offers it."
    )
    reaper_sweep_interval_s: float = Field(default=60, gt=0, description="Pause between two sweeps with --loop.")
    reaper_batch_size: int = Field(default=1000, ge=1, description="Rows that one statement of a sweep takes at most.")
    reaper_removal_s: float = Field(
        default=20, ge=0, description="How long a sweep goes on removing what is old; the next one does the rest."
    )

    @property
    def lease(self) -> timedelta:
        """The longer of both legs' leases."""
        return timedelta(seconds=max(self.job_run_lease_s, self.bbox_refine_lease_s))
