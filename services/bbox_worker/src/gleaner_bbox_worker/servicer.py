"""BboxWorkerService: grounding while the caller waits."""

from gleaner.internal.v1 import bbox_worker_pb2, bbox_worker_pb2_grpc
from gleaner_bbox_worker.grounder import Grounder
from gleaner_rpc import Context
from gleaner_runner import Slots


class BboxWorkerServicer(bbox_worker_pb2_grpc.BboxWorkerServiceServicer):
    """Locates values in one of the worker's slots."""

    def __init__(self, *, grounder: Grounder, slots: Slots) -> None:
        self._grounder = grounder
        self._slots = slots

    async def Ground(self, request: bbox_worker_pb2.GroundRequest, context: Context) -> bbox_worker_pb2.GroundResponse:
        """The result with its boxes."""
        async with self._slots.one():
            result = await self._grounder.ground(request.result, request.schema, request.pages)
        return bbox_worker_pb2.GroundResponse(result=result)
