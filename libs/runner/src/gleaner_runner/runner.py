"""The loop that both workers run: claim, run, renew, finish.

Structure does the work: an inner task group is the drain, the outer one outlives it, so that leases are renewed to the
last job. What is lost is stopped, once; what is in doubt is settled by reading.
"""

import asyncio
import logging
import random
import time
from contextlib import suppress
from datetime import datetime, timedelta
from uuid import uuid4

from gleaner_core.backoff import backoff
from gleaner_core.errors import JobError, ResultTooLarge, Unavailable, WorkError, WorkTimeout
from gleaner_repo import FAILURES, ClaimedJob, Doubt, Finished, JobRepository, Lease
from gleaner_repo.coalescer import FinishCoalescer
from gleaner_repo.jobs import EPOCH
from gleaner_repo.moves import SUSPECT_LAPSES
from gleaner_runner.health import Touch
from gleaner_runner.leg import Ending, Leg
from gleaner_runner.settings import RunnerSettings
from gleaner_runner.slots import Slots
from gleaner_runner.telemetry import Instruments
from gleaner_runner.tracing import ClaimTimes, run_span, settle_span
from gleaner_telemetry import about

log = logging.getLogger(__name__)

_SHORTEST_PAUSE_S = 0.05
_WATERMARK_MARGIN = timedelta(seconds=5)
_FULL_LOOK_S = 1.0
_SUSPECTS_EVERY_S = 0.5  # between jobs that come one by one, half of the looks would be for what is rare
_READINESS_S = 60.0  # after this long with a suspect that nobody runs, one more worker makes room for it
_LONGEST_MARGIN_S = 0.5
_ASK_AGAIN_S = 1.0  # a lease of three heartbeats has no slack for two renewals without an answer


