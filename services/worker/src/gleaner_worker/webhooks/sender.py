"""The loop that sends due deliveries: claim, send, renew, finish. It runs beside the runner and shares nothing with it.

At least once: a sender that dies, or whose last statement was not answered, leaves its delivery to the next one.
"""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from typing import TypeVar
from uuid import UUID, uuid4

from opentelemetry import trace

from gleaner_core.backoff import backoff
from gleaner_core.errors import Unavailable
from gleaner_core.version import VERSION
from gleaner_repo import FAILURES, ClaimedDelivery, Content, DeliveryLease, DeliveryRepository, DeliveryState, Tried
from gleaner_runner.health import Touch
from gleaner_telemetry import about, headers, names
from gleaner_worker.webhooks.circuits import Circuits, Line, Place
from gleaner_worker.webhooks.payload import body_of, correlation_of
from gleaner_worker.webhooks.posting import Answered, Poster, Unanswered
from gleaner_worker.webhooks.settings import WebhookSettings
from gleaner_worker.webhooks.signing import is_secret, signed_headers
from gleaner_worker.webhooks.telemetry import Instruments
from gleaner_worker.webhooks.tracing import answered, post_span, send_span
from gleaner_worker.webhooks.verdict import asked, does_well, judge, pause_asked

log = logging.getLogger(__name__)

T = TypeVar("T")

_SHORTEST_PAUSE_S = 0.1
_BREATH_S = 0.05  # between two looks that find nothing, however often somebody wakes us
_FREE_LAPSES = 3  # tries beyond the last one, for a delivery whose senders died: what came of those is not known
_ELSEWHERE_DELAY = timedelta(minutes=1)  # for what another worker may be able to send: it has a secret, or is newer
_ASK_AGAIN_S = 1.0  # a lease of three renewals has no slack for two without an answer
_FIRST_WRITE_DELAY = timedelta(seconds=0.1)


class _UnknownEvent(Exception):
    """A later version wrote the event, during its roll-out: what it tells is not known here."""


