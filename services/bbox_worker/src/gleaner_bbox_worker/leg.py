"""The refinement leg: from estimated places to the boxes where the values stand."""

from gleaner.internal.v1 import pages_pb2, stored_pb2
from gleaner.v1 import results_pb2
from gleaner_bbox_worker.grounder import Grounder
from gleaner_repo import Bodies, ClaimedJob, Finished
from gleaner_repo.moves import REFINEMENT
from gleaner_runner import REFINEMENT_MOVES, Ending, LegSettings


class RefinementLeg:
    """Leg 2 of a job's life."""

    number = REFINEMENT
    moves = REFINEMENT_MOVES

    def __init__(self, *, settings: LegSettings, grounder: Grounder) -> None:
        self.settings = settings
        self._grounder = grounder

    async def run(self, job: ClaimedJob, bodies: Bodies) -> Ending:
        """SUCCEEDED, with every value located on its page or told not to be there."""
        # The move that brings a job to this leg writes both; whatever ends a refinement without boxes leaves them.
        assert bodies.result is not None and bodies.artefact is not None
        grounded = await self._grounder.ground(
            results_pb2.ExtractionResult.FromString(bodies.result),
            stored_pb2.StoredRequest.FromString(bodies.request).schema,
            pages_pb2.ReadDocuments.FromString(bodies.artefact),
        )
        return Ending("mark_bbox_refined", Finished(result=grounded.SerializeToString()))

    def won(self, job: ClaimedJob, move: str) -> None:
        """Nobody comes after this leg."""
