"""What the loop of both workers is told by the environment."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Self

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class RunnerSettings(BaseSettings):
    """How a worker claims, renews, retries and drains."""

    model_config = SettingsConfigDict(env_prefix="GLEANER_", frozen=True, extra="ignore")

    slots: int = Field(default=4, ge=1, description="Jobs and synchronous calls that this process works on at once.")
    heartbeat_s: float = Field(default=5, gt=0, description="How often leases are renewed.")
    poll_max_s: float = Field(
        default=2,
        gt=0,
        description="Longest pause between two looks for work when nobody offers any; at most half of a lease.",
    )
    rescue_interval_s: float = Field(default=1, gt=0, description="Shortest pause between two rescues; up to twice it.")
    retry_base_delay_s: float = Field(default=5, ge=0, description="First back-off after an error.")
    retry_max_delay_s: float = Field(
        default=300, ge=0, description="Longest back-off after an error, and longest Retry-After that is obeyed."
    )
    max_lapses: int = Field(default=3, ge=1, description="Leases of a leg that may run out before it is given up.")
    run_grace_s: float = Field(
        default=25, ge=0, description="How long runs may go on after SIGTERM before they are handed back."
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.retry_base_delay_s > self.retry_max_delay_s:
            raise ValueError(
                f"the first back-off of {self.retry_base_delay_s:g} s is longer than the longest of"
                f" {self.retry_max_delay_s:g} s. Lower GLEANER_RETRY_BASE_DELAY_S or raise GLEANER_RETRY_MAX_DELAY_S"
            )
        return self


@dataclass(frozen=True, slots=True)
class LegSettings:
    """What differs between the legs."""

    lease: timedelta
    run_limit: timedelta
    max_attempts: int
    max_result_bytes: int


def check_lease(name: str, lease_s: float, runner: RunnerSettings) -> None:
    """Raises ValueError, with the way out, if a lease is too short for a worker to keep it or to judge others by it."""
    heartbeat_s = runner.heartbeat_s
    if lease_s < 3 * heartbeat_s:
        raise ValueError(
            f"{name} is {lease_s:g} s, less than three heartbeats of {heartbeat_s:g} s: one late answer would cost the"
            f" lease. Raise {name} to {3 * heartbeat_s:g} or lower GLEANER_HEARTBEAT_S to {lease_s / 3:g}"
        )
    check_pause("GLEANER_POLL_MAX_S", runner.poll_max_s, name, lease_s)


def check_pause(name: str, pause_s: float, lease: str, lease_s: float) -> None:
    """Raises ValueError, with the way out, if a process that looks so seldom is not in touch for a whole lease."""
    if lease_s < 2 * pause_s:
        raise ValueError(
            f"{lease} is {lease_s:g} s, less than twice the pause of {pause_s:g} s between two looks: who hears"
            " from the database so seldom takes nothing back from others."
            f" Raise {lease} to {2 * pause_s:g} or lower {name} to {lease_s / 2:g}"
        )
