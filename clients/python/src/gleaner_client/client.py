"""The typed client: one method a call of the API, over one channel.

Messages come back as they are (`gleaner.v1`); failures are raised as in `gleaner_client.errors`. All times are seconds.
"""

import asyncio
import math
import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from datetime import datetime
from types import TracebackType
from typing import Any, Self, TypeVar

import grpc
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

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
from gleaner.v1.results_pb2 import ExtractionResult
from gleaner.v1.schemas_pb2 import Schema
from gleaner_client import errors
from gleaner_client.channel import MAX_MESSAGE, open_channel
from gleaner_client.inputs import Source, batches, endpoint_name, extraction_request, job_name, submit_request
from gleaner_client.subscribing import Handler, Received, handle_each, receive
from gleaner_client.tls import Tls
from gleaner_client.tracing import carried
from gleaner_client.watching import follow, is_over
from gleaner_core.ids import uuid7

__all__ = ["GleanerClient", "is_over"]

EXTRACT_TIMEOUT = 300.0
_NOT_YET = frozenset({"RESULT_NOT_READY", "NO_ROOM"})
_WAIT_AT_A_TIME = 30.0  # the server allows 60; shorter calls fare better with proxies and drains

_Request = TypeVar("_Request", bound=Message)
_Response = TypeVar("_Response", bound=Message)


