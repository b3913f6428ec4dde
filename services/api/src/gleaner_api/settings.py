"""What the api reads from the environment."""

from datetime import timedelta
from typing import Self

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from gleaner_documents import ReaderSettings
from gleaner_repo import DatabaseSettings
from gleaner_rpc import ChannelSettings, GrpcSettings, Seconds
from gleaner_telemetry import OtelSettings


class ApiSettings(BaseSettings):
    """All of the api's settings, each with the prefix GLEANER_."""

    model_config = SettingsConfigDict(env_prefix="GLEANER_", frozen=True, extra="ignore", populate_by_name=True)

    database: DatabaseSettings = Field(default_factory=DatabaseSettings)
    grpc: GrpcSettings = Field(default_factory=GrpcSettings)
    channels: ChannelSettings = Field(default_factory=ChannelSettings)
    otel: OtelSettings = Field(default_factory=OtelSettings)

    worker_addresses: str = Field(
        default="127.0.0.1:50052", description="Workers, host:port and comma, or a DNS name; empty: none is told."
    )
    extractors: str = Field(
        default="embedded", description="Extractors that requests may name, with commas, the default first."
    )
    job_max_pages: int = Field(default=2000, ge=1, description="Most pages of a job's documents in all.")
    webhook_secrets: SecretStr = Field(
        default=SecretStr(""),
        description="Secrets that sign what goes to callback URLs: `whsec_` and 24 to 64 bytes in base64, newest first,"
        " with commas. Empty: the api takes no callback URLs, and none is sent unsigned.",
    )
    webhook_allow_private: bool = Field(
        default=False,
        description="Whether webhooks may go to hosts that are not public; for tests and closed networks.",
    )
    sync_limit: Seconds = Field(
        default=timedelta(seconds=120),
        validation_alias="GLEANER_SYNC_LIMIT_S",
        description="Longest a synchronous extraction may take.",
    )
    max_result_rpcs: int = Field(
        default=4,
        ge=1,
        description="Results and lists that are read and sent at the same time; others wait. Bounds memory: this times"
        " three times the largest message.",
    )
    watch_limit: Seconds = Field(
        default=timedelta(minutes=10),
        validation_alias="GLEANER_WATCH_LIMIT_S",
        description="Longest a WatchJob or SubscribeEvents stream lasts before it has to be taken up again; never"
        " longer than GLEANER_MAX_CONNECTION_AGE_S.",
    )
    group_lease: Seconds = Field(
        default=timedelta(seconds=15),
        validation_alias="GLEANER_GROUP_LEASE_S",
        description="How long a consumer group waits for its reader, whose server died, until another takes over.",
    )
    group_max_tries: int = Field(
        default=5, ge=1, description="How often an event may be refused, or kill its reader, before it is parked."
    )
    check_children: int = Field(
        default=1, ge=1, description="Child processes that look whether submitted documents can be read."
    )
    check_memory_mb: int = Field(default=512, ge=128, description="Memory of such a child, in MiB.")
    check_timeout: Seconds = Field(
        default=timedelta(seconds=5),
        validation_alias="GLEANER_CHECK_TIMEOUT_S",
        description="How long that look may take; a document that takes longer is let in, and judged by the worker.",
    )

    queue_metrics_interval: Seconds = Field(
        default=timedelta(seconds=15),
        gt=timedelta(0),
        validation_alias="GLEANER_QUEUE_METRICS_INTERVAL_S",
        description="How often the queue and the log are read for metrics, where there are any.",
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if not self.extractor_names:
            raise ValueError("GLEANER_EXTRACTORS names none; leave it out for `embedded`")
        if self.grpc.max_message_bytes > self.channels.max_message_bytes:
            raise ValueError("GLEANER_MAX_MESSAGE_BYTES must be the same for servers and channels")
        return self

    @property
    def stream_limit(self) -> timedelta:
        """Longest a stream lasts: its connection is cut when it is twice its age, and that would be nobody's doing."""
        return min(self.grpc.max_connection_age, self.watch_limit)

    @property
    def signs_webhooks(self) -> bool:
        """Whether workers can sign what goes to callback URLs."""
        return bool(self.webhook_secrets.get_secret_value().strip(" ,"))

    @property
    def extractor_names(self) -> tuple[str, ...]:
        """The extractors that requests may name, the default first."""
        return tuple(name.strip() for name in self.extractors.split(",") if name.strip())

    @property
    def reader(self) -> ReaderSettings:
        """How documents are looked at when they come in."""
        seconds = self.check_timeout.total_seconds()
        return ReaderSettings(
            children=self.check_children,
            memory_limit_mb=self.check_memory_mb,
            page_timeout_s=seconds,
            document_timeout_s=seconds,
            max_pages=self.job_max_pages,
        )
