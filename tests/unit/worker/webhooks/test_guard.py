import asyncio
import socket
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import httpcore2
import pytest

from gleaner_worker.webhooks.circuits import Line
from gleaner_worker.webhooks.guard import AddressRefused, GuardedNetwork, NotResolved, Resolver

PUBLIC, OTHER_PUBLIC = "93.184.216.34", "2606:2800:220:1::1"


class Recorder(httpcore2.AsyncNetworkBackend):
    """A network on which nobody listens, and that remembers who was called."""

    def __init__(self) -> None:
        self.called: list[tuple[str, int]] = []

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        self.called.append((host, port))
        raise httpcore2.ConnectError


class Rebinding:
    """A name server that says something else each time."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.answers = list(answers)

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        return self.answers.pop(0)


async def test_the_address_that_was_checked_is_the_one_that_is_called() -> None:
    names, network = Rebinding([PUBLIC], ["127.0.0.1"]), Recorder()
    guarded = GuardedNetwork(names, allow_private=False, network=network)

    with pytest.raises(httpcore2.ConnectError):
        await guarded.connect_tcp("rebinding.example.org", 443)

    assert network.called == [(PUBLIC, 443)]
    assert names.answers == [["127.0.0.1"]], "nobody asked a second time"


@pytest.mark.parametrize("inside", ["127.0.0.1", "10.1.2.3", "169.254.169.254", "fe80::1%eth0", "::ffff:192.168.0.1"])
async def test_one_address_inside_spoils_all(inside: str) -> None:
    network = Recorder()
    guarded = GuardedNetwork(Rebinding([PUBLIC, inside]), allow_private=False, network=network)

    with pytest.raises(AddressRefused):
        await guarded.connect_tcp("example.org", 443)

    assert network.called == []


async def test_the_addresses_are_tried_one_after_the_other() -> None:
    network = Recorder()
    guarded = GuardedNetwork(Rebinding([PUBLIC, OTHER_PUBLIC]), allow_private=False, network=network)

    with pytest.raises(httpcore2.ConnectError):
        await guarded.connect_tcp("example.org", 443)

    assert network.called == [(PUBLIC, 443), (OTHER_PUBLIC, 443)]


async def test_a_name_without_addresses_is_not_resolved() -> None:
    with pytest.raises(NotResolved):
        await GuardedNetwork(Rebinding([]), allow_private=True, network=Recorder()).connect_tcp("example.org", 80)


class SilentNameServer:
    """A name server that does not answer before it is told to."""

    def __init__(self) -> None:
        self.told = threading.Event()

    def __call__(self, *_: object, **__: object) -> list[Any]:
        self.told.wait()
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (PUBLIC, 443))]


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch) -> Iterator[SilentNameServer]:
    server = SilentNameServer()
    monkeypatch.setattr(socket, "getaddrinfo", server)
    yield server
    server.told.set()


async def test_a_look_up_that_outlives_its_try_keeps_a_place_of_its_tenant_until_it_ends(
    silent: SilentNameServer,
) -> None:
    line, resolver = Line(limit=2), Resolver(most=1)
    tried = asyncio.create_task(resolver.look_up("slow.example.org", 443, line))
    await asyncio.sleep(0)

    tried.cancel()
    await asyncio.wait([tried])
    assert (line.in_flight, resolver.crowded) == (1, True)

    silent.told.set()
    async with asyncio.timeout(10):
        while not line.idle:
            await asyncio.sleep(0)
    assert not resolver.crowded


async def test_look_ups_that_hang_keep_no_other_waiting(silent: SilentNameServer) -> None:
    line, resolver = Line(limit=100), Resolver(most=100)
    stuck = [asyncio.create_task(resolver.look_up(f"{n}.example.org", 443, line)) for n in range(50)]
    await asyncio.sleep(0)

    with pytest.MonkeyPatch.context() as quick:
        quick.setattr(socket, "getaddrinfo", lambda *_, **__: [(2, 1, 6, "", (OTHER_PUBLIC, 443))] * 2)
        assert await asyncio.wait_for(resolver.look_up("quick.example.org", 443, line), 10) == [OTHER_PUBLIC]

    silent.told.set()
    assert await asyncio.gather(*stuck) == [[PUBLIC]] * 50


def test_a_look_up_that_hangs_does_not_hold_up_the_end_of_the_process() -> None:
    """Its name server never answers; whoever joined its thread would never end."""
    subprocess.run([sys.executable, "-c", NEVER_ANSWERED], check=True, timeout=60)


NEVER_ANSWERED = """
import asyncio, socket, threading
from gleaner_worker.webhooks.circuits import Line
from gleaner_worker.webhooks.guard import Resolver

asked = threading.Event()

def never(*_, **__):
    asked.set()
    threading.Event().wait()

async def main():
    tried = asyncio.create_task(Resolver(most=1).look_up("slow.example.org", 443, Line(limit=1)))
    await asyncio.to_thread(asked.wait)
    tried.cancel()
    await asyncio.wait([tried])

socket.getaddrinfo = never
asyncio.run(main())
"""
