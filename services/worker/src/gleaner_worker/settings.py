"""What the worker reads from the environment."""

from datetime import timedelta
from typing import Self

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from gleaner_documents import ReaderSettings
from gleaner_repo import DatabaseSettings
from gleaner_rpc import ChannelSettings, GrpcSettings
from gleaner_runner import LegSettings, RunnerSettings, check_lease
from gleaner_telemetry import OtelSettings
from gleaner_worker.extractors.settings import ExtractorSettings
from gleaner_worker.webhooks.settings import WebhookSettings


class WorkerGrpcSettings(GrpcSettings):
    """The worker's server."""

    listen: str = Field(default="127.0.0.1:50052", pattern=r"^.+:\d{1,5}$", description="host:port to listen on.")


class ModelSettings(BaseSettings):
    """A model behind an endpoint that speaks OpenAI's protocol."""

    model_config = SettingsConfigDict(env_prefix="GLEANER_MODEL_", frozen=True, extra="ignore")

    name: str = Field(default="", description="The model's name at its provider; empty: there is none.")
    base_url: str = Field(default="https://api.openai.com/v1", description="Where the provider's API is.")
    api_key: SecretStr = Field(default=SecretStr(""), description="The provider's key.")
    timeout_s: float = Field(default=120, gt=0, description="How long the provider may take to answer.")


class WorkerSettings(BaseSettings):
    """All of the worker's settings, each with the prefix GLEANER_."""

    model_config = SettingsConfigDict(env_prefix="GLEANER_", frozen=True, extra="ignore")

    database: DatabaseSettings = Field(default_factory=DatabaseSettings)
    grpc: WorkerGrpcSettings = Field(default_factory=WorkerGrpcSettings)
    channels: ChannelSettings = Field(default_factory=ChannelSettings)
    runner: RunnerSettings = Field(default_factory=RunnerSettings)
    reader: ReaderSettings = Field(default_factory=ReaderSettings)
    extractor: ExtractorSettings = Field(default_factory=ExtractorSettings)
    model: ModelSettings = Field(default_factory=ModelSettings)
    webhooks: WebhookSettings = Field(default_factory=WebhookSettings)
    otel: OtelSettings = Field(default_factory=OtelSettings)

    bbox_worker_addresses: str = Field(
        default="127.0.0.1:50053", description="Bbox workers, host:port and comma, or a DNS name."
    )
    job_run_lease_s: float = Field(default=15, gt=0, description="Lease of a job that is being extracted.")
    async_timeout_s: float = Field(default=1200, gt=0, description="How long one extraction of a job may take.")
    job_max_attempts: int = Field(default=3, ge=1, description="Attempts of an extraction, the first included.")
    job_max_pages: int = Field(default=2000, ge=1, description="Most pages of a job's documents in all.")
    sync_max_pages: int = Field(default=20, ge=1, description="Most pages of a synchronous call's documents in all.")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        check_lease("GLEANER_JOB_RUN_LEASE_S", self.job_run_lease_s, self.runner)
        return self

    @property
    def leg(self) -> LegSettings:
        """The limits of the extraction leg."""
        return LegSettings(
            lease=timedelta(seconds=self.job_run_lease_s),
            run_limit=timedelta(seconds=self.async_timeout_s),
            max_attempts=self.job_max_attempts,
            max_result_bytes=self.grpc.max_result_bytes,
        )

    @property
    def run_grace(self) -> timedelta:
        """How long runs, and deliveries that are being sent, may go on after SIGTERM."""
        return timedelta(seconds=self.runner.run_grace_s)
