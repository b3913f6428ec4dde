from datetime import UTC, datetime
from uuid import uuid4

import pytest

from gleaner_api.window import Window
from gleaner_core.errors import InvalidRequest
from gleaner_core.states import State
from gleaner_repo import Event, LoggedEvent, Position


def events(count: int) -> list[LoggedEvent]:
    return [
        LoggedEvent(
            Position(1, 1, number),
            "default",
            Event(
                job_id=uuid4(),
                seq=1,
                event_id=uuid4(),
                type="job.started",
                leg=1,
                series=1,
                attempt=1,
                final=False,
                at=datetime.now(UTC),
                state=State.RUNNING,
                refinement=None,
                error=None,
                reason=None,
            ),
        )
        for number in range(count)
    ]


def test_an_acknowledgement_covers_what_came_before() -> None:
    window = Window(7)
    made = window.add(events(5))
    window.ack(made[2].position)
    assert window.handled() == tuple(made[:3])
    assert [window.holds(delivery) for delivery in made] == [False, False, False, True, True]


def test_what_is_acknowledged_while_the_last_is_written_is_not_forgotten() -> None:
    window = Window(7)
    made = window.add(events(3))
    window.ack(made[0].position)
    writing = window.handled()
    window.ack(made[1].position)
    window.written(writing)
    assert window.handled() == (made[1],)


def test_a_refusal_voids_what_came_after_and_covers_what_came_before() -> None:
    window = Window(7)
    made = window.add(events(5))
    assert window.nack(made[2].position) == made[2]
    assert window.handled() == tuple(made[:2])
    assert not any(map(window.holds, made))
    again = window.add(events(3))
    window.ack(made[4].position)
    assert window.nack(made[3].position) is None
    assert all(map(window.holds, again)), "what is said of the void is void"


def test_the_first_of_several_has_the_tries() -> None:
    assert [delivery.tries for delivery in Window(7).add(events(3), tries=2)] == [2, 0, 0]


@pytest.mark.parametrize("position", ["7-4", "8-1", "7", "7-", "7--1", "7-1x", "-", "7-²"])
def test_positions_of_nobody_are_refused(position: str) -> None:
    window = Window(7)
    window.add(events(3))
    with pytest.raises(InvalidRequest):
        window.ack(position)
