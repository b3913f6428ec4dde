import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import Any

import grpc.aio
import pytest

from gleaner.internal.v1 import offer_pb2 as pb
from gleaner.internal.v1.offer_pb2_grpc import OfferServiceServicer, OfferServiceStub
from gleaner_core.errors import DocumentEncrypted, Draining, GleanerError, ModelThrottled, NoRoom, PeerUnavailable
from gleaner_rpc import ChannelSettings, GrpcSettings, Offers, Peers, addresses, build_server
from gleaner_rpc.relayed import Relayed

QUICK = ChannelSettings(offer_pause=timedelta(milliseconds=5))


class Worker(OfferServiceServicer):
    """A worker that keeps what it is offered."""

    def __init__(self, free: int = 0, error: GleanerError | None = None) -> None:
        self.free, self.error = free, error
        self.offered: list[int] = []
        self.woken = asyncio.Event()

    async def Offer(self, request: pb.OfferRequest, context: Any) -> pb.OfferResponse:
        self.offered.append(request.waiting)
        self.woken.set()
        if self.error:
            raise self.error
        return pb.OfferResponse(free_slots=self.free)


@asynccontextmanager
async def peers(*workers: Worker, gone: int = 0) -> AsyncIterator[Peers]:
    async with AsyncExitStack() as stack:
        found = []
        for worker in workers:
            server = build_server(GrpcSettings(listen="127.0.0.1:0"), worker)
            await server.start()
            stack.push_async_callback(server.stop)
            found.append(f"127.0.0.1:{server.port}")
        for _ in range(gone):
            server = build_server(GrpcSettings(listen="127.0.0.1:0"))
            await server.start()
            await server.stop()
            found.append(f"127.0.0.1:{server.port}")
        yield await stack.enter_async_context(Peers("worker", tuple(found), QUICK))


async def ask(channel: grpc.aio.Channel) -> int:
    return (await OfferServiceStub(channel).Offer(pb.OfferRequest(), timeout=5)).free_slots


def test_addresses_are_a_list_with_commas() -> None:
    assert addresses(" a:1, dns:///b:2 ,") == ("a:1", "dns:///b:2")
    assert addresses("") == ()


async def test_another_worker_is_tried_when_one_is_full_or_gone() -> None:
    full, free = Worker(error=NoRoom()), Worker(free=3)
    async with peers(full, free, gone=1) as known:
        answers = [await known.call_any(ask) for _ in range(3)]

    assert answers == [3, 3, 3]


async def test_when_all_are_full_that_is_said_even_if_others_are_gone() -> None:
    async with peers(Worker(error=NoRoom()), gone=1) as known:
        with pytest.raises(NoRoom):
            await known.call_any(ask)


async def test_when_none_answers_the_service_is_unavailable() -> None:
    async with peers(gone=1) as known, Peers("worker", (), QUICK) as nobody:
        for some in (known, nobody):
            with pytest.raises(PeerUnavailable, match="worker"):
                await some.call_any(ask)


async def test_who_has_patience_asks_again_until_somebody_has_room() -> None:
    busy = Worker(error=NoRoom())
    async with peers(busy, gone=1) as found, asyncio.TaskGroup() as group:
        asking = group.create_task(found.call_any(ask, patience_s=30))
        await busy.woken.wait()
        busy.error, busy.free = None, 7

        assert await asking == 7


async def test_patience_has_an_end() -> None:
    async with peers(Worker(error=NoRoom())) as found:
        with pytest.raises(NoRoom):
            await found.call_any(ask, patience_s=0.5)


async def test_what_a_worker_answers_is_passed_on_at_once() -> None:
    first, second = (Worker(error=DocumentEncrypted("wants a password")) for _ in range(2))
    async with peers(first, second) as known:
        with pytest.raises(Relayed, match="wants a password"):
            await known.call_any(ask)

    assert len(first.offered) + len(second.offered) == 1


async def test_a_model_that_is_busy_is_not_taken_for_a_worker_that_is() -> None:
    first, second = (Worker(error=ModelThrottled("ask again later")) for _ in range(2))
    async with peers(first, second) as known:
        with pytest.raises(Relayed, match="ask again later"):
            await known.call_any(ask)

    assert len(first.offered) + len(second.offered) == 1


async def test_a_bug_of_a_workers_is_no_answer_for_our_caller() -> None:
    async with peers(Worker(error=GleanerError("secret"))) as known:
        with pytest.raises(grpc.aio.AioRpcError, match="INTERNAL"):
            await known.call_any(ask)


async def test_a_worker_that_drains_is_left_for_another() -> None:
    async with peers(Worker(error=Draining()), Worker(free=5)) as known:
        assert [await known.call_any(ask) for _ in range(2)] == [5, 5]


async def test_a_burst_of_submits_is_one_offer() -> None:
    worker = Worker(free=100)
    async with peers(worker) as known:
        offers = Offers(known, QUICK)
        sending = asyncio.create_task(offers.run())
        for _ in range(50):
            offers()
        await asyncio.wait_for(worker.woken.wait(), 5)
        sending.cancel()

    assert worker.offered == [50]


async def test_offers_that_keep_coming_are_shared_for_twice_as_long(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: asyncio.Queue[float] = asyncio.Queue()
    over = asyncio.Semaphore(0)

    async def pause(seconds: float) -> None:
        pauses.put_nowait(seconds / QUICK.offer_pause.total_seconds())
        await over.acquire()

    monkeypatch.setattr(asyncio, "sleep", pause)
    async with peers() as known:
        offers = Offers(known, QUICK)
        sending = asyncio.create_task(offers.run())
        offers()
        found = [await pauses.get()]
        for _ in range(2):  # another one comes in each pause
            offers()
            over.release()
            found.append(await pauses.get())
        sending.cancel()

    assert found == [1, 2, 2]


async def test_offers_go_on_until_somebody_has_room_for_all() -> None:
    workers = [Worker(free=2), Worker(free=2), Worker(free=2)]
    async with peers(*workers) as known:
        left = await Offers(known, QUICK).send(4)

    assert left == 0
    assert sorted(waiting for worker in workers for waiting in worker.offered) == [2, 4]


async def test_a_worker_that_is_gone_is_left_in_peace_and_the_next_one_told() -> None:
    worker = Worker(free=1)
    async with peers(worker, gone=1) as known:
        offers = Offers(known, QUICK)
        left = [await offers.send(1) for _ in range(4)]

    assert left == [0, 0, 0, 0]
    assert worker.offered == [1, 1, 1, 1]


async def test_offering_to_nobody_is_no_error() -> None:
    async with peers() as known:
        assert await Offers(known, QUICK).send(3) == 3
