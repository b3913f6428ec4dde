"""A server whose Offer answers when it reads a line from stdin. Run by the tests of drains, as a process."""

import asyncio
import logging
import sys
from typing import Any

from gleaner.internal.v1 import offer_pb2 as pb
from gleaner.internal.v1.offer_pb2_grpc import OfferServiceServicer
from gleaner_rpc import GrpcSettings, build_server, serve
from gleaner_telemetry import OtelSettings, installed


class Patient(OfferServiceServicer):
    def __init__(self) -> None:
        self._lines = asyncio.StreamReader()
        self._turn = asyncio.Lock()  # of two that read at once, one may throw away what the other is to have

    async def listen(self) -> None:
        loop = asyncio.get_running_loop()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(self._lines), sys.stdin)

    async def Offer(self, request: pb.OfferRequest, context: Any) -> pb.OfferResponse:
        logging.info("called")
        async with self._turn:
            await self._lines.readline()
        return pb.OfferResponse(free_slots=7)


async def beside(stop: asyncio.Event) -> None:
    await stop.wait()
    logging.info("beside was told")
    if sys.argv[1:] == ["crash"]:
        raise RuntimeError("beside failed")


async def main() -> None:
    patient = Patient()
    await patient.listen()
    with installed("patient", OtelSettings()):
        await serve(build_server(GrpcSettings(), patient), beside=beside)


if __name__ == "__main__":
    asyncio.run(main())
