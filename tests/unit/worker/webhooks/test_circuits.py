import asyncio
from datetime import timedelta

import pytest

from gleaner_worker.webhooks import circuits
from gleaner_worker.webhooks.circuits import Circuit, Circuits, Line, Place


class Clock:
    now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(circuits, "time", made)
    return made


def a_circuit(limit: int = 2) -> Circuit:
    return Circuit(limit=limit, threshold=3, pause_s=30)


def a_slow_circuit() -> Circuit:
    """One whose receiver takes long: nobody waits in line for it."""
    circuit = a_circuit()
    for _ in range(30):
        circuit.saw(15, well=True)
    return circuit


def url(host: int) -> str:
    return f"https://{host}.example.org/"


async def enter(circuits: Circuits, tenant: str, host: int) -> Place | timedelta:
    return await circuits.enter(tenant, url(host))


async def begun(line: Line) -> None:
    """A delivery is under way."""
    assert await line.enter() is None
    line.began()


async def fail(circuit: Circuit) -> None:
    assert await circuit.enter() is None
    circuit.saw(0.1, well=False)
    circuit.leave()


async def test_no_more_are_sent_at_once_than_the_limit(clock: Clock) -> None:
    circuit = a_slow_circuit()
    assert [await circuit.enter() for _ in range(2)] == [None, None]

    assert await circuit.enter() is not None
    circuit.leave()
    assert await circuit.enter() is None


async def test_what_a_quick_receiver_soon_has_time_for_waits_in_line(clock: Clock) -> None:
    circuit = a_circuit()
    await begun(circuit)
    await begun(circuit)

    waiting = asyncio.create_task(circuit.enter())
    await asyncio.sleep(0)
    assert not waiting.done()
    circuit.leave()

    assert await waiting is None
    assert circuit.in_flight == 2


async def test_nobody_waits_in_line_for_long(clock: Clock) -> None:
    circuit = a_circuit()
    await begun(circuit)
    await begun(circuit)

    assert await asyncio.wait_for(circuit.enter(), 2) is not None
    clock.now += 5  # nothing has moved since
    assert await asyncio.wait_for(circuit.enter(), 0.1) is not None


async def test_those_that_are_put_back_get_turns_one_after_the_other(clock: Clock) -> None:
    circuit = a_slow_circuit()
    await circuit.enter(), await circuit.enter()

    waits = [wait.total_seconds() for _ in range(10) if (wait := await circuit.enter())]

    assert len(waits) == 10
    assert waits[-1] > 4 * waits[0]


async def test_failures_in_a_row_open_it_and_a_pause_later_one_may_try(clock: Clock) -> None:
    circuit = a_circuit()
    for _ in range(3):
        await fail(circuit)
    assert await circuit.enter() is not None

    clock.now += 30

    assert await circuit.enter() is None
    assert await circuit.enter() is not None, "one at a time, until one arrives"
    circuit.saw(0.1, well=True)
    assert await circuit.enter() is None


async def test_a_success_between_failures_keeps_it_closed(clock: Clock) -> None:
    circuit = a_circuit()
    for _ in range(5):
        await fail(circuit)
        circuit.saw(0.1, well=True)

    assert await circuit.enter() is None


async def test_each_failure_after_a_pause_doubles_the_next_to_five_minutes(clock: Clock) -> None:
    circuit = a_circuit()
    pauses = []
    for _ in range(3):
        await fail(circuit)
    for _ in range(8):
        clock.now = circuit.opens_at
        await fail(circuit)
        pauses.append(circuit.opens_at - clock.now)

    assert 30 <= pauses[0] <= 60
    assert all(150 <= pause <= 300 for pause in pauses[-4:])


async def test_a_receiver_that_asks_for_patience_gets_it(clock: Clock) -> None:
    circuit = a_circuit()
    await circuit.enter()
    circuit.saw(0.1, well=False, pause=timedelta(seconds=60))
    circuit.leave()

    wait = await circuit.enter()

    assert wait is not None
    assert wait >= timedelta(seconds=60)
    clock.now += 61
    assert await circuit.enter() is None


