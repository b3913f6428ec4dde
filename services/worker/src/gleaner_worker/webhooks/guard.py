"""The way out to receivers: names are looked up here, every address is checked, and the checked one is called.

A name may resolve to one address when it is checked and to another when it is called (DNS rebinding); so it is looked
up once for each connection, and TLS and Host still have the name.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial
from threading import Thread
from typing import Any

import httpcore2

from gleaner_core.webhook_urls import is_public
from gleaner_worker.webhooks.circuits import Line

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]

_MOST_ADDRESSES = 4


class NotResolved(httpcore2.ConnectError):
    """The name has no address, or nobody answers who should know."""


class AddressRefused(httpcore2.ConnectError):
    """The name resolves to an address that webhooks may not go to."""


class Resolver:
    """The system's resolver. A look-up cannot be stopped, and may outlive by far the try that asked for it. So it has a
    thread of its own, for which the process's end does not wait, and keeps a place in its tenant's line until it ends.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._under_way = 0

    @property
    def crowded(self) -> bool:
        """Whether so many look-ups are under way that no more should be begun."""
        return self._under_way >= self._most

    async def look_up(self, host: str, port: int, line: Line) -> Sequence[str]:
        """The host's addresses, for a delivery that has a place in `line`."""
        found = self._begun(host, port)
        try:
            return await asyncio.shield(found)
        except asyncio.CancelledError:
            line.stay(found)
            raise

    def _begun(self, host: str, port: int) -> asyncio.Future[Sequence[str]]:
        loop = asyncio.get_running_loop()
        found: asyncio.Future[Sequence[str]] = loop.create_future()

        def look_up() -> None:
            try:
                end = partial(found.set_result, _addresses(host, port))
            except Exception as error:
                end = partial(found.set_exception, error)
            with suppress(RuntimeError):  # the loop is closed: nobody waits
                loop.call_soon_threadsafe(end)

        Thread(target=look_up, name="webhook-names", daemon=True).start()
        self._under_way += 1
        found.add_done_callback(self._ended)
        return found

    def _ended(self, _: asyncio.Future[Sequence[str]]) -> None:
        self._under_way -= 1


def _addresses(host: str, port: int) -> Sequence[str]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class GuardedNetwork(httpcore2.AsyncNetworkBackend):
    """Connects to addresses that were checked; to any, if private ones are allowed."""

    def __init__(
        self, resolve: Resolve, *, allow_private: bool, network: httpcore2.AsyncNetworkBackend | None = None
    ) -> None:
        self._resolve = resolve
        self._allow_private = allow_private
        self._network = network or httpcore2.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the port's
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """A connection to the first of the host's addresses that takes it. Raises AddressRefused if one of them is not
        public: whoever mixes them means no good.
        """
        addresses = await self._addresses(host, port)
        for address in addresses[:-1]:
            try:
                return await self._network.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout):
                continue
        return await self._network.connect_tcp(addresses[-1], port, timeout, local_address, socket_options)

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ASYNC109
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """Never."""
        raise AddressRefused(path)

    async def sleep(self, seconds: float) -> None:
        """Waits."""
        await asyncio.sleep(seconds)

    async def _addresses(self, host: str, port: int) -> Sequence[str]:
        try:
            found = await self._resolve(host, port)
        except (OSError, UnicodeError) as error:
            raise NotResolved(host) from error
        if not found:
            raise NotResolved(host)
        if not self._allow_private and not all(is_public(ipaddress.ip_address(address)) for address in found):
            raise AddressRefused(host)
        return found[:_MOST_ADDRESSES]
