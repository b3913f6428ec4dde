"""Channels by TLS: they are opened anew when the files of certificates change."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc.aio
import pytest

from gleaner.internal.v1 import offer_pb2 as pb
from gleaner.internal.v1.offer_pb2_grpc import OfferServiceServicer, OfferServiceStub
from gleaner_rpc import ChannelSettings, GrpcSettings, Offers, Peers, Server, build_server
from support.certificates import Authority, Files, files


class Worker(OfferServiceServicer):
    """A worker with one free slot, who answers when he may."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.may = asyncio.Event()
        self.may.set()

    async def Offer(self, request: pb.OfferRequest, context: Any) -> pb.OfferResponse:
        self.asked.set()
        await self.may.wait()
        return pb.OfferResponse(free_slots=1)


@pytest.fixture
def worker() -> Worker:
    return Worker()


@pytest.fixture
def served(tmp_path: Path) -> Files:
    return files(Authority(), tmp_path)


@pytest.fixture
async def server(worker: Worker, served: Files) -> AsyncIterator[Server]:
    server = build_server(GrpcSettings(listen="127.0.0.1:0", tls=served.server), worker)
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def peers(server: Server, served: Files) -> AsyncIterator[Peers]:
    async with Peers("worker", (f"127.0.0.1:{server.port}",), ChannelSettings(tls=served.channel)) as peers:
        yield peers


def renewed(served: Files) -> None:
    """Everybody's files are another authority's from here on."""
    successor = Authority()
    successor.sign(served.identity, "127.0.0.1")
    successor.write(served.ca)


async def ask(channel: grpc.aio.Channel) -> int:
    return (await OfferServiceStub(channel).Offer(pb.OfferRequest(waiting=1), timeout=30)).free_slots


async def test_calls_go_on_after_all_certificates_were_replaced(
    peers: Peers, server: Server, served: Files, worker: Worker
) -> None:
    offers = Offers(peers, ChannelSettings())
    first = peers.channels
    before = [await peers.call_any(ask), await offers.send(1)]
    renewed(served)
    after = [await peers.call_any(ask), await offers.send(1)]

    assert before == after == [1, 0]
    assert not set(first) & set(peers.channels)


async def test_a_call_under_way_outlives_the_channels_that_are_replaced(
    peers: Peers, served: Files, worker: Worker
) -> None:
    worker.may.clear()
    under_way = asyncio.create_task(peers.call_any(ask))
    await worker.asked.wait()
    renewed(served)
    worker.asked.clear()
    another = asyncio.create_task(peers.call_any(ask))
    await worker.asked.wait()
    worker.may.set()

    assert (await under_way, await another) == (1, 1)


async def test_channels_are_kept_while_the_files_do_not_fit(peers: Peers, served: Files) -> None:
    first = peers.channels
    served.identity.key.unlink()
    answer = await peers.call_any(ask)

    assert answer == 1
    assert peers.channels == first


async def test_at_the_end_channels_that_were_replaced_are_closed_too(server: Server, served: Files) -> None:
    async with Peers("worker", (f"127.0.0.1:{server.port}",), ChannelSettings(tls=served.channel)) as peers:
        first = peers.channels
        renewed(served)
        peers.in_turn()

    for channel in (*first, *peers.channels):
        with pytest.raises(grpc.aio.UsageError):
            await ask(channel)
