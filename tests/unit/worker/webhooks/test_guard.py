from collections.abc import Iterable, Sequence
from typing import Any

import httpcore2
import pytest

from gleaner_worker.webhooks.guard import AddressRefused, GuardedNetwork, NotResolved

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
