"""One HTTP request to a receiver that is not trusted: bounded in time and size, and to a place that was checked."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import httpcore2
import httpx2

from gleaner_core.webhook_urls import why_refused
from gleaner_worker.webhooks.guard import AddressRefused, GuardedNetwork, NotResolved, Resolve, Resolver
from gleaner_worker.webhooks.settings import WebhookSettings

_MOST_OF_ANSWER = 16 * 1024
_PATIENCE_FOR_ANSWER_S = 1.0
_CONNECT_S = 5.0

_REASONS: tuple[tuple[type[Exception], str], ...] = (
    (NotResolved, "NOT_RESOLVED"),
    (AddressRefused, "ADDRESS_REFUSED"),
    (TimeoutError, "TIMED_OUT"),
    (httpcore2.TimeoutException, "TIMED_OUT"),
    (httpcore2.ConnectError, "NOT_CONNECTED"),
    (httpcore2.NetworkError, "CONNECTION_LOST"),
    (httpcore2.ProtocolError, "BAD_ANSWER"),
)


@dataclass(frozen=True, slots=True)
class Answered:
    """The receiver answered; what it said besides the status is not looked at."""

    status: int
    retry_after: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Unanswered:
    """The receiver did not answer, or was not asked, for a stable reason."""

    reason: str


class Poster:
    """Sends requests. Every one has a connection of its own: on one that is used again, a receiver that answers twice
    would answer the next request before it is sent.
    """

    def __init__(self, pool: httpcore2.AsyncConnectionPool, timeout_s: float, *, allow_private: bool) -> None:
        self._pool = pool
        self._timeout_s = timeout_s
        self._allow_private = allow_private

    @classmethod
    @asynccontextmanager
    async def opened(
        cls, settings: WebhookSettings, *, resolve: Resolve | None = None, trust: ssl.SSLContext | None = None
    ) -> AsyncIterator["Poster"]:
        """A poster for the length of the block. Addresses come from the system unless `resolve` is given, and so do
        the certificates' authorities unless there is `trust`.
        """
        resolver = Resolver(settings.slots)
        network = GuardedNetwork(resolve or resolver, allow_private=settings.allow_private)
        try:
            async with httpcore2.AsyncConnectionPool(
                ssl_context=trust, max_connections=settings.slots, max_keepalive_connections=0, network_backend=network
            ) as pool:
                yield cls(pool, settings.timeout_s, allow_private=settings.allow_private)
        finally:
            resolver.close()

    async def post(self, url: str, headers: dict[str, str], body: bytes) -> Answered | Unanswered:
        """What came of it. Redirects are answers like any other: nobody follows them."""
        if why_refused(url, allow_private=self._allow_private):
            return Unanswered("URL_REFUSED")
        try:
            target = _target(url)
        except (httpx2.InvalidURL, ValueError):
            return Unanswered("URL_REFUSED")
        fields = [(name.encode(), value.encode()) for name, value in (headers | {"connection": "close"}).items()]
        answer = None
        try:
            async with asyncio.timeout(self._timeout_s):
                async with self._pool.stream(
                    "POST", target, headers=fields, content=body, extensions={"timeout": {"connect": _CONNECT_S}}
                ) as response:
                    answer = _answer(response)  # whatever becomes of its body
                    await _hear_out(response)
        except tuple(kind for kind, _ in _REASONS) as error:
            return answer or Unanswered(_reason(error))
        return answer


def _target(url: str) -> httpcore2.URL:
    parsed = httpx2.URL(url)
    return httpcore2.URL(scheme=parsed.raw_scheme, host=parsed.raw_host, port=parsed.port, target=parsed.raw_path)


def _answer(response: httpcore2.Response) -> Answered:
    success = 200 <= response.status < 300
    return Answered(response.status, None if success else _retry_after(response.headers))


async def _hear_out(response: httpcore2.Response) -> None:
    """Reads a little of what the receiver says, so that it is not cut off in the middle of a sentence."""
    read = 0
    with suppress(TimeoutError, httpcore2.NetworkError, httpcore2.ProtocolError, httpcore2.TimeoutException):
        async with asyncio.timeout(_PATIENCE_FOR_ANSWER_S):
            async for part in response.aiter_stream():
                read += len(part)
                if read > _MOST_OF_ANSWER:
                    return


def _reason(error: Exception) -> str:
    if isinstance(error.__context__, ssl.SSLError):
        return "TLS_FAILED"
    return next(reason for kind, reason in _REASONS if isinstance(error, kind))


def _retry_after(headers: list[tuple[bytes, bytes]]) -> timedelta | None:
    """RFC 9110, section 10.2.3: seconds, or a date; None if it is neither."""
    text = next((value.decode("latin-1") for name, value in headers if name.lower() == b"retry-after"), "").strip()
    if text.isascii() and text.isdigit():
        return timedelta(seconds=min(int(text[:9]), 86_400))
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, OverflowError):  # a year of twenty digits
        return None
    return max(moment.replace(tzinfo=moment.tzinfo or UTC) - datetime.now(UTC), timedelta(0))