class Runner:
    """Runs one leg's jobs in this process, as many at once as there are slots."""

    def __init__(self, leg: Leg, jobs: JobRepository, slots: Slots, settings: RunnerSettings) -> None:
        self.holder = uuid4()  # of this process start, never a pod's name: those come back
        self._leg = leg
        self._jobs = jobs
        self._endings = FinishCoalescer(jobs)
        self._slots = slots
        self._settings = settings
        lease_s = leg.settings.lease.total_seconds()
        self._margin_s = min(_LONGEST_MARGIN_S, lease_s / 10)
        self._ask_again = min(_ASK_AGAIN_S, settings.heartbeat_s)
        self._held: dict[Lease, asyncio.Task[None]] = {}
        self._finishing: set[Lease] = set()
        self._more = True  # work may wait that there was no room for
        self._held_up = False  # free slots wait for runs to be ended
        self._claiming = asyncio.Lock()
        self._doubt = asyncio.Event()  # the database may say that we hold what we do not know
        self._wake = asyncio.Event()
        self._touch = Touch(lease_s)
        self._low, self._full_look_at = EPOCH, 0.0
        self._dice_at = 0.0
        self._suspects_at = 0.0
        self._instruments = Instruments(leg.number)
        slots.on_free(self._look_on)

    def offer(self) -> int:
        """There is work: look at once. Returns how many slots are free for it."""
        self._wake.set()
        return 0 if self._slots.emptying else self._slots.free

    async def run(self, stop: asyncio.Event) -> None:
        """Run jobs until `stop` is set, then drain: no new claims, a grace period for those that run."""
        log.info("claiming", extra={"holder": str(self.holder), "leg": self._leg.number})
        async with asyncio.TaskGroup() as background:
            upkeep = [
                background.create_task(loop(), name=name)
                for name, loop in (
                    ("renew", self._renew),
                    ("fence", self._fence),
                    ("settle", self._settle),
                    ("rescue", self._rescue),
                    ("end", self._endings.run),
                )
            ]
            waker = background.create_task(self._wake_at(stop))
            try:
                async with asyncio.timeout(None) as patience, asyncio.TaskGroup() as runs:
                    await self._claim_until(stop, runs)
                    log.info("draining: %d jobs are running", len(self._held))
                    patience.reschedule(asyncio.get_running_loop().time() + self._settings.run_grace_s)
            except TimeoutError:
                log.info("out of patience: what still ran was handed back")
            for task in (*upkeep, waker):
                task.cancel()

    # Claiming.

    def _look_on(self) -> None:
        # A look that found less than there was room for has seen the queue empty: what came since is offered.
        if self._more:
            self._wake.set()

    async def _claim_until(self, stop: asyncio.Event, runs: asyncio.TaskGroup) -> None:
        pause = _SHORTEST_PAUSE_S
        while not stop.is_set():
            self._wake.clear()
            room = self._room()
            self._held_up = not room and self._slots.free > 0
            taken = await self._claim(room, runs) if room else 0
            self._more = taken == room
            if room and taken == room:
                continue
            pause = _SHORTEST_PAUSE_S if taken else min(2 * pause, self._settings.poll_max_s)
            with suppress(TimeoutError):
                async with asyncio.timeout(random.uniform(0.5, 1) * pause):
                    await self._wake.wait()
                pause = _SHORTEST_PAUSE_S

    def _room(self) -> int:
        """How many jobs may be claimed; that many slots are reserved, if any.

        A slot is free when its work has stopped, before that is written down: as many ends may wait to be as there are
        slots.
        """
        if self._slots.emptying and self._busy:
            return 0
        return self._slots.reserve(2 * self._slots.size - len(self._held))

    @property
    def _busy(self) -> bool:
        """Whether anything is worked on here, or its end is being written."""
        return bool(self._held) or self._slots.free < self._slots.size

    async def _claim(self, room: int, runs: asyncio.TaskGroup) -> int:
        """Claims up to `room` jobs, in slots that are reserved, and starts them; returns how many slots they take."""
        taken = 0
        try:
            taken = await self._claim_and_start(room, runs)
        finally:
            self._slots.settle(taken)
        return taken

    async def _claim_and_start(self, room: int, runs: asyncio.TaskGroup) -> int:
        async with self._claiming:
            times = ClaimTimes()
            try:
                claimed = await self._claim_some(room)
            except FAILURES as error:
                self._unanswered(error)
                self._doubt.set()  # it may have been committed
                return 0
            times.was_answered(len(claimed))
            self._touch.answered()
            self._instruments.claimed(claimed)
            # Too late an answer for the work to begin: a run that is stopped before its first step ends nothing.
            begun = [job for job in claimed if job.lease.left > self._margin_s]
            if len(begun) < len(claimed):
                self._doubt.set()
            for job in begun:
                self._held[job.lease] = runs.create_task(self._run(job, times), name=f"run {job.id}")
            return sum(self._places(job) for job in begun)

    def _unanswered(self, error: Exception) -> None:
        self._touch.silent()
        if not isinstance(error, Unavailable):  # its text may quote a row
            log.error("the database refuses what the loop asks: %s", type(error).__name__)

    async def _claim_some(self, room: int) -> list[ClaimedJob]:
        alone = room == self._slots.size and not self._held
        if alone and self._slots.emptying:
            suspects = await self._claim_suspect()
            self._slots.emptying = False  # it was for this one, or another worker was faster
            self._dice_at = 0.0  # for the next one this worker is as good as any
            if suspects:
                return suspects
        claimed = await self._claim_due(room)
        if not claimed and alone and self._suspects_at <= time.monotonic():
            self._suspects_at = time.monotonic() + _SUSPECTS_EVERY_S
            claimed = await self._claim_suspect()
        return claimed

    def _places(self, job: ClaimedJob) -> int:
        """How many slots the job takes: a suspect all of them, so that nothing runs beside it."""
        return self._slots.size if job.lapses >= SUSPECT_LAPSES else 1

    async def _claim_suspect(self) -> list[ClaimedJob]:
        return await self._jobs.claim(self._leg.moves.claim_suspect, 1, self._leg.settings.lease, self.holder)

    async def _claim_due(self, room: int) -> list[ClaimedJob]:
        # Rows that were claimed lie dead at the low end of the index until a vacuum may take them: start behind them.
        now = time.monotonic()
        low: datetime = self._low
        if now - self._full_look_at >= _FULL_LOOK_S:
            low, self._full_look_at = EPOCH, now
        claimed = await self._jobs.claim(self._leg.moves.claim, room, self._leg.settings.lease, self.holder, low)
        if claimed:
            self._low = claimed[0].available_at - _WATERMARK_MARGIN
        return claimed

    # Running.

    async def _run(self, job: ClaimedJob, claim: ClaimTimes) -> None:
        with about(job=str(job.id), tenant=job.tenant_id, attempt=job.attempt), run_span(job, claim) as span:
            try:
                try:
                    ending = await self._outcome(job)
                finally:
                    self._slots.give(self._places(job))
                if ending:
                    span.set_attribute("gleaner.move", ending.move)
                    await self._finish(job, ending)
                else:
                    await self._hand_back(job.lease)
            except asyncio.CancelledError:
                # Draining, or the lease is lost. Fencing makes them one case: what is lost hands nothing back.
                await self._hand_back(job.lease)
                raise
            finally:
                self._held.pop(job.lease, None)
                if self._held_up:
                    self._wake.set()

    async def _outcome(self, job: ClaimedJob) -> Ending | None:
        """How the run ended; None if the database kept it from its work, which is never the job's failure."""
        began = time.monotonic()
        limit = asyncio.timeout(self._leg.settings.run_limit.total_seconds())
        try:
            async with limit:
                bodies = await self._jobs.bodies(job)
                if bodies is None:
                    return None
                ending = await self._leg.run(job, bodies)
            self._check(ending)
        except Unavailable:
            self._touch.silent()
            return None
        except Exception as error:
            # A time-out of another's making is that one's, and none that we know of.
            late = isinstance(error, TimeoutError) and limit.expired()
            ending = self._failure(job, self._too_late() if late else error)
        self._instruments.ran(ending.move, time.monotonic() - began, ending.how.error)
        return ending

    def _too_late(self) -> WorkTimeout:
        return WorkTimeout(f"the run took longer than {self._leg.settings.run_limit.total_seconds():g} s")

    def _check(self, ending: Ending) -> None:
        """Raises ResultTooLarge if nobody could read the result: an answer that gRPC does not send is none."""
        size, most = len(ending.how.result or b""), self._leg.settings.max_result_bytes
        if size > most:
            raise ResultTooLarge(f"the result has {size} bytes, more than the {most} that an answer has room for")

    def _failure(self, job: ClaimedJob, error: Exception) -> Ending:
        if isinstance(error, WorkError):
            told, wait = error.job_error(), error.retry_after
            log.info("the run ended with %s", told.reason)
        else:  # a bug of ours: another attempt, perhaps on another worker, may still do
            told, wait = JobError("INTERNAL", "something went wrong that should not have", retryable=True), None
            log.exception("the run ended with a bug")
        if not told.retryable or job.attempt >= self._leg.settings.max_attempts:
            return Ending(self._leg.moves.fail, Finished(error=told))
        base = timedelta(seconds=self._settings.retry_base_delay_s)
        cap = timedelta(seconds=self._settings.retry_max_delay_s)
        delay = backoff(job.attempt, base, cap) if wait is None else min(max(wait, timedelta(0)), cap)
        return Ending(self._leg.moves.requeue, Finished(error=told, delay=delay))

    async def _finish(self, job: ClaimedJob, ending: Ending) -> None:
        self._finishing.add(job.lease)
        try:
            with settle_span(job, ending.move):
                try:
                    await self._write(job, ending)
                except Exception as error:  # refused: a bug of ours in what it says, and the other runs go on
                    await self._write(job, self._failure(job, error))
        finally:
            self._finishing.discard(job.lease)

    async def _write(self, job: ClaimedJob, ending: Ending) -> None:
        """Writes the ending, again and again while the lease lasts: a lost answer may be a committed statement."""
        in_doubt = False
        while not job.lease.lapsed():
            # In doubt alone: what held up a statement that was shared may be this one's row.
            finish = self._jobs.finish if in_doubt else self._endings.finish
            try:
                made = await finish(ending.move, job.lease, ending.how) is not None
                if not made and in_doubt:
                    made = await self._jobs.doubt(ending.move, job.lease) is Doubt.MADE
            except Unavailable:
                in_doubt = True
                self._touch.silent()
                await asyncio.sleep(random.uniform(0.05, 0.5))
                continue
            if made:
                self._leg.won(job, ending.move)
            else:
                self._instruments.lost_race(ending.move)
                log.debug("somebody else ended the run")
            return
        self._doubt.set()

    async def _hand_back(self, lease: Lease) -> None:
        self._held.pop(lease, None)  # else it might be found lost meanwhile: a second cancel would interrupt this
        try:
            if await self._jobs.finish(self._leg.moves.hand_back, lease, Finished()):
                log.info("handed back")
        except Unavailable:
            self._touch.silent()
            self._doubt.set()

    # Upkeep.

    async def _renew(self) -> None:
        """Renews what is held, each heartbeat from when the last was sent, and waits for nothing else."""
        clock = asyncio.get_running_loop().time
        due = clock() + self._settings.heartbeat_s
        while True:
            await asyncio.sleep(due - clock())
            due = clock() + self._settings.heartbeat_s
            asked = set(self._held)  # what is claimed while the answer is under way was not asked for
            if not asked:
                continue
            try:
                renewal = await self._jobs.renew(asked, self._leg.settings.lease)
            except FAILURES as error:
                self._unanswered(error)
                self._doubt.set()
                due = min(due, clock() + self._ask_again)
                continue
            self._touch.answered()
            self._instruments.renewed(len(renewal.kept), len(renewal.lost), len(renewal.unknown))
            self._drop(renewal.lost - self._finishing)  # a finished job's row is gone, too
            if renewal.unknown:
                due = min(due, clock() + self._ask_again)

    async def _fence(self) -> None:
        """Stops what is about to run out by our own count, however long the database takes to answer.

        Before anybody else may take it, and not after: work takes a moment to stop.
        """
        while True:
            await asyncio.sleep(self._margin_s / 2)
            self._drop({lease for lease in self._held if lease.left <= self._margin_s})

    def _drop(self, leases: set[Lease] | frozenset[Lease]) -> None:
        for lease in leases:
            if run := self._held.pop(lease, None):  # it may have ended meanwhile
                log.warning("lease lost: the run is stopped", extra={"job": str(lease.job_id)})
                run.cancel()  # once: a second cancel would interrupt the hand-back

    async def _settle(self) -> None:
        """Hands back what the database says we hold and we do not know: claims and hand-backs whose answer was lost."""
        while True:
            await self._doubt.wait()
            await asyncio.sleep(self._ask_again)  # what was given up may be carried out yet
            try:
                async with self._claiming:  # else the claim under way would be handed back
                    self._doubt.clear()  # before it is asked: what is in doubt from here on is asked again
                    unknown = await self._jobs.held_by(self.holder, self._leg.number) - set(self._held)
                    for lease in unknown:
                        await self._jobs.finish(self._leg.moves.hand_back, lease, Finished())
            except FAILURES as error:
                self._unanswered(error)
                self._doubt.set()
            else:
                self._touch.answered()

    async def _rescue(self) -> None:
        while True:
            await asyncio.sleep(random.uniform(1, 2) * self._settings.rescue_interval_s)
            if not self._touch.unbroken():
                continue
            try:
                rescued = await self._jobs.rescue(
                    base=timedelta(seconds=self._settings.retry_base_delay_s),
                    cap=timedelta(seconds=self._settings.retry_max_delay_s),
                )
                # Who has nothing to do finds them by itself.
                looks = self._slots.emptying or self._busy
                workers = await self._jobs.suspects_due(self._leg.number) if looks else 0
            except FAILURES as error:
                self._unanswered(error)
                continue
            self._touch.answered()
            self._make_room(workers)
            for move, jobs in rescued.items():
                for job in jobs:
                    log.warning("%s: a lease had run out", move, extra={"job": str(job.id), "lapses": job.lapses})
            if any(rescued.values()):
                self._instruments.rescued({move: len(jobs) for move, jobs in rescued.items()})
                self._wake.set()

    def _make_room(self, workers: int) -> None:
        """Lets the slots get empty while suspects are due that so many workers might run, once that was decided: to
        decide anew each time would let the next jobs in before the last run has ended.

        By a dice, so that about one of all workers does it, and one more each minute, for the first may have a long run
        to wait for. All of them would stop the queue for one job.
        """
        now = time.monotonic()
        wanted = workers > 0 and self._slots.emptying
        if not workers:
            self._dice_at = now
        elif not wanted and self._dice_at <= now:
            self._dice_at = now + _READINESS_S * random.uniform(0.75, 1.25)
            wanted = random.random() < 1 / workers
        if wanted != self._slots.emptying:
            self._slots.emptying = wanted
            self._wake.set()

    async def _wake_at(self, stop: asyncio.Event) -> None:
        await stop.wait()
        self._wake.set()
