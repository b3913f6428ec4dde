"""A real gRPC server on a real socket that answers as a test wrote down, for clients to be tried against."""

from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import grpc
from google.protobuf import any_pb2
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from gleaner.v1 import (
    events_pb2,
    events_pb2_grpc,
    extraction_pb2,
    extraction_pb2_grpc,
    jobs_pb2,
    jobs_pb2_grpc,
    version_pb2,
    version_pb2_grpc,
    webhooks_pb2,
    webhooks_pb2_grpc,
)

LIMIT = 41 * 1024 * 1024


@dataclass(frozen=True)
class Failure:
    """A status that ends a call, with the details that go with it."""

    code: grpc.StatusCode
    message: str = "it failed"
    reason: str = ""
    resource: str = ""
    violations: Sequence[tuple[str, str, str]] = ()
    retry_delay: float | None = None

    async def abort(self, context: grpc.aio.ServicerContext[Any, Any]) -> None:
        await context.abort_with_status(rpc_status.to_status(self.status()))

    def status(self) -> status_pb2.Status:
        """The status as it stands in an answer."""
        details: list[Message] = []
        if self.reason:
            details.append(error_details_pb2.ErrorInfo(reason=self.reason, domain="gleaner"))
        if self.resource:
            details.append(error_details_pb2.ResourceInfo(resource_type="job", resource_name=self.resource))
        if self.violations:
            bad = error_details_pb2.BadRequest()
            for field, reason, description in self.violations:
                bad.field_violations.add(field=field, reason=reason, description=description)
            details.append(bad)
        if self.retry_delay is not None:
            retry = error_details_pb2.RetryInfo()
            retry.retry_delay.FromTimedelta(timedelta(seconds=self.retry_delay))
            details.append(retry)
        status = status_pb2.Status(code=self.code.value[0], message=self.message)
        for detail in details:
            packed = any_pb2.Any()
            packed.Pack(detail)
            status.details.append(packed)
        return status


