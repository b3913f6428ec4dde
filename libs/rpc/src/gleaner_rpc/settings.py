"""What a server and its channels read from the environment."""

from datetime import timedelta
from typing import Annotated, Self

from pydantic import Field, PlainSerializer, model_validator
from pydantic.functional_validators import BeforeValidator
from pydantic_settings import BaseSettings, SettingsConfigDict


def _from_seconds(value: object) -> object:
    return timedelta(seconds=float(value)) if isinstance(value, int | float | str) else value


Seconds = Annotated[
    timedelta,
    BeforeValidator(_from_seconds),
    PlainSerializer(lambda value: value.total_seconds(), return_type=float),
]

MEBIBYTE = 1024 * 1024
LOCAL = "127.0.0.1"


class ServerTlsSettings(BaseSettings):
    """What a server shows of itself, and asks of who calls. Without a certificate it speaks no TLS."""

    model_config = SettingsConfigDict(env_prefix="GLEANER_SERVER_TLS_", frozen=True, extra="ignore")

    cert: str = Field(
        default="",
        description="File of the server's certificate chain (PEM), read anew when it changes; empty: no TLS.",
    )
    key: str = Field(default="", description="File of that certificate's key (PEM, no passphrase).")
    client_ca: str = Field(
        default="",
        description="File of the authorities (PEM) one of which has to have signed the certificate that a client"
        " shows; empty: none is asked for.",
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if bool(self.cert) != bool(self.key):
            raise ValueError(
                "GLEANER_SERVER_TLS_CERT and GLEANER_SERVER_TLS_KEY go together: set both, or neither for no TLS"
            )
        if self.client_ca and not self.cert:
            raise ValueError(
                "GLEANER_SERVER_TLS_CLIENT_CA needs a server that speaks TLS: set GLEANER_SERVER_TLS_CERT and"
                " GLEANER_SERVER_TLS_KEY too"
            )
        return self

    @property
    def kind(self) -> str:
        """`none`, `server` or `mutual`."""
        if self.client_ca:
            return "mutual"
        return "server" if self.cert else "none"


class ChannelTlsSettings(BaseSettings):
    """Whom a service trusts when it calls another, and what it shows. Without an authority it speaks no TLS."""

    model_config = SettingsConfigDict(env_prefix="GLEANER_CHANNEL_TLS_", frozen=True, extra="ignore")

    ca: str = Field(
        default="",
        description="File of the authorities (PEM) that servers' certificates are of, read anew when it changes;"
        " empty: no TLS.",
    )
    cert: str = Field(default="", description="File of the certificate chain (PEM) that is shown to servers that ask.")
    key: str = Field(default="", description="File of that certificate's key (PEM, no passphrase).")
    name: str = Field(
        default="", description="Name that servers' certificates have to carry; empty: the one in the address."
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if bool(self.cert) != bool(self.key):
            raise ValueError("GLEANER_CHANNEL_TLS_CERT and GLEANER_CHANNEL_TLS_KEY go together: set both, or neither")
        if not self.ca and (self.cert or self.name):
            raise ValueError(
                "GLEANER_CHANNEL_TLS_CERT and GLEANER_CHANNEL_TLS_NAME need GLEANER_CHANNEL_TLS_CA: without it calls"
                " are made in the open"
            )
        return self


class GrpcSettings(BaseSettings):
    """How a server listens, what it takes on, and how it ends. A service subclasses it for its own port."""

    model_config = SettingsConfigDict(env_prefix="GLEANER_", frozen=True, extra="ignore", populate_by_name=True)

    listen: str = Field(
        default=f"{LOCAL}:50051",
        pattern=r"^.+:\d{1,5}$",
        description="host:port to listen on; port 0 takes a free one, which the log tells.",
    )
    health_listen: str = Field(
        default="",
        pattern=r"^(.+:\d{1,5})?$",
        description="host:port that answers to health and to nothing else, without TLS, for probes that speak none;"
        " empty: only the server itself does.",
    )
    tls: ServerTlsSettings = Field(default_factory=ServerTlsSettings)
    reflection: bool = Field(default=True, description="Whether clients may ask which services there are.")
    max_message_bytes: int = Field(
        default=40 * MEBIBYTE, ge=MEBIBYTE, description="Largest message, received or sent; beyond: RESOURCE_EXHAUSTED."
    )
    max_concurrent_rpcs: int = Field(
        default=1000, ge=1, description="Calls at the same time; beyond, they are refused before their body is read."
    )
    max_document_rpcs: int = Field(
        default=16,
        ge=1,
        description="Calls with documents at the same time; others wait before their body is read. "
        "Bounds memory: this times three times the largest message.",
    )
    admission_wait: Seconds = Field(
        default=timedelta(seconds=5),
        validation_alias="GLEANER_ADMISSION_WAIT_S",
        description="How long a call with documents, or for a result or a list, waits to be let in, before"
        " RESOURCE_EXHAUSTED.",
    )
    upload_limit: Seconds = Field(
        default=timedelta(seconds=30),
        validation_alias="GLEANER_UPLOAD_LIMIT_S",
        description="How long a request may take to arrive once its call is let in, before DEADLINE_EXCEEDED.",
    )
    call_limit: Seconds = Field(
        default=timedelta(seconds=60),
        validation_alias="GLEANER_CALL_LIMIT_S",
        description="Longest a call may take, whatever its deadline, unless its method has a limit of its own.",
    )
    drain_pause: Seconds = Field(
        default=timedelta(0),
        validation_alias="GLEANER_DRAIN_PAUSE_S",
        description="How long calls are still taken after health says NOT_SERVING: until balancers have noticed.",
    )
    drain_grace: Seconds = Field(
        default=timedelta(seconds=30),
        validation_alias="GLEANER_DRAIN_GRACE_S",
        description="How long calls under way may go on after SIGTERM.",
    )
    max_connection_age: Seconds = Field(
        default=timedelta(minutes=10),
        validation_alias="GLEANER_MAX_CONNECTION_AGE_S",
        description="When clients are asked to connect again, and so find new replicas.",
    )

    @property
    def max_result_bytes(self) -> int:
        """Largest result of a job: the answer with it tells of the job, too, whose metadata may take 256 KiB."""
        return max(self.max_message_bytes - MEBIBYTE, self.max_message_bytes // 2)


class ChannelSettings(BaseSettings):
    """How a service calls the others."""

    model_config = SettingsConfigDict(env_prefix="GLEANER_", frozen=True, extra="ignore", populate_by_name=True)

    tls: ChannelTlsSettings = Field(default_factory=ChannelTlsSettings)
    max_message_bytes: int = Field(default=40 * MEBIBYTE, ge=MEBIBYTE, description="Largest message, sent or received.")
    offer_pause: Seconds = Field(
        default=timedelta(milliseconds=3),
        validation_alias="GLEANER_OFFER_PAUSE_S",
        description="Jobs that come within this time share one offer.",
    )
    offer_timeout: Seconds = Field(
        default=timedelta(milliseconds=250),
        validation_alias="GLEANER_OFFER_TIMEOUT_S",
        description="How long a worker may take to answer an offer before the next one is asked.",
    )
