"""The loop that sends due deliveries: claim, send, renew, finish. It runs beside the runner and shares nothing with it.

At least once: a sender that dies, or whose last statement was not answered, leaves its delivery to the next one.
"""

import asyncio
import logging
import random
import time
from contextlib import suppress
from datetime import timedelta
from uuid import uuid4

from opentelemetry import trace

from gleaner_core.errors import Unavailable
from gleaner_core.version import VERSION
from gleaner_repo import ClaimedDelivery, Content, DeliveryLease, DeliveryRepository, DeliveryState, Tried
from gleaner_runner.health import Touch
from gleaner_telemetry import about, headers, names
from gleaner_worker.webhooks.circuits import Circuit, Circuits
from gleaner_worker.webhooks.payload import body_of, correlation_of
from gleaner_worker.webhooks.posting import Answered, Poster, Unanswered
from gleaner_worker.webhooks.settings import WebhookSettings
from gleaner_worker.webhooks.signing import signed_headers
from gleaner_worker.webhooks.telemetry import Instruments
from gleaner_worker.webhooks.tracing import answered, post_span, send_span
from gleaner_worker.webhooks.verdict import does_well, judge, pause_asked

log = logging.getLogger(__name__)

_SHORTEST_PAUSE_S = 0.1
_BREATH_S = 0.05  # between two looks that find nothing, however often somebody wakes us
_FREE_LAPSES = 3  # tries beyond the last one, for a delivery whose senders died: what came of those is not known
_NO_SECRET_DELAY = timedelta(minutes=1)