class ScriptedServer(
    jobs_pb2_grpc.JobServiceServicer,
    extraction_pb2_grpc.ExtractionServiceServicer,
    events_pb2_grpc.EventServiceServicer,
    webhooks_pb2_grpc.WebhookServiceServicer,
    version_pb2_grpc.VersionServiceServicer,
):
    """Answers each method by its script, one entry a call and the last again and again.

    An entry is a message, a Failure, or for WatchJob and SubscribeEvents a list of them that one stream sends. `calls`
    has what was asked, by method; `metadata` what came along.
    """

    def __init__(self) -> None:
        self.address = ""
        self.calls: dict[str, list[Any]] = defaultdict(list)
        self.metadata: list[dict[str, str | bytes]] = []
        self._scripts: dict[str, list[Any]] = {}

    def script(self, method: str, *entries: Any) -> None:
        """What the next calls of the method get."""
        self._scripts[method] = list(entries)

    async def _next(self, method: str, request: Message, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
        self.calls[method].append(request)
        self.metadata.append(dict(context.invocation_metadata() or ()))
        script = self._scripts[method]
        entry = script.pop(0) if len(script) > 1 else script[0]
        if isinstance(entry, Failure):
            await entry.abort(context)
        return entry

    async def SubmitJob(self, request: jobs_pb2.SubmitJobRequest, context: Any) -> Any:
        return await self._next("SubmitJob", request, context)

    async def BatchSubmitJobs(self, request: jobs_pb2.BatchSubmitJobsRequest, context: Any) -> Any:
        return await self._next("BatchSubmitJobs", request, context)

    async def RetryJob(self, request: jobs_pb2.RetryJobRequest, context: Any) -> Any:
        return await self._next("RetryJob", request, context)

    async def DeleteJob(self, request: jobs_pb2.DeleteJobRequest, context: Any) -> Any:
        return await self._next("DeleteJob", request, context)

    async def GetJob(self, request: jobs_pb2.GetJobRequest, context: Any) -> Any:
        return await self._next("GetJob", request, context)

    async def ListJobs(self, request: jobs_pb2.ListJobsRequest, context: Any) -> Any:
        return await self._next("ListJobs", request, context)

    async def CancelJob(self, request: jobs_pb2.CancelJobRequest, context: Any) -> Any:
        return await self._next("CancelJob", request, context)

    async def GetJobResult(self, request: jobs_pb2.GetJobResultRequest, context: Any) -> Any:
        return await self._next("GetJobResult", request, context)

    async def WatchJob(
        self, request: jobs_pb2.WatchJobRequest, context: Any
    ) -> AsyncIterator[jobs_pb2.WatchJobResponse]:
        for entry in await self._next("WatchJob", request, context):
            if isinstance(entry, Failure):
                await entry.abort(context)
            yield entry

    async def SubscribeEvents(
        self, requests: AsyncIterator[events_pb2.SubscribeEventsRequest], context: Any
    ) -> AsyncIterator[events_pb2.SubscribeEventsResponse]:
        for entry in await self._next("SubscribeEvents", await anext(requests), context):
            if isinstance(entry, Failure):
                await entry.abort(context)
            yield entry
        async for request in requests:
            self.calls["SubscribeEvents"].append(request)

    async def ListGroups(self, request: events_pb2.ListGroupsRequest, context: Any) -> Any:
        return await self._next("ListGroups", request, context)

    async def DeleteGroup(self, request: events_pb2.DeleteGroupRequest, context: Any) -> Any:
        return await self._next("DeleteGroup", request, context)

    async def ListParkedEvents(self, request: events_pb2.ListParkedEventsRequest, context: Any) -> Any:
        return await self._next("ListParkedEvents", request, context)

    async def ReplayParkedEvents(self, request: events_pb2.ReplayParkedEventsRequest, context: Any) -> Any:
        return await self._next("ReplayParkedEvents", request, context)

    async def CreateEndpoint(self, request: webhooks_pb2.CreateEndpointRequest, context: Any) -> Any:
        return await self._next("CreateEndpoint", request, context)

    async def GetEndpoint(self, request: webhooks_pb2.GetEndpointRequest, context: Any) -> Any:
        return await self._next("GetEndpoint", request, context)

    async def ListEndpoints(self, request: webhooks_pb2.ListEndpointsRequest, context: Any) -> Any:
        return await self._next("ListEndpoints", request, context)

    async def UpdateEndpoint(self, request: webhooks_pb2.UpdateEndpointRequest, context: Any) -> Any:
        return await self._next("UpdateEndpoint", request, context)

    async def RotateEndpointSecret(self, request: webhooks_pb2.RotateEndpointSecretRequest, context: Any) -> Any:
        return await self._next("RotateEndpointSecret", request, context)

    async def DeleteEndpoint(self, request: webhooks_pb2.DeleteEndpointRequest, context: Any) -> Any:
        return await self._next("DeleteEndpoint", request, context)

    async def ListDeliveries(self, request: webhooks_pb2.ListDeliveriesRequest, context: Any) -> Any:
        return await self._next("ListDeliveries", request, context)

    async def RedeliverWebhook(self, request: webhooks_pb2.RedeliverWebhookRequest, context: Any) -> Any:
        return await self._next("RedeliverWebhook", request, context)

    async def Extract(self, request: extraction_pb2.ExtractRequest, context: Any) -> Any:
        return await self._next("Extract", request, context)

    async def ValidateRequest(self, request: extraction_pb2.ValidateRequestRequest, context: Any) -> Any:
        return await self._next("ValidateRequest", request, context)

    async def GetVersion(self, request: version_pb2.GetVersionRequest, context: Any) -> Any:
        return await self._next("GetVersion", request, context)


@asynccontextmanager
async def scripted_server() -> AsyncIterator[ScriptedServer]:
    """A server on a free port of loopback, for as long as the block lasts."""
    servicer = ScriptedServer()
    server = grpc.aio.server(
        options=[("grpc.max_receive_message_length", LIMIT), ("grpc.max_send_message_length", LIMIT)]
    )
    jobs_pb2_grpc.add_JobServiceServicer_to_server(servicer, server)
    extraction_pb2_grpc.add_ExtractionServiceServicer_to_server(servicer, server)
    events_pb2_grpc.add_EventServiceServicer_to_server(servicer, server)
    webhooks_pb2_grpc.add_WebhookServiceServicer_to_server(servicer, server)
    version_pb2_grpc.add_VersionServiceServicer_to_server(servicer, server)
    servicer.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    try:
        yield servicer
    finally:
        await server.stop(None)
