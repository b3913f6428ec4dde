"""Metrics of the loop."""

from collections.abc import Mapping, Sequence

from gleaner_core.errors import JobError
from gleaner_repo import ClaimedJob
from gleaner_repo.moves import LAPSED, MOVES, WORN_OUT
from gleaner_runner.slots import Slots
from gleaner_telemetry import metrics, names

_LEGS = {1: "extraction", 2: "refinement"}
_RESCUES = tuple(move.name for move in MOVES.values() if move.guard in (LAPSED, WORN_OUT))
_ANSWERS = ("kept", "lost", "unknown")


class Instruments:
    """What the loop counts, with the leg on every figure."""

    def __init__(self, leg: int) -> None:
        self._leg = {names.LEG: _LEGS[leg]}
        self._claims = metrics.CLAIMS.make()
        self._polls = metrics.POLLS.make()
        self._waits = metrics.QUEUE_WAIT.make()
        self._runs = metrics.RUN_DURATION.make()
        self._errors = metrics.RUN_ERRORS.make()
        self._renewals = metrics.RENEWALS.make(*(self._leg | {names.ANSWER: answer} for answer in _ANSWERS))
        self._rescues = metrics.RESCUES.make(*({names.MOVE: move} for move in _RESCUES))
        self._races = metrics.LOST_RACES.make()

    def claimed(self, jobs: Sequence[ClaimedJob]) -> None:
        """A look for work found `jobs`."""
        self._polls.add(1, self._leg | {names.FOUND: "some" if jobs else "nothing"})
        if jobs:
            self._claims.add(len(jobs), self._leg)
        for job in jobs:
            self._waits.record(job.waited.total_seconds(), self._leg)

    def ran(self, move: str, seconds: float, error: JobError | None) -> None:
        """A run ended by `move`."""
        ended = self._leg | {names.MOVE: move}
        self._runs.record(seconds, ended)
        if error:
            self._errors.add(1, ended | {names.ERROR_TYPE: error.reason})

    def renewed(self, kept: int, lost: int, unknown: int) -> None:
        """The database answered a renewal."""
        for answer, count in zip(_ANSWERS, (kept, lost, unknown), strict=True):
            if count:
                self._renewals.add(count, self._leg | {names.ANSWER: answer})

    def rescued(self, by_move: Mapping[str, int]) -> None:
        """Lapsed leases were taken back."""
        for move, count in by_move.items():
            if count:
                self._rescues.add(count, {names.MOVE: move})

    def lost_race(self, move: str) -> None:
        """An ending came too late."""
        self._races.add(1, self._leg | {names.MOVE: move})


def observe_slots(slots: Slots) -> None:
    """How many of the process's slots are used is exported from here on."""
    metrics.SLOTS.observed(
        lambda: [(slots.size - slots.free, {names.SLOT_STATE: "used"}), (slots.free, {names.SLOT_STATE: "free"})]
    )