class Sender:
    """Sends what is due, as many at once as there are slots."""

    def __init__(
        self, deliveries: DeliveryRepository, poster: Poster, settings: WebhookSettings, *, grace: timedelta
    ) -> None:
        self.holder = uuid4()
        self._deliveries = deliveries
        self._poster = poster
        self._settings = settings
        self._grace = grace
        self._secrets = settings.signing_secrets
        self._held: dict[DeliveryLease, asyncio.Task[None]] = {}
        self._finishing: set[DeliveryLease] = set()
        self._wake = asyncio.Event()
        self._touch = Touch(settings.lease_s)
        self._circuits = Circuits(
            limit=settings.endpoint_slots, threshold=settings.breaker_failures, pause_s=settings.breaker_pause_s
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
            room = self._settings.slots - len(self._held)
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
            claimed = await self._deliveries.claim(room, self._settings.lease, self.holder, rescue=rescue)
        except Unavailable:
            self._touch.silent()  # if it was committed, the leases lapse and others send
            return 0
        self._touch.answered()
        for delivery in claimed:
            self._held[delivery.lease] = sends.create_task(self._take(delivery), name=f"send {delivery.event_id}")
        return len(claimed)

    # One delivery.

    async def _take(self, delivery: ClaimedDelivery) -> None:
        facts = {"job": str(delivery.job_id), "tenant": delivery.tenant_id, "webhook": str(delivery.event_id)}
        with about(**facts, attempt=delivery.attempt):
            try:
                await self._send_or_put_off(delivery)
            except asyncio.CancelledError:  # draining, or the lease is lost, which makes this nothing
                await self._put_back(delivery, "handed_back")
                raise
            except Unavailable:
                self._touch.silent()
                log.info("the database does not answer: whoever finds the lease lapsed sends again")
            except Exception:
                log.exception("a delivery ended with a bug")
                await self._finish(delivery, self._judged(delivery, Unanswered("INTERNAL")))
            finally:
                self._held.pop(delivery.lease)
                self._finishing.discard(delivery.lease)
                self._wake.set()

    async def _send_or_put_off(self, delivery: ClaimedDelivery) -> None:
        if delivery.endpoint_closed:
            await self._finish(delivery, Tried(DeliveryState.DEAD, error="ENDPOINT_CLOSED"))
        elif delivery.attempt > self._settings.max_attempts + _FREE_LAPSES:
            await self._finish(delivery, Tried(DeliveryState.DEAD, error="SENDERS_DIED"))
        elif not self._secrets_for(delivery):
            await self._put_back(delivery, "no_secret", _NO_SECRET_DELAY)
        else:
            circuit = self._circuits.of(delivery.tenant_id, delivery.url)
            if (wait := await circuit.enter()) is not None:
                await self._put_back(delivery, "put_off", wait)
            elif sent := await self._send(delivery, circuit):
                tried, span = sent
                with trace.use_span(span):  # it has ended; what is logged of it belongs to it all the same
                    await self._finish(delivery, tried)

    async def _send(self, delivery: ClaimedDelivery, circuit: Circuit) -> tuple[Tried, trace.Span] | None:
        """A try, with its place in the circuit, which it leaves; None if the lease has run out meanwhile."""
        try:
            content = await self._deliveries.content(delivery, self._settings.result_max_bytes)
            if content is None:
                return Tried(DeliveryState.DEAD, error="JOB_GONE"), trace.INVALID_SPAN
            if delivery.lease.lapsed():  # the process stood still: somebody else has it
                return None
            with send_span(delivery, content) as span:
                began = time.monotonic()
                answer = await self._post(delivery, content)
                took = time.monotonic() - began
                circuit.saw(took, well=does_well(answer), pause=pause_asked(answer, self._settings))
                tried = self._judged(delivery, answer)
                span.set_attribute(names.OUTCOME, tried.state.lower())
                self._instruments.tried(tried.state.lower(), tried.error, took)
                return tried, span
        finally:
            circuit.leave()

    async def _post(self, delivery: ClaimedDelivery, content: Content) -> Answered | Unanswered:
        body = body_of(content, self._settings.result_max_bytes)
        fields = {"content-type": "application/json", "user-agent": f"gleaner/{VERSION}"}
        fields |= signed_headers(self._secrets_for(delivery), str(delivery.event_id), body)
        if correlation := correlation_of(content).strip():
            fields["x-correlation-id"] = correlation
        with post_span(delivery, len(body)) as span:
            answer = await self._poster.post(delivery.url, fields | headers(), body)
            answered(span, answer)
            return answer

    def _secrets_for(self, delivery: ClaimedDelivery) -> tuple[str, ...]:
        return self._secrets if delivery.secrets is None else delivery.secrets

    def _judged(self, delivery: ClaimedDelivery, answer: Answered | Unanswered) -> Tried:
        return judge(answer, delivery.attempt, self._settings)

    async def _finish(self, delivery: ClaimedDelivery, tried: Tried) -> None:
        """Writes down what came of it, again and again while the lease lasts: a lost answer may be a committed
        statement."""
        self._finishing.add(delivery.lease)
        while not delivery.lease.lapsed():
            try:
                age = await self._deliveries.finish(delivery.lease, tried)
            except Unavailable:
                self._touch.silent()
                await asyncio.sleep(random.uniform(0.05, 0.5))
                continue
            if age is None:
                return  # lost; or made by the statement whose answer was lost
            if tried.state is not DeliveryState.PENDING:
                self._instruments.ended(tried.state.lower(), age)
            log.info("a webhook is %s", tried.state, extra={"status": tried.status, "error": tried.error})
            return

    async def _put_back(self, delivery: ClaimedDelivery, why: str, delay: timedelta = timedelta(0)) -> None:
        longest = timedelta(seconds=self._settings.max_age_s) if delay else None
        with suppress(Unavailable):  # else the lease lapses
            state = await self._deliveries.defer(delivery.lease, delay, longest=longest)
            if state is not None:
                self._instruments.put_off("expired" if state is DeliveryState.DEAD else why)

    # Upkeep.

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(self._settings.lease_s / 3)
            asked = set(self._held)
            try:
                lost = await self._deliveries.renew(asked, self._settings.lease) if asked else set()
            except Unavailable:
                self._touch.silent()
                continue
            self._touch.answered()
            for lease in lost - self._finishing:  # what is finished is nobody's, too
                if send := self._held.get(lease):  # it may have ended meanwhile
                    send.cancel()

    async def _wake_at(self, stop: asyncio.Event) -> None:
        await stop.wait()
        self._wake.set()
