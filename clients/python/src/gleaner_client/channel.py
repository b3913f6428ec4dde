"""The channel to a server: sizes, keepalive, and the retry policy, which gRPC itself carries out.

Only UNAVAILABLE is tried again, the status that says "nobody took it, or try again with the same id", and CANCELLED,
which nobody but a server says that is closing just then: a call that its caller cancels is over. Every method is safe
to repeat: reads are, what makes a job, an endpoint or a secret carries a request id, and cancelling what is cancelled
is OK. A redelivery may be had twice, as every webhook may.
"""

import json

import grpc

from gleaner_client.tls import Tls
from gleaner_client.tracing import interceptors

MAX_MESSAGE = 40 * 1024 * 1024

_SERVICES = ("JobService", "ExtractionService", "EventService", "WebhookService", "VersionService")

_RETRY = {
    "maxAttempts": 4,
    "initialBackoff": "0.2s",  # gRPC spreads each by its own jitter
    "maxBackoff": "5s",
    "backoffMultiplier": 3,
    "retryableStatusCodes": ["UNAVAILABLE", "CANCELLED"],
}

SERVICE_CONFIG = json.dumps(
    {
        "loadBalancingConfig": [{"round_robin": {}}],
        "methodConfig": [
            {"name": [{"service": f"gleaner.v1.{service}"} for service in _SERVICES], "retryPolicy": _RETRY},
            # A watch is resumed by the client, from where it broke: one policy, not two on top of each other.
            {"name": [{"service": "gleaner.v1.JobService", "method": "WatchJob"}]},
            {"name": [{"service": "gleaner.v1.EventService", "method": "SubscribeEvents"}]},
        ],
        "retryThrottling": {"maxTokens": 20, "tokenRatio": 0.1},
    }
)

_OPTIONS: tuple[tuple[str, str | int], ...] = (
    ("grpc.service_config", SERVICE_CONFIG),
    ("grpc.max_send_message_length", MAX_MESSAGE),
    ("grpc.max_receive_message_length", MAX_MESSAGE),
    # By default gRPC keeps 256 KiB of a call for its retries: it would never retry a submit with a document in it.
    ("grpc.per_rpc_retry_buffer_size", MAX_MESSAGE + 64 * 1024),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 1000),
    ("grpc.max_reconnect_backoff_ms", 5000),
    # Rarer than a watch's signs of life, so that also a server with gRPC's own limits takes no offence.
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 15_000),
)


def speaks_tls(address: str, tls: bool | grpc.ChannelCredentials | Tls) -> bool:
    """Whether the connection to `address` is to be by TLS: `http://` alone means that it is not."""
    return address.startswith("https://") or (bool(tls) and not address.startswith("http://"))


def open_channel(address: str, tls: bool | grpc.ChannelCredentials | Tls) -> grpc.aio.Channel:
    """A channel to `host:port`; `https://host:port` and `http://host:port` say by themselves whether TLS is used.

    Raises CertificateError.
    """
    secure = speaks_tls(address, tls)
    scheme, _, rest = address.rpartition("://")
    if scheme in ("http", "https"):
        address = rest.rstrip("/")
        if ":" not in address.rpartition("]")[2]:
            address += ":443" if secure else ":80"
    traced = interceptors(address)
    if not secure:
        return grpc.aio.insecure_channel(address, options=_OPTIONS, interceptors=traced)
    if isinstance(tls, grpc.ChannelCredentials):
        return grpc.aio.secure_channel(address, tls, options=_OPTIONS, interceptors=traced)
    files = tls if isinstance(tls, Tls) else Tls()
    named = (("grpc.ssl_target_name_override", files.name),) if files.name else ()
    return grpc.aio.secure_channel(address, files.credentials(), options=(*_OPTIONS, *named), interceptors=traced)
