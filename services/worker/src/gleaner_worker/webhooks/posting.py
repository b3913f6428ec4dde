"""One HTTP request to a receiver that is not trusted: bounded in time and size, and to a place that was checked."""

import asyncio
import ssl
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import partial

import httpcore2
import httpx2

from gleaner_core.webhook_urls import why_refused
from gleaner_worker.webhooks.circuits import Line
from gleaner_worker.webhooks.guard import AddressRefused, GuardedNetwork, NotResolved, Resolve, Resolver
from gleaner_worker.webhooks.settings import WebhookSettings

_MOST_OF_ANSWER = 16 * 1024
_PATIENCE_FOR_ANSWER_S = 1.0
_CONNECT_S = 5.0
_LOOK_UPS_A_SLOT = 4  # one that hangs ends after the system's time-outs: two or three tries' later

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

    def __init__(
        self, settings: WebhookSettings, *, resolve: Resolve | None = None, trust: ssl.SSLContext | None = None
    ) -> None:
        """Addresses come from the system unless `resolve` is given, and so do the certificates' authorities unless
        there is `trust`."""
        self._timeout_s = settings.timeout_s
        self._allow_private = settings.allow_private
        self._resolver = Resolver(_LOOK_UPS_A_SLOT * settings.slots)
        self._resolve = resolve
        self._trust = trust or httpcore2.default_ssl_context()  # once: it takes 20 to 35 ms of the event loop

    @property
    def crowded(self) -> bool:
        """Whether there is no room for another request: name servers keep too many waiting."""
        return self._resolver.crowded

    async def post(self, line: Line, url: str, headers: dict[str, str], body: bytes) -> Answered | Unanswered:
        """What came of it, for a delivery that has a place in its tenant's `line`. Redirects are answers like any
        other: nobody follows them."""
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
                async with (
                    self._connection(target.origin, line) as connection,
                    connection.stream(
                        "POST", target, headers=fields, content=body, extensions={"timeout": {"connect": _CONNECT_S}}
                    ) as response,
                ):
                    answer = _answer(response)  # whatever becomes of its body
                    await _hear_out(response)
        except tuple(kind for kind, _ in _REASONS) as error:
            return answer or Unanswered(_reason(error))
        return answer

    def _connection(self, origin: httpcore2.Origin, line: Line) -> httpcore2.AsyncHTTPConnection:
        resolve = self._resolve or partial(self._resolver.look_up, line=line)
        network = GuardedNetwork(resolve, allow_private=self._allow_private)
        return httpcore2.AsyncHTTPConnection(origin, ssl_context=self._trust, network_backend=network)


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
