"""What the bbox worker reads from the environment."""

from datetime import timedelta
from typing import Self

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from gleaner_children import ChildLimits
from gleaner_repo import DatabaseSettings
from gleaner_rpc import GrpcSettings
from gleaner_runner import LegSettings, RunnerSettings, check_lease
from gleaner_telemetry import OtelSettings


class BboxWorkerGrpcSettings(GrpcSettings):
    """The bbox worker's server."""

    listen: str = Field(default="127.0.0.1:50053", pattern=r"^.+:\d{1,5}$", description="host:port to listen on.")


class GrounderSettings(BaseSettings):
    """The child processes that look for boxes; memory is bounded by `children` x `memory_limit_mb`."""

    model_config = SettingsConfigDict(env_prefix="GLEANER_GROUNDER_", frozen=True, extra="ignore")

    children: int = Field(
        default=2, ge=1, description="Child processes that look for boxes, each one result at a time."
    )
    memory_limit_mb: int = Field(
        default=1024, ge=128, description="Memory of a child that looks for boxes, in MiB; past it the child is ended."
    )
    timeout_s: float = Field(default=600, gt=0, description="Longest that looking for one result's boxes may take.")

    @property
    def limits(self) -> ChildLimits:
        """The limits of a child."""
        return ChildLimits(memory_mb=self.memory_limit_mb, timeout=timedelta(seconds=self.timeout_s))


class BboxWorkerSettings(BaseSettings):
    """All of the bbox worker's settings, each with the prefix GLEANER_."""

    model_config = SettingsConfigDict(env_prefix="GLEANER_", frozen=True, extra="ignore")

    database: DatabaseSettings = Field(default_factory=DatabaseSettings)
    grpc: BboxWorkerGrpcSettings = Field(default_factory=BboxWorkerGrpcSettings)
    runner: RunnerSettings = Field(default_factory=RunnerSettings)
    grounder: GrounderSettings = Field(default_factory=GrounderSettings)
    otel: OtelSettings = Field(default_factory=OtelSettings)

    bbox_refine_lease_s: float = Field(default=15, gt=0, description="Lease of a job whose boxes are being looked for.")
    bbox_refine_timeout_s: float = Field(default=600, gt=0, description="How long one refinement of a job may take.")
    bbox_refine_max_attempts: int = Field(default=3, ge=1, description="Attempts of a refinement, the first included.")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        check_lease("GLEANER_BBOX_REFINE_LEASE_S", self.bbox_refine_lease_s, self.runner)
        return self

    @property
    def leg(self) -> LegSettings:
        """The limits of the refinement leg."""
        return LegSettings(
            lease=timedelta(seconds=self.bbox_refine_lease_s),
            run_limit=timedelta(seconds=self.bbox_refine_timeout_s),
            max_attempts=self.bbox_refine_max_attempts,
            max_result_bytes=self.grpc.max_result_bytes,
        )