class GleanerClient:
    """A connection to a Gleaner server; use it as `async with GleanerClient("host:port") as client`.

    `tls` is True for the system's roots, `Tls` for files of certificates, or credentials of gRPC's own; an address that
    begins with `https://` says the same as True. Entering raises CertificateError if the files do not fit. `metadata`
    goes with every call, `timeout` is each call's unless it gives its own, all its tries included.
    """

    def __init__(
        self,
        address: str = "127.0.0.1:50051",
        *,
        tls: bool | grpc.ChannelCredentials | Tls = False,
        metadata: Mapping[str, str] | None = None,
        timeout: float = 30.0,
    ) -> None:
        self._address = address
        self._tls = tls
        self._metadata = tuple((metadata or {}).items())
        self._timeout = timeout
        self._channel: grpc.aio.Channel | None = None

    async def __aenter__(self) -> Self:
        channel = self._channel = open_channel(self._address, self._tls)
        self._jobs = jobs_pb2_grpc.JobServiceStub(channel)
        self._extraction = extraction_pb2_grpc.ExtractionServiceStub(channel)
        self._events = events_pb2_grpc.EventServiceStub(channel)
        self._webhooks = webhooks_pb2_grpc.WebhookServiceStub(channel)
        self._version = version_pb2_grpc.VersionServiceStub(channel)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._channel:
            await self._channel.close()

    async def submit(
        self,
        documents: Sequence[Source],
        schema: Schema,
        *,
        options: extraction_pb2.ExtractionOptions | None = None,
        request_id: str = "",
        callback_url: str = "",
        metadata: Mapping[str, str] | None = None,
        correlation_id: str = "",
    ) -> jobs_pb2.Job:
        """Store a job and return it, QUEUED.

        It may be called again with the same `request_id`, also by another process, and makes one job. Without one it
        makes up its own, so that its own tries are safe: a UUIDv7, for ids in the order of time cost the database less.
        """
        request = await submit_request(
            documents,
            schema,
            options=options,
            request_id=request_id or str(uuid7()),
            callback_url=callback_url,
            metadata=metadata,
            correlation_id=correlation_id,
        )
        return (await self._call(self._jobs.SubmitJob, request)).job

    async def submit_many(
        self, requests: Sequence[jobs_pb2.SubmitJobRequest]
    ) -> Sequence[jobs_pb2.Job | errors.GleanerError]:
        """Store any number of jobs, in as few calls as they fit into; return for each the job, or why it is none.

        `submit_request` makes the requests. Those without a request id are given one, so that a call may be tried
        again; if a call fails all the same this raises, and some jobs may be stored: submit the same requests again.
        """
        for request in requests:
            request.request_id = request.request_id or str(uuid7())
        found: list[jobs_pb2.Job | errors.GleanerError] = []
        for batch in batches(requests):
            answer = await self._call(self._jobs.BatchSubmitJobs, batch)
            found += [errors.from_status(r.error) if r.HasField("error") else r.job for r in answer.results]
        return found

    async def get(self, job: str) -> jobs_pb2.Job:
        """Return the job as it is now; `job` is a name or its UUID, as in all methods."""
        return (await self._call(self._jobs.GetJob, jobs_pb2.GetJobRequest(name=job_name(job)))).job

    async def list(
        self,
        *,
        states: "Sequence[jobs_pb2.JobState.ValueType]" = (),
        refinements: "Sequence[jobs_pb2.RefinementState.ValueType]" = (),
        created_after: datetime | None = None,
        created_before: datetime | None = None,
        request_id: str = "",
        page_size: int = 0,
    ) -> AsyncIterator[jobs_pb2.Job]:
        """Iterate over the jobs that fit, newest first; pages are fetched as they are needed."""
        request = jobs_pb2.ListJobsRequest(
            states=states,
            refinements=refinements,
            created_after=_timestamp(created_after),
            created_before=_timestamp(created_before),
            request_id=request_id,
            page_size=page_size,
        )
        async for page in self._pages(self._jobs.ListJobs, request):
            for job in page.jobs:
                yield job

    async def cancel(self, job: str, *, allow_running: bool = False, reason: str = "") -> jobs_pb2.Job:
        """Cancel the job, also one that runs if that is allowed, and return it as it ended."""
        request = jobs_pb2.CancelJobRequest(name=job_name(job), allow_running=allow_running, reason=reason)
        return (await self._call(self._jobs.CancelJob, request)).job

    async def retry(self, job: str) -> jobs_pb2.Job:
        """Start the job, which failed or was cancelled, again and return it; one that is alive is left as it is."""
        return (await self._call(self._jobs.RetryJob, jobs_pb2.RetryJobRequest(name=job_name(job)))).job

    async def delete(self, job: str, *, allow_missing: bool = False) -> None:
        """Remove the job, which is over, with its request and results.

        Raises NotFound if there is none, unless that is allowed; also when a first try did it and its answer was lost.
        """
        request = jobs_pb2.DeleteJobRequest(name=job_name(job), allow_missing=allow_missing)
        await self._call(self._jobs.DeleteJob, request)

    async def result(
        self,
        job: str,
        *,
        wait: float = 0.0,
        wait_for: "jobs_pb2.WaitFor.ValueType" = jobs_pb2.WAIT_FOR_END,
    ) -> jobs_pb2.GetJobResultResponse:
        """Return what the job found, and the job at that moment; waits up to `wait` seconds (`math.inf`: to the end).

        When the wait passes and the values are there but not yet their boxes, the answer is the values. Raises
        NotReady without values, NoResult if there will be none.
        """
        end = time.monotonic() + wait
        while True:
            started = time.monotonic()
            span = min(max(0.0, end - started), _WAIT_AT_A_TIME)
            request = jobs_pb2.GetJobResultRequest(name=job_name(job), wait_for=wait_for, wait_timeout=_duration(span))
            pause = 1.0
            try:
                answer = await self._call(self._jobs.GetJobResult, request, timeout=self._timeout + span)
                if wait_for == jobs_pb2.WAIT_FOR_VALUES or is_over(answer.job) or time.monotonic() >= end:
                    return answer
            except (errors.NotReady, errors.NoRoom) as error:
                if time.monotonic() >= end or error.reason not in _NOT_YET:
                    raise
                pause = error.retry_after or pause
            if time.monotonic() - started < span:  # it answered before its time: it has no room, or does not wait
                await asyncio.sleep(min(pause, max(0.0, end - time.monotonic())))

    def watch(self, job: str, *, after_seq: int = 0) -> AsyncIterator[jobs_pb2.WatchJobResponse]:
        """Follow the job until it is over: first as it is, then one message for each move after `after_seq`.

        Broken streams are taken up again; nothing is missed and no move comes twice.
        """
        name = job_name(job)
        return follow(
            lambda seq: self._jobs.WatchJob(
                jobs_pb2.WatchJobRequest(name=name, after_seq=seq), metadata=(*self._metadata, *carried())
            ),
            after_seq,
        )

    def subscribe(
        self,
        group: str,
        *,
        event_types: Sequence[str] = (),
        earliest: bool = False,
        max_in_flight: int = 0,
        restart_expired: bool = False,
    ) -> AsyncGenerator[Received, None]:
        """Read the events of a consumer group, without end; acknowledge each with `await received.ack()`.

        A new group starts now, or at the oldest event that is kept, and gets the types that are named, or all. Broken
        streams are taken up again; what was not acknowledged comes again. Close it (`contextlib.aclosing`), else the
        server takes a reader that has events for dead.
        """
        start = events_pb2.SubscriptionStart(
            group=group,
            start_at=events_pb2.GROUP_START_EARLIEST if earliest else events_pb2.GROUP_START_NOW,
            event_types=event_types,
            max_in_flight=max_in_flight,
            restart_expired=restart_expired,
        )
        return receive(lambda: self._events.SubscribeEvents(metadata=(*self._metadata, *carried())), start)

    async def consume(
        self,
        group: str,
        handler: Handler,
        *,
        event_types: Sequence[str] = (),
        earliest: bool = False,
        restart_expired: bool = False,
    ) -> None:
        """Call `handler` with each event of a group, one after the other, without end.

        What it returns from is acknowledged; what it raises at is refused, comes again after a rest, and is parked
        after the server's number of tries. The reason that is kept is the exception's text.
        """
        events = self.subscribe(group, event_types=event_types, earliest=earliest, restart_expired=restart_expired)
        await handle_each(events, handler)

    async def groups(self) -> Sequence[events_pb2.Group]:
        """Return the consumer groups, by name."""
        return (await self._call(self._events.ListGroups, events_pb2.ListGroupsRequest())).groups

    async def delete_group(self, group: str) -> None:
        """Delete the group, its place in the log, and what it parked."""
        await self._call(self._events.DeleteGroup, events_pb2.DeleteGroupRequest(group=group))

    async def parked(self, group: str) -> AsyncIterator[events_pb2.ParkedEvent]:
        """Iterate over the events that the group gave up, oldest first."""
        request = events_pb2.ListParkedEventsRequest(group=group)
        async for page in self._pages(self._events.ListParkedEvents, request):
            for event in page.events:
                yield event

    async def replay(self, group: str, event_ids: Sequence[str] = ()) -> int:
        """Have the group's reader given parked events once more, all by default; return how many there are."""
        request = events_pb2.ReplayParkedEventsRequest(group=group, event_ids=event_ids)
        return (await self._call(self._events.ReplayParkedEvents, request)).replays

    async def create_endpoint(
        self,
        url: str,
        event_types: Sequence[str],
        *,
        description: str = "",
        disabled: bool = False,
        request_id: str = "",
    ) -> webhooks_pb2.CreateEndpointResponse:
        """Make an address that is told of the moves of all jobs; return it with its secret, which is not shown again.

        Raises NoRoom if there are as many as there may be. May be called again with the same `request_id`, as `submit`.
        """
        request = webhooks_pb2.CreateEndpointRequest(
            endpoint=webhooks_pb2.Endpoint(
                url=url, event_types=event_types, description=description, disabled=disabled
            ),
            request_id=request_id or str(uuid7()),
        )
        return await self._call(self._webhooks.CreateEndpoint, request)

    async def get_endpoint(self, endpoint: str) -> webhooks_pb2.Endpoint:
        """Return the endpoint as it is now; `endpoint` is a name or its UUID, as in all methods."""
        request = webhooks_pb2.GetEndpointRequest(name=endpoint_name(endpoint))
        return (await self._call(self._webhooks.GetEndpoint, request)).endpoint

    async def endpoints(self) -> AsyncIterator[webhooks_pb2.Endpoint]:
        """Iterate over the endpoints, newest first."""
        async for page in self._pages(self._webhooks.ListEndpoints, webhooks_pb2.ListEndpointsRequest()):
            for endpoint in page.endpoints:
                yield endpoint

    async def update_endpoint(
        self,
        endpoint: str,
        *,
        url: str | None = None,
        event_types: Sequence[str] | None = None,
        description: str | None = None,
        disabled: bool | None = None,
    ) -> webhooks_pb2.Endpoint:
        """Change what is given, leave what is None, and return the endpoint.

        One that is enabled again is not told of what it missed.
        """
        given: dict[str, Any] = {
            "url": url,
            "event_types": event_types,
            "description": description,
            "disabled": disabled,
        }
        changes = {name: value for name, value in given.items() if value is not None}
        request = webhooks_pb2.UpdateEndpointRequest(
            endpoint=webhooks_pb2.Endpoint(name=endpoint_name(endpoint), **changes),
            update_mask=FieldMask(paths=list(changes)),
        )
        return (await self._call(self._webhooks.UpdateEndpoint, request)).endpoint

    async def rotate_endpoint_secret(
        self, endpoint: str, *, expire_previous: bool = False, request_id: str = ""
    ) -> webhooks_pb2.RotateEndpointSecretResponse:
        """Give the endpoint a new secret and return it, which is not shown again.

        The one before it signs, too, until the next rotation, or ends at once with `expire_previous`. May be called
        again with the same `request_id`, as `submit`; without one a second call makes another secret.
        """
        request = webhooks_pb2.RotateEndpointSecretRequest(
            name=endpoint_name(endpoint), expire_previous=expire_previous, request_id=request_id or str(uuid7())
        )
        return await self._call(self._webhooks.RotateEndpointSecret, request)

    async def delete_endpoint(self, endpoint: str, *, allow_missing: bool = False) -> None:
        """Remove the endpoint; what it is still owed is given up.

        Raises NotFound if there is none, unless that is allowed; also when a first try did it and its answer was lost.
        """
        request = webhooks_pb2.DeleteEndpointRequest(name=endpoint_name(endpoint), allow_missing=allow_missing)
        await self._call(self._webhooks.DeleteEndpoint, request)

    async def deliveries(
        self, *, job: str = "", states: "Sequence[webhooks_pb2.DeliveryState.ValueType]" = (), page_size: int = 0
    ) -> AsyncIterator[webhooks_pb2.Delivery]:
        """Iterate over what is or was to be sent, of one job or of all, newest first."""
        request = webhooks_pb2.ListDeliveriesRequest(
            job=job_name(job) if job else "", states=states, page_size=page_size
        )
        async for page in self._pages(self._webhooks.ListDeliveries, request):
            for delivery in page.deliveries:
                yield delivery

    async def redeliver(self, delivery: str) -> webhooks_pb2.Delivery:
        """Send a delivery, which is over, once more, with the same id; `delivery` is its name. Return it as it is."""
        request = webhooks_pb2.RedeliverWebhookRequest(name=delivery)
        return (await self._call(self._webhooks.RedeliverWebhook, request)).delivery

    async def submit_and_wait(
        self,
        documents: Sequence[Source],
        schema: Schema,
        *,
        wait: float = math.inf,
        options: extraction_pb2.ExtractionOptions | None = None,
        request_id: str = "",
        callback_url: str = "",
        metadata: Mapping[str, str] | None = None,
        correlation_id: str = "",
    ) -> jobs_pb2.GetJobResultResponse:
        """`submit`, then `result` with a wait."""
        job = await self.submit(
            documents,
            schema,
            options=options,
            request_id=request_id,
            callback_url=callback_url,
            metadata=metadata,
            correlation_id=correlation_id,
        )
        return await self.result(job.name, wait=wait)

    async def extract(
        self,
        documents: Sequence[Source],
        schema: Schema,
        *,
        options: extraction_pb2.ExtractionOptions | None = None,
        correlation_id: str = "",
        timeout: float = EXTRACT_TIMEOUT,  # noqa: ASYNC109 - the server knows this deadline
    ) -> ExtractionResult:
        """Extract at once, without a job; for a few pages."""
        request = extraction_pb2.ExtractRequest(
            request=await extraction_request(documents, schema, options), correlation_id=correlation_id
        )
        return (await self._call(self._extraction.Extract, request, timeout=timeout)).result

    async def validate(
        self,
        documents: Sequence[Source],
        schema: Schema,
        *,
        options: extraction_pb2.ExtractionOptions | None = None,
    ) -> extraction_pb2.ValidateRequestResponse:
        """Return what `submit` or `extract` would find wrong, without running anything; documents may be none."""
        request = extraction_pb2.ValidateRequestRequest(request=await extraction_request(documents, schema, options))
        return await self._call(self._extraction.ValidateRequest, request)

    async def version(self) -> version_pb2.GetVersionResponse:
        """Return the server's version and the extractors it has."""
        return await self._call(self._version.GetVersion, version_pb2.GetVersionRequest())

    async def _pages(
        self, method: "grpc.aio.UnaryUnaryMultiCallable[Any, _Response]", request: Any
    ) -> AsyncIterator[_Response]:
        """The pages of a list, each asked for when it is needed."""
        while True:
            page: Any = await self._call(method, request)
            yield page
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    async def _call(
        self,
        method: "grpc.aio.UnaryUnaryMultiCallable[_Request, _Response]",
        request: _Request,
        timeout: float | None = None,  # noqa: ASYNC109 - the server knows this deadline
    ) -> _Response:
        if (size := request.ByteSize()) > MAX_MESSAGE:
            raise _too_large(size)
        try:
            return await method(request, timeout=timeout or self._timeout, metadata=self._metadata)
        except grpc.aio.AioRpcError as error:
            raise errors.from_rpc(error) from error


def _too_large(size: int) -> errors.InvalidRequest:
    limit = MAX_MESSAGE // 2**20
    description = f"{size / 2**20:.1f} MiB in one call; {limit} MiB at most, so send the documents as several jobs"
    finding = errors.Finding("request.documents", "REQUEST_TOO_LARGE", description)
    return errors.InvalidRequest(description, reason=finding.reason, findings=(finding,))


def _timestamp(moment: datetime | None) -> Timestamp | None:
    if moment is None:
        return None
    stamp = Timestamp()
    stamp.FromDatetime(moment)
    return stamp


def _duration(seconds: float) -> Duration:
    duration = Duration()
    duration.FromNanoseconds(int(seconds * 1e9))
    return duration
