"""What the database and its migrations are told by the environment."""

from datetime import timedelta

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class DatabaseSettings(BaseSettings):
    """How to reach Postgres, and how many connections to hold."""

    model_config = SettingsConfigDict(env_prefix="GLEANER_", frozen=True, extra="ignore")

    database_url: str = Field(description="Where Postgres is: postgresql://user:password@host:port/name.")
    database_pool_size: int = Field(default=8, ge=1, description="Connections this process holds at most.")
    database_pooler: bool = Field(
        default=False,
        description="Whether a pooler in transaction mode stands between (PgBouncer before 1.21), which keeps no"
        " prepared statements.",
    )
    database_timeout_s: float = Field(
        default=10, gt=0, description="How long a statement, or the wait for a connection, may take."
    )
    database_start_timeout_s: float = Field(
        default=60, ge=0, description="How long a starting process waits for the database before it gives up."
    )

    @property
    def timeout(self) -> timedelta:
        """How long a statement, or the wait for a connection, may take."""
        return timedelta(seconds=self.database_timeout_s)
