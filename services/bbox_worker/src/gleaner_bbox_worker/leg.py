"""The refinement leg: from estimated places to the boxes where the values stand."""

from gleaner.internal.v1 import pages_pb2, stored_pb2
from gleaner.v1 import results_pb2
from gleaner_bbox_worker.grounder import Grounder
from gleaner_repo import ClaimedJob, Finished
from gleaner_repo.moves import REFINEMENT
from gleaner_runner import REFINEMENT_MOVES, Ending, LegSettings


class RefinementLeg:
    """Leg 2 of a job's life."""

    number = REFINEMENT
    moves = REFINEMENT_MOVES

    def __init__(self, *, settings: LegSettings, grounder: Grounder) -> None:
        self.settings = settings
        self._grounder = grounder

    async def run(self, job: ClaimedJob) -> Ending:
        """SUCCEEDED, with every value located on its page or told not to be there."""
        assert job.result is not None, "a job in this leg has a result"
        assert job.artefact is not None, "the extraction stored its pages"
        grounded = await self._grounder.ground(
            results_pb2.ExtractionResult.FromString(job.result),
            stored_pb2.StoredRequest.FromString(job.request).schema,
            pages_pb2.ReadDocuments.FromString(job.artefact),
        )
        return Ending("mark_bbox_refined", Finished(result=grounded.SerializeToString()))

    def won(self, job: ClaimedJob, move: str) -> None:
        """Nobody comes after this leg."""
