"""How the services of the suite call each other."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from itertools import chain, cycle
from random import randrange, uniform
from typing import Self, TypeVar

import grpc.aio

from gleaner_core.errors import NoRoom, PeerUnavailable
from gleaner_rpc.relayed import translated
from gleaner_rpc.settings import ChannelSettings
from gleaner_rpc.tls import Pem, channel_certificates
from gleaner_telemetry import client_interceptors, measuring_interceptors

T = TypeVar("T")

# Only what surely was not carried out, or may be repeated, is retried: our services' calls to each other all may.
# CANCELLED by the server is what a call meets that comes in the moment when its server closes.
# https://github.com/grpc/proposal/blob/master/A6-client-retries.md
SERVICE_CONFIG = json.dumps(
    {
        "loadBalancingConfig": [{"round_robin": {}}],
        "methodConfig": [
            {
                "name": [{}],
                "retryPolicy": {
                    "maxAttempts": 3,
                    "initialBackoff": "0.05s",
                    "maxBackoff": "1s",
                    "backoffMultiplier": 2,
                    "retryableStatusCodes": ["UNAVAILABLE", "CANCELLED"],
                },
            }
        ],
        "retryThrottling": {"maxTokens": 10, "tokenRatio": 0.1},
    }
)


# Calls under way go on over channels that were replaced; the longest call of the suite has ended by then.
_RETIREMENT_S = 1800.0
_PAUSE_S = (0.1, 0.4)
_MAX_BACKOFF_MS = 2_000
_RECONNECTED_S = 1.5 * _MAX_BACKOFF_MS / 1000  # gRPC spreads its pauses by a fifth


def open_channel(address: str, settings: ChannelSettings, pem: Pem | None = None) -> grpc.aio.Channel:
    """A channel to `host:port`, or to all that a name stands for: `dns:///worker:50052`. Connects at its first call.

    With `pem` by TLS: to whom its authorities vouch for, showing its certificate if it has one.
    """
    options: list[tuple[str, int | str]] = [
        ("grpc.max_receive_message_length", settings.max_message_bytes),
        ("grpc.max_send_message_length", settings.max_message_bytes),
        ("grpc.keepalive_time_ms", 30_000),
        ("grpc.keepalive_timeout_ms", 10_000),
        ("grpc.service_config", SERVICE_CONFIG),
        # A worker that comes back is found again within seconds, not minutes.
        ("grpc.max_reconnect_backoff_ms", _MAX_BACKOFF_MS),
    ]
    interceptors = [*client_interceptors(address), *measuring_interceptors()]
    if pem is None:
        return grpc.aio.insecure_channel(address, options=options, interceptors=interceptors)
    if settings.tls.name:
        options.append(("grpc.ssl_target_name_override", settings.tls.name))
    key, chain = pem.identity or (None, None)
    credentials = grpc.ssl_channel_credentials(pem.authorities, key, chain)
    return grpc.aio.secure_channel(address, credentials, options=options, interceptors=interceptors)


def addresses(text: str) -> tuple[str, ...]:
    """`a:1, b:2` as addresses; none of an empty text."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


class Peers:
    """Channels to the replicas of one service, asked in turn; each process begins with another one.

    With TLS, channels are replaced when the files of certificates change. Raises UnfitCertificates.
    """

    def __init__(self, service: str, addresses: tuple[str, ...], settings: ChannelSettings) -> None:
        self.service = service
        self._addresses = addresses
        self._settings = settings
        self._certificates = channel_certificates(settings.tls)
        self._retired: dict[asyncio.Task[None], tuple[grpc.aio.Channel, ...]] = {}
        self.channels = self._opened()
        self._turn = cycle(range(len(self.channels)) if self.channels else ())
        for _ in range(randrange(len(self.channels)) if self.channels else 0):
            next(self._turn)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        retired = dict(self._retired)
        for task in retired:
            task.cancel()
        await asyncio.gather(*retired, return_exceptions=True)
        for channel in chain(self.channels, *retired.values()):
            await channel.close()

    def in_turn(self) -> tuple[grpc.aio.Channel, ...]:
        """All channels, another one first at every call."""
        if not self.channels:
            return ()
        if self._certificates and self._certificates.changed():
            self._retire(self.channels)
            self.channels = self._opened()
        first = next(self._turn)
        return self.channels[first:] + self.channels[:first]

    def _opened(self) -> tuple[grpc.aio.Channel, ...]:
        pem = self._certificates.pem if self._certificates else None
        return tuple(open_channel(address, self._settings, pem) for address in self._addresses)

    def _retire(self, channels: tuple[grpc.aio.Channel, ...]) -> None:
        task = asyncio.create_task(_closed_later(channels))
        self._retired[task] = channels
        task.add_done_callback(self._retired.pop)

    async def call_any(
        self, call: Callable[[grpc.aio.Channel], Awaitable[T]], *, tries: int = 3, patience_s: float = 0.0
    ) -> T:
        """The answer of the first replica that has room, of all that are known; at least `tries` calls, since an
        address may stand for several. Give `call` a time-out.

        When all are full, they are asked again for `patience_s`; when none can be reached, until a channel must have
        found one that was started meanwhile. Raises what the service answered, NoRoom when all are full,
        PeerUnavailable when none can be reached.
        """
        clock = asyncio.get_running_loop().time
        began = clock()
        while True:
            try:
                return await self._asked_all(call, tries)
            except (NoRoom, PeerUnavailable) as refusal:
                patience = patience_s if isinstance(refusal, NoRoom) else _RECONNECTED_S
                pause = uniform(*_PAUSE_S)
                if not self.channels or clock() + pause > began + patience:
                    raise
            await asyncio.sleep(pause)

    async def _asked_all(self, call: Callable[[grpc.aio.Channel], Awaitable[T]], tries: int) -> T:
        refusal: NoRoom | PeerUnavailable = PeerUnavailable(f"no {self.service}")
        channels = self.in_turn()
        for channel in channels * -(-tries // max(len(channels), 1)):
            try:
                return await call(channel)
            except grpc.aio.AioRpcError as error:
                told = translated(error, f"the {self.service}")
                if not isinstance(told, NoRoom | PeerUnavailable):
                    raise told from error
                # That one has no room is better news than that another is gone.
                if not isinstance(refusal, NoRoom):
                    refusal = told
        raise refusal


async def _closed_later(channels: tuple[grpc.aio.Channel, ...]) -> None:
    await asyncio.sleep(_RETIREMENT_S)
    for channel in channels:
        await channel.close()
