"""The claim-run-renew-finish loop that both workers share."""

from gleaner_runner.leg import EXTRACTION_MOVES, REFINEMENT_MOVES, Ending, Leg, LegMoves
from gleaner_runner.runner import Runner
from gleaner_runner.settings import LegSettings, RunnerSettings, check_lease, check_pause
from gleaner_runner.slots import Slots
from gleaner_runner.telemetry import observe_slots

__all__ = [
    "EXTRACTION_MOVES",
    "REFINEMENT_MOVES",
    "Ending",
    "Leg",
    "LegMoves",
    "LegSettings",
    "Runner",
    "RunnerSettings",
    "Slots",
    "check_lease",
    "check_pause",
    "observe_slots",
]