async def test_what_was_sent_before_it_opened_does_not_prolong_it(clock: Clock) -> None:
    circuit = a_circuit(limit=10)
    for _ in range(10):
        await circuit.enter()
    for _ in range(10):
        circuit.saw(15, well=False)

    assert circuit.opens_at - clock.now <= 30


async def test_who_is_cancelled_in_line_leaves_it(clock: Clock) -> None:
    circuit = a_circuit(limit=1)
    await begun(circuit)
    waiting = asyncio.create_task(circuit.enter())
    await asyncio.sleep(0)

    waiting.cancel()
    await asyncio.wait([waiting])
    circuit.leave()

    assert circuit.in_flight == 0
    assert circuit.idle


async def test_a_burst_of_the_past_puts_nobody_off_for_longer_than_the_longest_pause(clock: Clock) -> None:
    circuit = a_slow_circuit()
    await circuit.enter(), await circuit.enter()
    for _ in range(1000):
        await circuit.enter()

    clock.now += 300
    wait = await circuit.enter()

    assert wait is not None
    assert wait < timedelta(seconds=30)


async def test_a_tenants_many_hosts_have_no_more_places_than_it_and_take_no_other_tenants(clock: Clock) -> None:
    circuits = Circuits(limit=1, tenant_limit=2, threshold=3, pause_s=30)
    first, second = await enter(circuits, "a", 1), await enter(circuits, "a", 2)
    assert isinstance(first, Place)
    assert isinstance(second, Place)
    clock.now += 5  # nothing moves: nobody waits in line

    refused = await enter(circuits, "a", 3)

    assert isinstance(refused, timedelta)
    assert circuits.of("a", url(3)).in_flight == 0
    assert isinstance(await enter(circuits, "b", 1), Place)
    first.leave()
    assert isinstance(await enter(circuits, "a", 3), Place)


async def test_who_is_cancelled_in_its_tenants_line_keeps_no_place_at_the_host(clock: Clock) -> None:
    circuits = Circuits(limit=1, tenant_limit=1, threshold=3, pause_s=30)
    assert isinstance(await enter(circuits, "a", 1), Place)
    waiting = asyncio.create_task(enter(circuits, "a", 2))
    await asyncio.sleep(0)
    assert circuits.of("a", url(2)).in_flight == 1

    waiting.cancel()
    await asyncio.wait([waiting])

    assert circuits.of("a", url(2)).idle


async def test_a_receiver_that_is_sent_nothing_for_its_tenants_sake_does_not_look_as_if_it_moved(clock: Clock) -> None:
    circuits = Circuits(limit=2, tenant_limit=2, threshold=3, pause_s=30)
    assert isinstance(await enter(circuits, "a", 1), Place)
    assert isinstance(await enter(circuits, "a", 2), Place)
    clock.now += 5  # both hang
    assert isinstance(await enter(circuits, "a", 1), timedelta)
    receiver = circuits.of("a", url(1))
    assert await receiver.enter() is None

    wait = await asyncio.wait_for(receiver.enter(), 0.1)

    assert wait is not None, "it would wait in line if something moved"


async def test_what_a_delivery_leaves_behind_keeps_a_place_until_it_ends(clock: Clock) -> None:
    line = Line(limit=1)
    left_behind: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    await begun(line)
    line.stay(left_behind)
    line.leave()
    waiting = asyncio.create_task(line.enter())
    await asyncio.sleep(0)
    assert not waiting.done()

    left_behind.set_result(None)

    assert await waiting is None


def test_tenants_and_hosts_do_not_share_one() -> None:
    of = Circuits(limit=1, tenant_limit=1, threshold=1, pause_s=1).of

    assert of("a", "https://example.org/1") is of("a", "https://EXAMPLE.org/2")
    assert len({id(of(t, u)) for t in "ab" for u in ("https://example.org/", "https://example.org:8443/")}) == 4


async def test_idle_ones_are_forgotten_before_there_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(circuits, "_MOST_REMEMBERED", 10)
    all_of_them = Circuits(limit=1, tenant_limit=1, threshold=1, pause_s=60)
    await fail(failing := all_of_them.of("a", "https://failing.example.org"))
    for number in range(50):
        all_of_them.of("a", f"https://{number}.example.org")

    assert all_of_them.of("a", "https://failing.example.org") is failing
    assert len(all_of_them._circuits) <= 11
