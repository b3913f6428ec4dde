"""How much a receiver is asked at once, and when it is left alone: a limit and a circuit breaker for each of a tenant's
hosts, in this process.

What may not be sent now is put back and costs no attempt. Its turn comes as the receiver gets through what is before
it.
"""

import random
import time
from dataclasses import dataclass, field
from datetime import timedelta
from urllib.parse import urlsplit

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
    opens_at: float = field(default=0.0)  # by the monotonic clock
    _mean_s: float = 0.2
    _last_turn: float = 0.0

    @property
    def idle(self) -> bool:
        """Whether there is nothing to remember about it."""
        return not self.in_flight and not self.failures and time.monotonic() >= self.opens_at

    def enter(self) -> timedelta | None:
        """None if a delivery may be sent now, to be followed by `leave`; else how long it has to wait."""
        now = time.monotonic()
        if now >= self.opens_at and self.in_flight < (1 if self.failures >= self.threshold else self.limit):
            self.in_flight += 1
            return None
        self._last_turn = max(self._last_turn, self.opens_at, now) + self._mean_s / self.limit
        wait = min(self._last_turn - now, _LONGEST_PAUSE_S)
        return timedelta(seconds=wait * random.uniform(1, 1.1))

    def leave(self) -> None:
        """A delivery is under way no more; nothing is known of the receiver."""
        self.in_flight -= 1

    def saw(self, took_s: float, *, well: bool, pause: timedelta | None = None) -> None:
        """The receiver did well or not; `pause` is what it asked for."""
        now = time.monotonic()
        self._mean_s += _SMOOTHING * (took_s - self._mean_s)
        if pause is not None:
            self.opens_at = max(self.opens_at, now + pause.total_seconds())
        if well:
            self.failures = 0
            self._last_turn = 0.0
        elif now >= self.opens_at:  # what was sent before it opened tells nothing new
            self.failures += 1
            if self.failures >= self.threshold:
                longest = min(self.pause_s * 2 ** min(self.failures - self.threshold, 16), _LONGEST_PAUSE_S)
                self.opens_at = now + longest * random.uniform(0.5, 1)


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
