"""OfferService, as both workers serve it."""

from gleaner.internal.v1 import offer_pb2, offer_pb2_grpc
from gleaner_rpc import Context
from gleaner_runner.runner import Runner


class OfferServicer(offer_pb2_grpc.OfferServiceServicer):
    """Wakes the runner; what it then finds, the claim decides."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner

    async def Offer(self, request: offer_pb2.OfferRequest, context: Context) -> offer_pb2.OfferResponse:
        """Looks for work at once and tells how much there is room for."""
        return offer_pb2.OfferResponse(free_slots=self._runner.offer())
