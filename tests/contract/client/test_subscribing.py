"""Streams of a consumer group that break at the worst moment."""

from contextlib import aclosing

import grpc
import pytest

from gleaner.v1 import events_pb2
from gleaner_client import GleanerClient, subscribing
from support.scripted_server import Failure, ScriptedServer

STREAMS = 300  # one in thirty broke, before what gRPC makes of it was told from the server's word


async def test_a_stream_that_ends_just_when_something_is_said_on_it_is_taken_up_again(
    server: ScriptedServer, client: GleanerClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subscribing, "_FIRST_DELAY", 0.0)
    event = events_pb2.SubscribeEventsResponse(event=events_pb2.SubscribedEvent(position="1-1"))
    server.script("SubscribeEvents", [event, Failure(grpc.StatusCode.UNAVAILABLE, "draining")])
    async with aclosing(client.subscribe("billing")) as events:
        for _ in range(STREAMS):
            received = await anext(events)
            await received.ack()
            await received.ack()
