"""WebhookService: what was sent, and sending it again."""

from gleaner.v1 import webhooks_pb2 as pb
from gleaner.v1.webhooks_pb2_grpc import WebhookServiceServicer
from gleaner_api import messages, names, paging
from gleaner_api.patience import patiently
from gleaner_core.errors import DeliveryNotFound
from gleaner_repo import DeliveryRepository, DeliveryState
from gleaner_repo.deliveries import NEWEST
from gleaner_rpc import Context, tenant

_PAGE_SIZE = 50


class WebhookServicer(WebhookServiceServicer):
    """Shows deliveries and starts them anew; workers send."""

    def __init__(self, deliveries: DeliveryRepository) -> None:
        self._deliveries = deliveries

    async def ListDeliveries(self, request: pb.ListDeliveriesRequest, context: Context) -> pb.ListDeliveriesResponse:
        """A page of deliveries."""
        size = request.page_size or _PAGE_SIZE
        below = paging.position(request, tenant(context), ids=2)
        found = await self._deliveries.list_page(
            tenant(context),
            job_id=names.job_id(request.job) if request.job else None,
            states=frozenset(_state(state) for state in request.states),
            below=(below[0], below[1]) if below else NEWEST,
            limit=size + 1,
        )
        page = found[:size]
        token = ""
        if len(found) > size:
            token = paging.next_token(request, tenant(context), page[-1].event_id, page[-1].endpoint_id)
        deliveries = [messages.delivery(delivery) for delivery in page]
        return pb.ListDeliveriesResponse(deliveries=deliveries, next_page_token=token)

    async def RedeliverWebhook(
        self, request: pb.RedeliverWebhookRequest, context: Context
    ) -> pb.RedeliverWebhookResponse:
        """The delivery, PENDING again unless it was under way."""
        tenant_id = tenant(context)
        event_id, endpoint_id = names.delivery_key(request.name)
        await patiently(lambda: self._deliveries.redeliver(tenant_id, event_id, endpoint_id))
        delivery = await self._deliveries.get(tenant_id, event_id, endpoint_id)
        if delivery is None:
            raise DeliveryNotFound(request.name)
        return pb.RedeliverWebhookResponse(delivery=messages.delivery(delivery))


def _state(state: pb.DeliveryState.ValueType) -> DeliveryState:
    return DeliveryState(pb.DeliveryState.Name(state).removeprefix("DELIVERY_STATE_"))
