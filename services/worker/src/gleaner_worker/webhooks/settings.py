"""What webhooks are told by the environment."""

from datetime import timedelta
from typing import Self

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from gleaner_runner import check_pause
from gleaner_worker.webhooks.signing import check_secret


class WebhookSettings(BaseSettings):
    """How deliveries are signed, sent and tried again; each with the prefix GLEANER_WEBHOOK_."""

    model_config = SettingsConfigDict(env_prefix="GLEANER_WEBHOOK_", frozen=True, extra="ignore")

    secrets: SecretStr = Field(
        default=SecretStr(""),
        description="Secrets that sign what goes to callback URLs: `whsec_` and 24 to 64 bytes in base64, newest first,"
        " with commas. Empty: the api takes no callback URLs, and none is sent unsigned.",
    )
    allow_private: bool = Field(
        default=False,
        description="Whether webhooks may go to hosts that are not public; for closed networks.",
    )
    timeout_s: float = Field(default=15, gt=0, description="How long one try may take, from the look-up of the name.")
    max_attempts: int = Field(default=5, ge=1, description="Tries of a delivery before it is DEAD.")
    retry_base_delay_s: float = Field(default=30, ge=0, description="First back-off after a failed try.")
    retry_max_delay_s: float = Field(
        default=3600,
        ge=0,
        description="Longest back-off after a failed try, and longest Retry-After that is obeyed.",
    )
    max_age_s: float = Field(
        default=259_200,
        gt=0,
        description="How long a delivery may wait for a paused receiver, or for its turn, before it is DEAD.",
    )
    slots: int = Field(
        default=32,
        ge=1,
        description="Deliveries that this process sends at once. One tenant's take half of the slots at most, rounded"
        " up.",
    )
    endpoint_slots: int = Field(default=4, ge=1, description="Deliveries that this process sends at once to one host.")
    breaker_failures: int = Field(
        default=5, ge=1, description="Failures in a row after which a host is left alone for a while."
    )
    breaker_pause_s: float = Field(
        default=30, gt=0, description="How long a host is left alone at first; twice as long each time, to 5 minutes."
    )
    lease_s: float = Field(default=15, gt=0, description="Lease of a delivery that is being sent.")
    poll_max_s: float = Field(
        default=2, gt=0, description="Longest pause between two looks for due deliveries; at most half of the lease."
    )
    result_max_bytes: int = Field(
        default=262_144, ge=0, le=1_048_576, description="Largest result, in bytes of JSON, that a webhook carries."
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        for secret in self.signing_secrets:
            check_secret(secret)
        check_pause("GLEANER_WEBHOOK_POLL_MAX_S", self.poll_max_s, "GLEANER_WEBHOOK_LEASE_S", self.lease_s)
        return self

    @property
    def signing_secrets(self) -> tuple[str, ...]:
        """The secrets for callback URLs, newest first."""
        return tuple(part.strip() for part in self.secrets.get_secret_value().split(",") if part.strip())

    @property
    def tenant_slots(self) -> int:
        """Deliveries of one tenant that this process sends at once: good for its throughput, and never all."""
        return (self.slots + 1) // 2

    @property
    def poll_max(self) -> timedelta:
        """Longest pause between two looks for due deliveries."""
        return timedelta(seconds=self.poll_max_s)

    @property
    def lease(self) -> timedelta:
        """Lease of a delivery that is being sent."""
        return timedelta(seconds=self.lease_s)
