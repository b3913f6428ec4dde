"""The port of a leg: what differs between the two workers."""

from dataclasses import dataclass
from typing import Protocol

from gleaner_repo import Bodies, ClaimedJob, Finished
from gleaner_runner.settings import LegSettings


@dataclass(frozen=True, slots=True)
class LegMoves:
    """The names that the common moves have on a leg."""

    claim: str
    claim_suspect: str
    fail: str
    requeue: str
    hand_back: str


@dataclass(frozen=True, slots=True)
class Ending:
    """The move that ends a run, and what it writes."""

    move: str
    how: Finished


class Leg(Protocol):
    """One leg of a job's life."""

    @property
    def number(self) -> int:
        """1 or 2, as the queue has it."""

    @property
    def moves(self) -> LegMoves:
        """The names of its moves."""

    @property
    def settings(self) -> LegSettings:
        """Its limits."""

    async def run(self, job: ClaimedJob, bodies: Bodies) -> Ending:
        """Works on the job. Raises WorkError if that cannot be done; may be cancelled at any time."""

    def won(self, job: ClaimedJob, move: str) -> None:
        """Called once a move of this leg was made for the job: wakes whoever is next."""


EXTRACTION_MOVES = LegMoves(
    claim="mark_running",
    claim_suspect="mark_suspect_running",
    fail="mark_failed",
    requeue="requeue_for_retry",
    hand_back="hand_back",
)
REFINEMENT_MOVES = LegMoves(
    claim="mark_bbox_refining",
    claim_suspect="mark_suspect_bbox_refining",
    fail="mark_bbox_refine_failed",
    requeue="requeue_bbox_refine",
    hand_back="hand_back_bbox_refine",
)
