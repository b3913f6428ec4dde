"""EventService: consumer groups. Translates, and lets a reader read."""

import asyncio
from datetime import datetime, timedelta
from uuid import UUID

from google.protobuf.timestamp_pb2 import Timestamp

from gleaner.v1 import events_pb2 as pb
from gleaner.v1.events_pb2_grpc import EventServiceServicer
from gleaner_api import messages, names
from gleaner_api.endpoints import unknown_types
from gleaner_api.subscription import Reader, Requests, Send, in_line
from gleaner_core.errors import Finding, GroupDiffers, GroupExpired, GroupNotFound, InvalidRequest
from gleaner_repo import Group, GroupRepository, ParkedEvent
from gleaner_rpc import Context, tenant

_IN_FLIGHT = 100
_PAGE_SIZE = 50
# A caller that breaks off is seen as the end of its messages first, and as a cancelled call a moment later.
_BREAK_OFF_S = 0.2
_DEADLINE_S = 0.5  # clocks of two machines, and the way between them


class _Closed(Exception):
    """The reader closed its side: it has had enough."""


class EventServicer(EventServiceServicer):
    """Hands the log to consumer groups."""

    def __init__(self, *, groups: GroupRepository, lease: timedelta, limit: timedelta) -> None:
        self._groups = groups
        self._lease = lease
        self._limit = limit.total_seconds()
        self._draining = False

    async def run(self, stop: asyncio.Event) -> None:
        """Waits for `stop`: calls that are broken off from then on are this process's doing, not their readers'."""
        await stop.wait()
        self._draining = True

    async def SubscribeEvents(self, requests: Requests, context: Context) -> None:  # type: ignore[override]  # it writes
        """Events as they come, settled as they are acknowledged; ends well when the reader closes or at the limit."""
        start = await _start(requests)
        await self._prepare(tenant(context), start)
        until = asyncio.get_running_loop().time() + self._limit
        died = False
        try:
            async with asyncio.timeout_at(until):
                reader = await in_line(self._groups, tenant(context), start.group, self._lease, context.write)
        except TimeoutError:
            return
        try:
            await self._serve(reader, requests, context.write, start.max_in_flight or _IN_FLIGHT, until)
        except (_Closed, TimeoutError):
            pass
        except asyncio.CancelledError:
            died = not self._draining and not _at_its_deadline(context)
            raise
        finally:
            await reader.leave(died=died)

    async def ListGroups(self, request: pb.ListGroupsRequest, context: Context) -> pb.ListGroupsResponse:
        """All groups of the tenant."""
        groups = await self._groups.list_all(tenant(context))
        return pb.ListGroupsResponse(groups=[_group(group) for group in groups])

    async def DeleteGroup(self, request: pb.DeleteGroupRequest, context: Context) -> pb.DeleteGroupResponse:
        """The group is gone; its reader learns of it at its next word."""
        if not await self._groups.delete(tenant(context), request.group):
            raise GroupNotFound(request.group)
        return pb.DeleteGroupResponse()

    async def ListParkedEvents(
        self, request: pb.ListParkedEventsRequest, context: Context
    ) -> pb.ListParkedEventsResponse:
        """A page of parked events."""
        await self._groups.get(tenant(context), request.group)
        size = request.page_size or _PAGE_SIZE
        start = {"after": UUID(request.page_token)} if request.page_token else {}
        found = await self._groups.list_parked(tenant(context), request.group, limit=size + 1, **start)
        page = found[:size]
        token = str(page[-1].logged.event.event_id) if len(found) > size else ""
        return pb.ListParkedEventsResponse(events=[_parked(event) for event in page], next_page_token=token)

    async def ReplayParkedEvents(
        self, request: pb.ReplayParkedEventsRequest, context: Context
    ) -> pb.ReplayParkedEventsResponse:
        """The events are to be tried again."""
        await self._groups.get(tenant(context), request.group)
        wanted = [UUID(event_id) for event_id in request.event_ids] or None
        return pb.ReplayParkedEventsResponse(
            replays=len(await self._groups.replay(tenant(context), request.group, wanted))
        )

    async def _prepare(self, tenant_id: str, start: pb.SubscriptionStart) -> None:
        """The group is there, alive, and what the reader takes it for."""
        earliest = start.start_at == pb.GROUP_START_EARLIEST
        await self._groups.make(tenant_id, start.group, event_types=start.event_types, earliest=earliest)
        if start.restart_expired:
            await self._groups.restart(tenant_id, start.group, event_types=start.event_types, earliest=earliest)
        group = await self._groups.get(tenant_id, start.group)
        if group.expired_at:
            raise GroupExpired(start.group)
        if start.event_types and group.event_types != set(start.event_types):
            raise GroupDiffers(start.group)

    async def _serve(self, reader: Reader, requests: Requests, send: Send, max_in_flight: int, until: float) -> None:
        try:
            async with asyncio.timeout_at(until), asyncio.TaskGroup() as group:
                group.create_task(_listen(reader, requests))
                group.create_task(reader.renew())
                await send(pb.SubscribeEventsResponse())
                await reader.hand_out(send, max_in_flight)
        except BaseExceptionGroup as failed:
            raise failed.exceptions[0] from None


def _at_its_deadline(context: Context) -> bool:
    left = context.time_remaining()
    return left is not None and left < _DEADLINE_S


async def _start(requests: Requests) -> pb.SubscriptionStart:
    async for request in requests:
        if request.WhichOneof("message") != "start":
            break
        if unknown := list(unknown_types(request.start.event_types, "start.event_types")):
            raise InvalidRequest(unknown)
        return request.start
    raise InvalidRequest([Finding("start", "REQUIRED", "must come first")])


async def _listen(reader: Reader, requests: Requests) -> None:
    await reader.listen(requests)
    await asyncio.sleep(_BREAK_OFF_S)
    raise _Closed


def _group(group: Group) -> pb.Group:
    return pb.Group(
        name=group.name,
        event_types=sorted(group.event_types),
        has_reader=group.has_reader,
        tries=group.tries,
        parked=group.parked,
        create_time=_time(group.created_at),
        move_time=_time(group.last_moved_at),
        expire_time=_time(group.expired_at) if group.expired_at else None,
    )


def _parked(event: ParkedEvent) -> pb.ParkedEvent:
    return pb.ParkedEvent(
        job=names.of_job(event.logged.event.job_id),
        event=messages.event(event.logged.event),
        reason=event.reason,
        tries=event.tries,
        park_time=_time(event.parked_at),
        replay=event.replay,
    )


def _time(moment: datetime) -> Timestamp:
    time = Timestamp()
    time.FromDatetime(moment)
    return time
