from datetime import timedelta

import pytest

from gleaner_worker.webhooks import circuits
from gleaner_worker.webhooks.circuits import Circuit, Circuits


class Clock:
    now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(circuits, "time", made)
    return made


def a_circuit() -> Circuit:
    return Circuit(limit=2, threshold=3, pause_s=30)


def fail(circuit: Circuit) -> None:
    assert circuit.enter() is None
    circuit.saw(0.1, well=False)
    circuit.leave()


def test_no_more_are_sent_at_once_than_the_limit(clock: Clock) -> None:
    circuit = a_circuit()
    assert [circuit.enter(), circuit.enter()] == [None, None]

    waits = [circuit.enter() for _ in range(5)]

    assert None not in waits
    circuit.leave()
    assert circuit.enter() is None


def test_those_that_wait_get_turns_one_after_the_other(clock: Clock) -> None:
    circuit = a_circuit()
    circuit.enter(), circuit.enter()

    waits = [wait.total_seconds() for _ in range(10) if (wait := circuit.enter())]

    assert len(waits) == 10
    assert waits[-1] > 4 * waits[0]


def test_failures_in_a_row_open_it_and_a_pause_later_one_may_try(clock: Clock) -> None:
    circuit = a_circuit()
    for _ in range(3):
        fail(circuit)
    assert circuit.enter() is not None

    clock.now += 30

    assert circuit.enter() is None
    assert circuit.enter() is not None, "one at a time, until one arrives"
    circuit.saw(0.1, well=True)
    assert circuit.enter() is None


def test_a_success_between_failures_keeps_it_closed(clock: Clock) -> None:
    circuit = a_circuit()
    for _ in range(5):
        fail(circuit)
        circuit.saw(0.1, well=True)

    assert circuit.enter() is None


def test_each_failure_after_a_pause_doubles_the_next_to_five_minutes(clock: Clock) -> None:
    circuit = a_circuit()
    pauses = []
    for _ in range(3):
        fail(circuit)
    for _ in range(8):
        clock.now = circuit.opens_at
        fail(circuit)
        pauses.append(circuit.opens_at - clock.now)

    assert 30 <= pauses[0] <= 60
    assert all(150 <= pause <= 300 for pause in pauses[-4:])


def test_a_receiver_that_asks_for_patience_gets_it(clock: Clock) -> None:
    circuit = a_circuit()
    circuit.enter()
    circuit.saw(0.1, well=False, pause=timedelta(seconds=60))
    circuit.leave()

    wait = circuit.enter()

    assert wait is not None
    assert wait >= timedelta(seconds=60)
    clock.now += 61
    assert circuit.enter() is None


def test_what_was_sent_before_it_opened_does_not_prolong_it(clock: Clock) -> None:
    circuit = Circuit(limit=10, threshold=3, pause_s=30)
    for _ in range(10):
        circuit.enter()
    for _ in range(10):
        circuit.saw(15, well=False)

    assert circuit.opens_at - clock.now <= 30


def test_tenants_and_hosts_do_not_share_one() -> None:
    of = Circuits(limit=1, threshold=1, pause_s=1).of

    assert of("a", "https://example.org/1") is of("a", "https://EXAMPLE.org/2")
    assert len({id(of(t, u)) for t in "ab" for u in ("https://example.org/", "https://example.org:8443/")}) == 4


def test_idle_ones_are_forgotten_before_there_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(circuits, "_MOST_REMEMBERED", 10)
    all_of_them = Circuits(limit=1, threshold=1, pause_s=60)
    fail(failing := all_of_them.of("a", "https://failing.example.org"))
    for number in range(50):
        all_of_them.of("a", f"https://{number}.example.org")

    assert all_of_them.of("a", "https://failing.example.org") is failing
    assert len(all_of_them._circuits) <= 11
