"""Whom a worker may judge depends on how long it has been in touch with the database."""

import pytest

from gleaner_runner.health import Touch

LEASE_S = 10.0


class Clock:
    """Time that passes when a test says so."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("time.monotonic", clock)
    return clock


def answers(touch: Touch, clock: Clock, every_s: float, for_s: float) -> None:
    for _ in range(int(for_s / every_s)):
        clock.now += every_s
        touch.answered()


def test_a_whole_lease_of_answers_is_wanted(clock: Clock) -> None:
    touch = Touch(LEASE_S)
    touch.answered()
    answers(touch, clock, 1, LEASE_S - 1)
    assert not touch.unbroken()
    answers(touch, clock, 1, 1)
    assert touch.unbroken()


@pytest.mark.parametrize(("silence_s", "unbroken"), [(LEASE_S / 2, True), (LEASE_S / 2 + 0.1, False)])
def test_a_silence_of_more_than_half_a_lease_is_a_gap(clock: Clock, silence_s: float, unbroken: bool) -> None:
    touch = Touch(LEASE_S)
    touch.answered()
    answers(touch, clock, 1, LEASE_S)
    clock.now += silence_s
    assert touch.unbroken() == unbroken
    touch.answered()
    assert touch.unbroken() == unbroken


def test_an_answer_that_did_not_come_is_a_gap(clock: Clock) -> None:
    touch = Touch(LEASE_S)
    touch.answered()
    answers(touch, clock, 1, LEASE_S)
    touch.silent()
    touch.answered()
    assert not touch.unbroken()
