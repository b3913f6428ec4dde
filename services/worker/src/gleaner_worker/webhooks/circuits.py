"""How much a receiver is asked at once, and when it is left alone: a limit and a circuit breaker for each of a tenant's
hosts, in this process.

What a receiver will soon have time for waits in line. The rest is put back, costs no attempt, and gets its turn as the
receiver is expected to get through what is before it.
"""

import asyncio
import random
import time
from dataclasses import dataclass, field
from datetime import timedelta
from urllib.parse import urlsplit

_PATIENCE_S = 0.25
_LONGEST_PAUSE_S = 300.0
_MOST_REMEMBERED = 4096
_SMOOTHING = 0.2


@dataclass(slots=True)
class Circuit:
    """One receiver, as it behaved lately. After `threshold` failures in a row it is open: nothing is sent. When its
    pause is over, one delivery at a time is let through until one arrives.
    """

    limit: int
    threshold: int
    pause_s: float
    failures: int = 0
    in_flight: int = 0
    opens_at: float = 0.0  # by the monotonic clock, as all times here
    _mean_s: float = 0.2
    _moved_at: float = 0.0
    _last_turn: float = 0.0
    _line: int = 0
    _freed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def idle(self) -> bool:
        """Whether there is nothing to remember about it."""
        return not self.in_flight and not self._line and not self.failures and time.monotonic() >= self.opens_at

    async def enter(self) -> timedelta | None:
        """None if a delivery may be sent now, to be followed by `leave`; else how long it has to wait elsewhere."""
        try:
            async with asyncio.timeout(_PATIENCE_S):
                while not self._take():
                    if not self._soon():
                        return self._turn()
                    self._line += 1
                    try:
                        await self._freed.wait()
                    finally:
                        self._line -= 1
        except TimeoutError:
            return self._turn()
        return None

    def leave(self) -> None:
        """A delivery is under way no more."""
        self.in_flight -= 1
        self._moved_at = time.monotonic()
        self._freed.set()  # wakes those in line
        self._freed.clear()

    def saw(self, took_s: float, *, well: bool, pause: timedelta | None = None) -> None:
        """The receiver did well or not; `pause` is what it asked for."""
        now = time.monotonic()
        self._mean_s += _SMOOTHING * (took_s - self._mean_s)
        if pause is not None:
            self.opens_at = max(self.opens_at, now + pause.total_seconds())
        if well:
            if self.failures:
                self._last_turn = 0.0  # the turns were given for a receiver that was slow or away
            self.failures = 0
        elif now >= self.opens_at:  # what was sent before it opened tells nothing new
            self.failures += 1
            if self.failures >= self.threshold:
                longest = min(self.pause_s * 2 ** min(self.failures - self.threshold, 16), _LONGEST_PAUSE_S)
                self.opens_at = now + longest * random.uniform(0.5, 1)

    def _take(self) -> bool:
        now = time.monotonic()
        if now < self.opens_at or self.in_flight >= (1 if self.failures >= self.threshold else self.limit):
            return False
        self.in_flight += 1
        self._moved_at = now
        return True

    def _soon(self) -> bool:
        """Whether those in line, and one more, will have gone within a moment; not if nothing moves."""
        now = time.monotonic()
        if now < self.opens_at or self.failures >= self.threshold:
            return False
        return (self._line + 1) * max(self._mean_s, now - self._moved_at) / self.limit <= _PATIENCE_S

    def _turn(self) -> timedelta:
        now = time.monotonic()
        self._last_turn = max(self._last_turn, self.opens_at, now) + self._mean_s / self.limit
        return timedelta(seconds=min(self._last_turn - now, _LONGEST_PAUSE_S) * random.uniform(1, 1.1))


class Circuits:
    """A circuit for each of a tenant's hosts, so that no tenant's receiver costs another's."""

    def __init__(self, *, limit: int, threshold: int, pause_s: float) -> None:
        self._limit, self._threshold, self._pause_s = limit, threshold, pause_s
        self._circuits: dict[tuple[str, str], Circuit] = {}

    def of(self, tenant_id: str, url: str) -> Circuit:
        """The circuit of the URL's host and port."""
        if len(self._circuits) >= _MOST_REMEMBERED:
            self._circuits = {key: circuit for key, circuit in self._circuits.items() if not circuit.idle}
        key = (tenant_id, urlsplit(url).netloc.lower())
        return self._circuits.setdefault(key, Circuit(self._limit, self._threshold, self._pause_s))
