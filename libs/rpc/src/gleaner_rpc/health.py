"""grpc.health.v1 for our servers.

`""` and every service by its name say whether the process can serve; `liveness` says that it lives, whatever the
database does, so that no outage of the database restarts the fleet.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable

from grpc_health.v1 import health_pb2
from grpc_health.v1._async import HealthServicer

LIVENESS = "liveness"
Ready = Callable[[], Awaitable[bool]]
_SERVING = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
_log = logging.getLogger(__name__)


async def always() -> bool:
    """Ready whenever the server is."""
    return True


class Health:
    """What the server answers about itself: NOT_SERVING until it was found ready, and for good once it drains."""

    def __init__(self, services: Iterable[str]) -> None:
        self.servicer = HealthServicer()
        self._names = ("", *services)
        self._serving: bool | None = None
        self._drained = False

    async def begin(self) -> None:
        """Alive, and not known to be ready yet."""
        await self.servicer.set(LIVENESS, _SERVING)
        await self._set(False)

    async def follow(self, ready: Ready, every: float = 1.0) -> None:
        """Says what `ready` says, asked again and again; an error or no answer in time is a no."""
        while True:
            try:
                async with asyncio.timeout(max(every, 1.0)):
                    serving = await ready()
            except Exception as error:
                _log.debug("not ready: %s", error)
                serving = False
            if not self._drained:
                await self._set(serving)
            await asyncio.sleep(every)

    async def drain(self) -> None:
        """NOT_SERVING from here on."""
        self._drained = True
        await self._set(False)

    async def _set(self, serving: bool) -> None:
        if serving is self._serving:
            return
        if self._serving is not None:
            _log.info("ready" if serving else "not ready")
        self._serving = serving
        for name in self._names:
            await self.servicer.set(name, _SERVING if serving else _NOT_SERVING)
