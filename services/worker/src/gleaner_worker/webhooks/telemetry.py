"""Metrics of webhooks."""

from datetime import timedelta

from gleaner_telemetry import metrics, names


class Instruments:
    """What is counted of deliveries."""

    def __init__(self) -> None:
        self._tries = metrics.WEBHOOK_TRIES.make()
        self._ended = metrics.WEBHOOK_DELIVERIES.make(*({names.OUTCOME: outcome} for outcome in ("delivered", "dead")))
        self._ages = metrics.WEBHOOK_AGE.make()
        self._durations = metrics.WEBHOOK_DURATION.make()

    def tried(self, outcome: str, error: str | None, seconds: float) -> None:
        """A try ended."""
        self._tries.add(1, {names.OUTCOME: outcome, names.ERROR_TYPE: error or ""})
        self._durations.record(seconds, {names.OUTCOME: outcome})

    def put_off(self, outcome: str) -> None:
        """A delivery was not tried; it is dead if that has `expired`."""
        if outcome == "expired":
            self._ended.add(1, {names.OUTCOME: "dead"})
        self._tries.add(1, {names.OUTCOME: outcome, names.ERROR_TYPE: ""})

    def ended(self, outcome: str, age: timedelta) -> None:
        """A delivery was delivered or given up."""
        self._ended.add(1, {names.OUTCOME: outcome})
        self._ages.record(age.total_seconds(), {names.OUTCOME: outcome})
