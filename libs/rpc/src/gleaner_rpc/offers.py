"""Hints to workers that there is work. Losing one costs a moment, never a job: workers look for themselves."""

import asyncio
import logging

import grpc
import grpc.aio

from gleaner.internal.v1 import offer_pb2 as pb
from gleaner.internal.v1.offer_pb2_grpc import OfferServiceStub
from gleaner_rpc.channels import Peers
from gleaner_rpc.settings import ChannelSettings
from gleaner_telemetry import metrics, names

_log = logging.getLogger(__name__)
_sent = metrics.OFFERS.make()
_LONGEST_REST = 30.0


class Offers:
    """Offers work to workers, one after the other until they have room for all of it.

    `offers(n)` never waits and never fails. What comes within a few milliseconds is one offer; within twice that, while
    it goes on coming. A worker that does not answer is left in peace for a while, longer each time.
    """

    def __init__(self, peers: Peers, settings: ChannelSettings) -> None:
        self._peers = peers
        self._pause = settings.offer_pause.total_seconds()
        self._timeout = settings.offer_timeout.total_seconds()
        self._waiting = 0
        self._wake = asyncio.Event()
        self._rests: dict[grpc.aio.Channel, tuple[float, float]] = {}  # until when, and how long

    def __call__(self, waiting: int = 1) -> None:
        """`waiting` more jobs wait; somebody will be told soon."""
        self._waiting += waiting
        self._wake.set()

    async def run(self) -> None:
        """Sends what is offered, until it is cancelled."""
        pause = self._pause
        while True:
            await self._wake.wait()
            self._wake.clear()
            waiting, self._waiting = self._waiting, 0
            await self.send(waiting)
            await asyncio.sleep(pause)
            # An offer costs both sides half a millisecond of CPU, as much as a job: at 500 jobs/s it is shared by more.
            pause = 2 * self._pause if self._wake.is_set() else self._pause

    async def send(self, waiting: int) -> int:
        """Tells workers until they have room for `waiting` jobs; returns for how many they have none."""
        channels = self._peers.in_turn()
        self._rests = {channel: rest for channel, rest in self._rests.items() if channel in channels}
        for channel in channels:
            if waiting <= 0:
                break
            if self._rests.get(channel, (0.0, 0.0))[0] <= asyncio.get_running_loop().time():
                waiting -= await self._told(channel, waiting)
        return max(waiting, 0)

    async def _told(self, channel: grpc.aio.Channel, waiting: int) -> int:
        try:
            answer = await OfferServiceStub(channel).Offer(pb.OfferRequest(waiting=waiting), timeout=self._timeout)
        except grpc.aio.AioRpcError as error:
            self._rest(channel)
            _log.debug("an offer was lost: %s", error.code().name)
            _sent.add(1, {names.OFFER_OUTCOME: error.code().name})
            return 0
        self._rests.pop(channel, None)
        _sent.add(1, {names.OFFER_OUTCOME: "accepted" if answer.free_slots else "full"})
        return answer.free_slots

    def _rest(self, channel: grpc.aio.Channel) -> None:
        _, last = self._rests.get(channel, (0.0, 0.5))
        rest = min(last * 2, _LONGEST_REST)
        self._rests[channel] = (asyncio.get_running_loop().time() + rest, rest)
