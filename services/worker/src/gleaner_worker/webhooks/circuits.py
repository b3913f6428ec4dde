"""How much is sent at once, and when a receiver is left alone: a limit for each tenant, and a limit and a circuit
breaker for each of its hosts, in this process.

What there will soon be room for waits in line. The rest is put back, costs no attempt, and gets its turn when what is
before it is expected to have been sent.
"""

import asyncio
import random
import time
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

_PATIENCE_S = 0.25
_LONGEST_PAUSE_S = 300.0
_MOST_REMEMBERED = 4096
_SMOOTHING = 0.2


@dataclass(slots=True, kw_only=True)
class Line:
    """Room for `limit` deliveries at once."""

    limit: int
    in_flight: int = 0
    _mean_s: float = 0.2
    _moved_at: float = 0.0  # by the monotonic clock, as all times here
    _last_turn: float = 0.0
    _line: int = 0
    _freed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def idle(self) -> bool:
        """Whether nothing is under way and nobody waits."""
        return not self.in_flight and not self._line and time.monotonic() >= self._opens()

    async def enter(self) -> timedelta | None:
        """None if a delivery may be sent now, to be followed by `began` and `leave`, or by `give_back`; else how long
        it has to wait elsewhere."""
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

    def began(self) -> None:
        """A delivery that has entered is under way."""
        self._moved_at = time.monotonic()

    def leave(self) -> None:
        """A delivery is under way no more."""
        self._moved_at = time.monotonic()
        self.give_back()

    def give_back(self) -> None:
        """A place that was entered is free again; if it was not used, nothing has moved."""
        self.in_flight -= 1
        self._freed.set()  # wakes those in line
        self._freed.clear()

    def stay(self, until: asyncio.Future[Any]) -> None:
        """Something that a delivery left behind keeps a place of its own."""
        self.in_flight += 1
        until.add_done_callback(lambda _: self.leave())

    def took(self, took_s: float) -> None:
        """A delivery took so long."""
        self._mean_s += _SMOOTHING * (took_s - self._mean_s)

    def _places(self) -> int:
        """How many may be under way for now."""
        return self.limit

    def _opens(self) -> float:
        """From when on there is any room."""
        return 0.0

    def _take(self) -> bool:
        if time.monotonic() < self._opens() or self.in_flight >= self._places():
            return False
        self.in_flight += 1
        return True

    def _soon(self) -> bool:
        """Whether those in line, and one more, will have gone within a moment; not if nothing moves."""
        now = time.monotonic()
        if now < self._opens() or self._places() < self.limit:
            return False
        return (self._line + 1) * max(self._mean_s, now - self._moved_at) / self.limit <= _PATIENCE_S

    def _turn(self) -> timedelta:
        now = time.monotonic()
        next_turn = max(self._last_turn, self._opens(), now) + self._mean_s / self.limit
        self._last_turn = min(next_turn, now + _LONGEST_PAUSE_S)  # who is put back for long enough asks again
        return timedelta(seconds=(self._last_turn - now) * random.uniform(1, 1.1))


@dataclass(slots=True, kw_only=True)
class Circuit(Line):
    """One receiver, as it behaved lately. After `threshold` failures in a row it is open: nothing is sent. When its
    pause is over, one delivery at a time is let through until one arrives.
    """

    threshold: int
    pause_s: float
    failures: int = 0
    opens_at: float = 0.0

    def saw(self, took_s: float, *, well: bool, pause: timedelta | None = None) -> None:
        """The receiver did well or not; `pause` is what it asked for."""
        now = time.monotonic()
        self.took(took_s)
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

    def _places(self) -> int:
        return 1 if self.failures >= self.threshold else self.limit

    def _opens(self) -> float:
        return self.opens_at


@dataclass(frozen=True, slots=True)
class Place:
    """A delivery's place at its receiver, and among those of its tenant."""

    circuit: Circuit
    tenant: Line

    def began(self) -> None:
        """The delivery is under way."""
        self.circuit.began()
        self.tenant.began()

    def saw(self, took_s: float, *, well: bool, pause: timedelta | None) -> None:
        """What came of the delivery."""
        self.circuit.saw(took_s, well=well, pause=pause)
        self.tenant.took(took_s)

    def leave(self) -> None:
        """The delivery is under way no more."""
        self.circuit.leave()
        self.tenant.leave()


class Circuits:
    """A circuit for each of a tenant's hosts, so that no tenant's receiver costs another's, and a line for each tenant,
    so that no tenant's many receivers do.
    """

    def __init__(self, *, limit: int, tenant_limit: int, threshold: int, pause_s: float) -> None:
        self._limit, self._tenant_limit, self._threshold, self._pause_s = limit, tenant_limit, threshold, pause_s
        self._circuits: dict[tuple[str, str], Circuit] = {}
        self._tenants: dict[str, Line] = {}

    async def enter(self, tenant_id: str, url: str) -> Place | timedelta:
        """The place of a delivery that may be sent now, to be left; else how long it has to wait elsewhere."""
        circuit = self.of(tenant_id, url)
        if (wait := await circuit.enter()) is not None:
            return wait
        tenant = self._line_of(tenant_id)
        place = None
        try:
            if (wait := await tenant.enter()) is not None:
                return wait
            place = Place(circuit, tenant)
        finally:
            if place is None:
                circuit.give_back()
        place.began()
        return place

    def of(self, tenant_id: str, url: str) -> Circuit:
        """The circuit of the URL's host and port."""
        if len(self._circuits) >= _MOST_REMEMBERED:
            self._circuits = {key: made for key, made in self._circuits.items() if made.failures or not made.idle}
        key = (tenant_id, urlsplit(url).netloc.lower())
        new = Circuit(limit=self._limit, threshold=self._threshold, pause_s=self._pause_s)
        return self._circuits.setdefault(key, new)

    def _line_of(self, tenant_id: str) -> Line:
        if len(self._tenants) >= _MOST_REMEMBERED:
            self._tenants = {key: line for key, line in self._tenants.items() if not line.idle}
        return self._tenants.setdefault(tenant_id, Line(limit=self._tenant_limit))
