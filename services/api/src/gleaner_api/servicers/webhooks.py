"""WebhookService: who is told, what was sent, and sending it again."""

from collections.abc import Collection
from functools import partial

from gleaner.v1 import webhooks_pb2 as pb
from gleaner.v1.webhooks_pb2_grpc import WebhookServiceServicer
from gleaner_api import endpoints, messages, names, paging
from gleaner_api.patience import patiently
from gleaner_core.errors import DeliveryNotFound, EndpointDiffers, EndpointNotFound, InvalidRequest
from gleaner_core.ids import uuid7
from gleaner_repo import DeliveryRepository, DeliveryState, EndpointRepository, NewEndpoint
from gleaner_repo.deliveries import NEWEST
from gleaner_rpc import Context, tenant

_PAGE_SIZE = 50


class WebhookServicer(WebhookServiceServicer):
    """Keeps endpoints, shows deliveries and starts them anew; workers send."""

    def __init__(self, *, endpoints: EndpointRepository, deliveries: DeliveryRepository, allow_private: bool) -> None:
        self._endpoints = endpoints
        self._deliveries = deliveries
        self._allow_private = allow_private

    async def CreateEndpoint(self, request: pb.CreateEndpointRequest, context: Context) -> pb.CreateEndpointResponse:
        """The endpoint that this request id has made, and its secret."""
        asked = request.endpoint
        self._check(asked, endpoints.EVERYTHING)
        new = NewEndpoint(
            id=uuid7(),
            tenant_id=tenant(context),
            url=asked.url,
            event_types=frozenset(asked.event_types),
            secret=endpoints.new_secret(),
            request_key=request.request_id or str(uuid7()),
            description=asked.description,
            disabled=asked.disabled,
        )
        made = await patiently(lambda: self._endpoints.create(new))
        found = made.endpoint
        if (found.url, found.event_types, found.description) != (new.url, new.event_types, new.description):
            raise EndpointDiffers(names.of_endpoint(found.id))
        return pb.CreateEndpointResponse(endpoint=messages.endpoint(found), secret=made.secret)

    async def GetEndpoint(self, request: pb.GetEndpointRequest, context: Context) -> pb.GetEndpointResponse:
        """The endpoint, without its secrets."""
        tenant_id, endpoint_id = tenant(context), names.endpoint_id(request.name)
        found = await patiently(lambda: self._endpoints.get(tenant_id, endpoint_id))
        if found is None:
            raise EndpointNotFound(request.name)
        return pb.GetEndpointResponse(endpoint=messages.endpoint(found))

    async def ListEndpoints(self, request: pb.ListEndpointsRequest, context: Context) -> pb.ListEndpointsResponse:
        """A page of endpoints, without their secrets."""
        size = request.page_size or _PAGE_SIZE
        below = paging.position(request, tenant(context))
        start = {"below": below[0]} if below else {}
        found = await patiently(lambda: self._endpoints.list_page(tenant(context), limit=size + 1, **start))
        page = found[:size]
        token = paging.next_token(request, tenant(context), page[-1].id) if len(found) > size else ""
        return pb.ListEndpointsResponse(
            endpoints=[messages.endpoint(endpoint) for endpoint in page], next_page_token=token
        )

    async def UpdateEndpoint(self, request: pb.UpdateEndpointRequest, context: Context) -> pb.UpdateEndpointResponse:
        """The endpoint with what the mask names changed."""
        asked, fields = request.endpoint, request.update_mask.paths
        self._check(asked, fields)
        tenant_id, endpoint_id = tenant(context), names.endpoint_id(asked.name)
        changes = endpoints.changes(asked, fields)
        found = await patiently(lambda: self._endpoints.update(tenant_id, endpoint_id, changes))
        if found is None:
            raise EndpointNotFound(asked.name)
        return pb.UpdateEndpointResponse(endpoint=messages.endpoint(found))

    async def RotateEndpointSecret(
        self, request: pb.RotateEndpointSecretRequest, context: Context
    ) -> pb.RotateEndpointSecretResponse:
        """The endpoint, and the secret that this request id has made."""
        tenant_id, endpoint_id = tenant(context), names.endpoint_id(request.name)
        secret, key = endpoints.new_secret(), request.request_id or str(uuid7())
        rotated = await patiently(
            lambda: self._endpoints.rotate(tenant_id, endpoint_id, secret, key, expire_previous=request.expire_previous)
        )
        if rotated is None:
            raise EndpointNotFound(request.name)
        return pb.RotateEndpointSecretResponse(endpoint=messages.endpoint(rotated.endpoint), secret=rotated.secret)

    async def DeleteEndpoint(self, request: pb.DeleteEndpointRequest, context: Context) -> pb.DeleteEndpointResponse:
        """Nothing: the endpoint is gone."""
        tenant_id, endpoint_id = tenant(context), names.endpoint_id(request.name)
        deleted = await patiently(lambda: self._endpoints.delete(tenant_id, endpoint_id))
        if not deleted and not request.allow_missing:
            raise EndpointNotFound(request.name)
        return pb.DeleteEndpointResponse()

    async def ListDeliveries(self, request: pb.ListDeliveriesRequest, context: Context) -> pb.ListDeliveriesResponse:
        """A page of deliveries."""
        size = request.page_size or _PAGE_SIZE
        below = paging.position(request, tenant(context), ids=2)
        found = await patiently(
            partial(
                self._deliveries.list_page,
                tenant(context),
                job_id=names.job_id(request.job) if request.job else None,
                states=frozenset(_state(state) for state in request.states),
                below=(below[0], below[1]) if below else NEWEST,
                limit=size + 1,
            )
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

    def _check(self, endpoint: pb.Endpoint, fields: Collection[str]) -> None:
        if found := list(endpoints.findings(endpoint, fields, allow_private=self._allow_private)):
            raise InvalidRequest(found)


def _state(state: pb.DeliveryState.ValueType) -> DeliveryState:
    return DeliveryState(pb.DeliveryState.Name(state).removeprefix("DELIVERY_STATE_"))
