"""What the checker of histories finds in the reading of a consumer group: one history each that breaks a rule."""

from dataclasses import replace

import pytest

from support.history import Group, Handed, History, Logged, Parked, lost_and_doubled, misread

AT_LEAST_ONCE, ONCE = Group("outside"), Group("sink", once=True)
LOG = [
    Logged("a", 1, "job.submitted", 1, False, "a1", place=(1, 10, 1)),
    Logged("b", 1, "job.submitted", 1, False, "b1", place=(1, 11, 3)),
    Logged("a", 2, "job.started", 1, False, "a2", place=(1, 12, 2)),
]
BOTH = pytest.mark.parametrize("group", [AT_LEAST_ONCE, ONCE], ids=lambda group: group.name)


def handed(group: Group, *events: str, taken: bool = True) -> list[Handed]:
    """Events, one after the other, to one reader."""
    return [Handed(group.name, "reader", event[0], event, taken) for event in events]


@BOTH
def test_each_event_once_in_the_order_of_the_log_is_as_promised(group: Group) -> None:
    assert misread(group, reversed(LOG), handed(group, "a1", "b1", "a2")) == []


def test_what_comes_again_breaks_nothing_at_least_once_and_is_a_double_exactly_once() -> None:
    again = ("a1", "b1", "a1", "b1", "a2")
    assert misread(AT_LEAST_ONCE, LOG, handed(AT_LEAST_ONCE, *again)) == []

    found = misread(ONCE, LOG, handed(ONCE, *again))
    assert found == [
        "a: job.submitted (seq 1) is 2 times in sink: doubled",
        "b: job.submitted (seq 1) is 2 times in sink: doubled",
    ]
    assert lost_and_doubled(found) == (0, 2)


@BOTH
def test_an_event_that_was_passed_over_is_lost(group: Group) -> None:
    found = misread(group, LOG, handed(group, "a1", "a2"))
    assert found == [f"b: job.submitted (seq 1) passed {group.name} by: lost"]
    assert lost_and_doubled(found) == (1, 0)


def test_another_groups_reading_is_not_this_groups() -> None:
    assert len(misread(AT_LEAST_ONCE, LOG, handed(ONCE, "a1", "b1", "a2"))) == len(LOG)


def test_an_event_that_was_refused_and_never_came_again_is_lost() -> None:
    history = [
        *handed(AT_LEAST_ONCE, "a1"),
        *handed(AT_LEAST_ONCE, "b1", taken=False),
        *handed(AT_LEAST_ONCE, "a2"),
    ]
    assert misread(AT_LEAST_ONCE, LOG, history) == ["b: job.submitted (seq 1) passed outside by: lost"]
    assert misread(AT_LEAST_ONCE, LOG, history + handed(AT_LEAST_ONCE, "b1")) == []


@BOTH
def test_what_is_not_in_the_log_is_told(group: Group) -> None:
    found = misread(group, LOG, handed(group, "a1", "b1", "a2", "c1"))
    assert found == [f"c: {group.name} was handed c1, which is no event of it"]


@BOTH
def test_an_event_of_another_job_is_told(group: Group) -> None:
    [*others, last] = handed(group, "a1", "b1", "a2")
    assert misread(group, LOG, [*others, replace(last, job="b")]) == [
        f"b: {group.name} was handed a2, which is no event of it"
    ]


@BOTH
def test_events_that_come_first_in_another_order_than_the_logs_are_told(group: Group) -> None:
    assert misread(group, LOG, handed(group, "b1", "a1", "a2")) == [
        f"a: job.submitted (seq 1) came to {group.name} after later ones of the log"
    ]


@BOTH
def test_the_order_is_that_of_transactions_and_not_of_ids(group: Group) -> None:
    assert misread(group, LOG, handed(group, "a1", "a2", "b1")) == [
        f"b: job.submitted (seq 1) came to {group.name} after later ones of the log"
    ]


def test_a_parked_event_is_not_lost_if_its_readers_know_of_every_try() -> None:
    history = [
        *handed(AT_LEAST_ONCE, "a1"),
        *handed(AT_LEAST_ONCE, "b1", "b1", taken=False),
        *handed(AT_LEAST_ONCE, "a2"),
    ]
    assert misread(AT_LEAST_ONCE, LOG, history, [Parked("outside", "b1", tries=2)]) == []
    assert misread(AT_LEAST_ONCE, LOG, history, [Parked("outside", "b1", tries=3, unseen=1)]) == []
    assert misread(AT_LEAST_ONCE, LOG, history, [Parked("outside", "b1", tries=3)]) == [
        "outside parked b1 for 3 tries, and its readers know of 2"
    ]


def test_a_sink_that_parked_an_event_has_lost_it() -> None:
    parked = [Parked("sink", "b1", tries=3, unseen=3)]
    assert misread(ONCE, LOG, handed(ONCE, "a1", "a2"), parked) == ["b: job.submitted (seq 1) passed sink by: lost"]


def test_a_reader_that_breaks_off_has_not_taken_what_it_was_handed() -> None:
    history = History()
    with history.hand(AT_LEAST_ONCE, "reader", "a", "a1") as taken:
        taken.taken = True
    with pytest.raises(ConnectionError), history.hand(AT_LEAST_ONCE, "reader", "b", "b1"):
        raise ConnectionError
    assert [(one.event_id, one.taken) for one in history.handed] == [("a1", True), ("b1", False)]
