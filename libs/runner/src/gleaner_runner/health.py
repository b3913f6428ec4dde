"""Whether this process has been in touch with the database for long enough to judge others."""

import time


class Touch:
    """Remembers since when the database has answered without a gap.

    After an outage every lease has lapsed, of the healthy too: who rescued at once would rob them (100 of 200 jobs,
    when it was tried). So a worker rescues only after a whole lease of answers, in which everybody else could renew.
    A silence of half a lease is no gap yet: others' leases, of three heartbeats, had two thirds left when it began.
    """

    def __init__(self, lease_s: float) -> None:
        self._lease_s = lease_s
        self._longest_silence_s = lease_s / 2
        self._since: float | None = None
        self._last = 0.0

    def answered(self) -> None:
        """The database answered just now. A silence before it, even of a process that was stopped, is a gap."""
        now = time.monotonic()
        if self._since is None or now - self._last > self._longest_silence_s:
            self._since = now
        self._last = now

    def silent(self) -> None:
        """The database did not answer."""
        self._since = None

    def unbroken(self) -> bool:
        """Whether it has answered without a gap for a whole lease, until now."""
        now = time.monotonic()
        return (
            self._since is not None
            and now - self._last <= self._longest_silence_s
            and now - self._since >= self._lease_s
        )