class Sender:
    """Sends what is due, as many at once as there are slots."""

    def __init__(
        self, deliveries: DeliveryRepository, poster: Poster, settings: WebhookSettings, *, grace: timedelta
    ) -> None:
        self._deliveries = deliveries
        self._poster = poster
        self._settings = settings
        self._grace = grace
        self._secrets = settings.signing_secrets
        self._held: dict[DeliveryLease, asyncio.Task[None]] = {}
        self._finishing: set[DeliveryLease] = set()
        self._refused: set[DeliveryLease] = set()  # those of `_finishing` whose end the database has refused
        self._doubtful: UUID | None = None  # a claim that may have been committed, though nobody told us
        self._wake = asyncio.Event()
        self._touch = Touch(settings.lease_s)
        self._circuits = Circuits(
            limit=settings.endpoint_slots,
            tenant_limit=settings.tenant_slots,
            threshold=settings.breaker_failures,
            pause_s=settings.breaker_pause_s,
        )
        self._instruments = Instruments()

    def wake(self) -> None:
        """There may be something to send: look at once."""
        self._wake.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Sends until `stop` is set, then drains: no new claims, a grace period for what is being sent, and the rest
        is put back."""
        if not self._secrets:
            log.warning("GLEANER_WEBHOOK_SECRETS is empty: nothing is sent to callback URLs")
        async with asyncio.TaskGroup() as background:
            beside = [background.create_task(loop) for loop in (self._renew(), self._wake_at(stop))]
            try:
                async with asyncio.timeout(None) as patience, asyncio.TaskGroup() as sends:
                    await self._claim_until(stop, sends)
                    patience.reschedule(asyncio.get_running_loop().time() + self._grace.total_seconds())
            except TimeoutError:
                log.info("out of patience: deliveries that were being sent were put back")
            for task in beside:
                task.cancel()

    async def _claim_until(self, stop: asyncio.Event, sends: asyncio.TaskGroup) -> None:
        pause = _SHORTEST_PAUSE_S
        while not stop.is_set():
            self._wake.clear()
            room = 0 if self._poster.crowded else self._settings.slots - len(self._held)
            claimed = await self._claim(room, sends) if room else 0
            if room and claimed == room:
                continue
            pause = _SHORTEST_PAUSE_S if claimed else min(2 * pause, self._settings.poll_max_s)
            await asyncio.sleep(_BREATH_S)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), random.uniform(0.5, 1) * pause)
                pause = _SHORTEST_PAUSE_S

    async def _claim(self, room: int, sends: asyncio.TaskGroup) -> int:
        # After an outage every lease has lapsed: who has not had answers for a whole lease robs nobody.
        rescue = self._touch.unbroken()
        try:
            if self._doubtful:
                await self._deliveries.unclaim(self._doubtful)
            self._doubtful = uuid4()
            claimed = await self._deliveries.claim(room, self._settings.lease, self._doubtful, rescue=rescue)
        except FAILURES as error:
            self._failed(error)
            if not isinstance(error, Unavailable):
                self._doubtful = None  # nothing was committed; what cannot be unclaimed waits for its lease to end
            return 0
        self._doubtful = None
        self._touch.answered()
        for delivery in claimed:
            self._held[delivery.lease] = sends.create_task(self._take(delivery), name=f"send {delivery.event_id}")
        return len(claimed)

    # One delivery.

    async def _take(self, delivery: ClaimedDelivery) -> None:
        facts = {"job": str(delivery.job_id), "tenant": delivery.tenant_id, "webhook": str(delivery.event_id)}
        with about(**facts, attempt=delivery.attempt):
            try:
                await self._end(delivery)
            except asyncio.CancelledError:  # draining, or the lease is lost, which makes this nothing
                with suppress(*FAILURES):  # once: a drain waits for no database
                    await self._defer(delivery, "handed_back")
                raise
            finally:
                self._held.pop(delivery.lease)
                self._finishing.discard(delivery.lease)
                self._refused.discard(delivery.lease)
                self._wake.set()

    async def _end(self, delivery: ClaimedDelivery) -> None:
        """It is sent, or waits on; whatever happens, it is written down."""
        try:
            await self._send_or_put_off(delivery)
        except _UnknownEvent:
            log.warning("a later version wrote what a webhook tells: it is left to a worker of that version")
            await self._put_back(delivery, "unknown_event", _ELSEWHERE_DELAY)
        except FAILURES as error:  # what it tells cannot be read: nothing was sent
            self._failed(error)
            await self._put_back(delivery, "handed_back", self._settings.poll_max)
        except Exception:
            log.exception("a delivery ended with a bug")
            await self._finish(delivery, self._judged(delivery, Unanswered("INTERNAL")))

    async def _send_or_put_off(self, delivery: ClaimedDelivery) -> None:
        if delivery.endpoint_closed:
            await self._finish(delivery, Tried(DeliveryState.DEAD, error="ENDPOINT_CLOSED"))
        elif delivery.attempt > self._settings.max_attempts + _FREE_LAPSES:
            await self._finish(delivery, Tried(DeliveryState.DEAD, error="SENDERS_DIED"))
        elif not self._secrets_for(delivery):
            await self._put_back(delivery, "no_secret", _ELSEWHERE_DELAY)
        else:
            place = await self._circuits.enter(delivery.tenant_id, delivery.url)
            if isinstance(place, timedelta):
                await self._put_back(delivery, "put_off", place)
            elif sent := await self._send(delivery, place):
                tried, span = sent
                with trace.use_span(span):  # it has ended; what is logged of it belongs to it all the same
                    await self._finish(delivery, tried)

    async def _send(self, delivery: ClaimedDelivery, place: Place) -> tuple[Tried, trace.Span] | None:
        """A try, with its place, which it leaves; None if the lease has run out meanwhile. Raises _UnknownEvent."""
        try:
            content = await self._deliveries.content(delivery, self._settings.result_max_bytes)
            if content is None:
                return Tried(DeliveryState.DEAD, error="JOB_GONE"), trace.INVALID_SPAN
            if content.event.state is None:
                raise _UnknownEvent
            if delivery.lease.lapsed():  # the process stood still: somebody else has it
                return None
            with send_span(delivery, content) as span:
                began = time.monotonic()
                answer = await self._post(delivery, content, place.tenant)
                took = time.monotonic() - began
                if asked(answer):
                    place.saw(took, well=does_well(answer), pause=pause_asked(answer, self._settings))
                tried = self._judged(delivery, answer)
                span.set_attribute(names.OUTCOME, tried.state.lower())
                self._instruments.tried(tried.state.lower(), tried.error, took)
                return tried, span
        finally:
            place.leave()

    async def _post(self, delivery: ClaimedDelivery, content: Content, line: Line) -> Answered | Unanswered:
        secrets = self._secrets_for(delivery)
        if not all(map(is_secret, secrets)):
            log.error("a webhook cannot be signed: a secret of its endpoint is none of Standard Webhooks'")
            return Unanswered("BAD_SECRET")
        body = body_of(content, self._settings.result_max_bytes)
        fields = {"content-type": "application/json", "user-agent": f"gleaner/{VERSION}"}
        fields |= signed_headers(secrets, str(delivery.event_id), body)
        if correlation := correlation_of(content).strip():
            fields["x-correlation-id"] = correlation
        with post_span(delivery, len(body)) as span:
            answer = await self._poster.post(line, delivery.url, fields | headers(), body)
            answered(span, answer)
            return answer

    def _secrets_for(self, delivery: ClaimedDelivery) -> tuple[str, ...]:
        return self._secrets if delivery.secrets is None else delivery.secrets

    def _judged(self, delivery: ClaimedDelivery, answer: Answered | Unanswered) -> Tried:
        return judge(answer, delivery.attempt, self._settings)

    async def _finish(self, delivery: ClaimedDelivery, tried: Tried) -> None:
        """Writes down what came of it."""
        age = await self._written(delivery.lease, lambda: self._deliveries.finish(delivery.lease, tried))
        if age is None:
            return  # lost; or made by a statement whose answer was lost
        if tried.state is not DeliveryState.PENDING:
            self._instruments.ended(tried.state.lower(), age)
        log.info("a webhook is %s", tried.state, extra={"status": tried.status, "error": tried.error})

    async def _put_back(self, delivery: ClaimedDelivery, why: str, delay: timedelta) -> None:
        """Nothing was sent: it waits on for `delay`, and no attempt is counted."""
        await self._written(delivery.lease, lambda: self._defer(delivery, why, delay))

    async def _defer(self, delivery: ClaimedDelivery, why: str, delay: timedelta = timedelta(0)) -> None:
        longest = timedelta(seconds=self._settings.max_age_s) if delay else None
        state = await self._deliveries.defer(delivery.lease, delay, longest=longest)
        if state is not None:
            self._instruments.put_off("expired" if state is DeliveryState.DEAD else why)

    async def _written(self, lease: DeliveryLease, write: Callable[[], Awaitable[T]]) -> T | None:
        """What `write` answers. It is asked again and again while the lease lasts: a lost answer may be a committed
        statement. Once it was refused the lease is not renewed any more. When it has run out others send."""
        self._finishing.add(lease)
        failures = 0
        while not lease.lapsed():
            try:
                return await write()
            except FAILURES as error:
                self._failed(error)
                if not isinstance(error, Unavailable):
                    self._refused.add(lease)
                failures += 1
                await asyncio.sleep(backoff(failures, _FIRST_WRITE_DELAY, self._settings.poll_max).total_seconds())
        return None

    # Upkeep.

    async def _renew(self) -> None:
        pause = self._settings.lease_s / 3
        while True:
            await asyncio.sleep(pause)
            pause = self._settings.lease_s / 3
            if not (held := self._held.keys() - self._refused):
                continue
            try:
                lost = await self._deliveries.renew(held, self._settings.lease)
            except FAILURES as error:
                self._failed(error)
                pause = min(pause, _ASK_AGAIN_S)
                continue
            self._touch.answered()
            for lease in lost - self._finishing:  # what is finished is nobody's, too
                if send := self._held.get(lease):  # it may have ended meanwhile
                    send.cancel()

    def _failed(self, error: Exception) -> None:
        """The database did not answer, or refused. The runner's jobs need this process as well: nobody ends by it."""
        if isinstance(error, Unavailable):  # which was logged where it was seen
            self._touch.silent()
        else:
            log.error("the database refuses what is asked of it: %s", type(error).__name__)  # its text may hold values

    async def _wake_at(self, stop: asyncio.Event) -> None:
        await stop.wait()
        self._wake.set()
