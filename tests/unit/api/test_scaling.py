"""What a leg's backlog comes to for an autoscaler."""

from datetime import timedelta

import pytest

from gleaner_api.scaling import Scaling, scaling_of
from gleaner_core.errors import InvalidRequest
from gleaner_repo import Backlog, DeliveryBacklog, LegBacklog

MINUTE = timedelta(minutes=1)
EXTRACTION = Scaling("extraction", jobs_per_replica=8, max_age=MINUTE)
REFINEMENT = Scaling("refinement", jobs_per_replica=16, max_age=None)


def leg(
    claimable: int = 0, *, waiting: int = 0, running: int = 0, suspects: int = 0, oldest: timedelta | None = None
) -> LegBacklog:
    return LegBacklog(claimable, waiting, running, suspects, oldest)


def backlog(
    extraction: LegBacklog | None = None, refinement: LegBacklog | None = None, *, due: int = 0, sending: int = 0
) -> Backlog:
    return Backlog(extraction or leg(), refinement or leg(), DeliveryBacklog(due, 0, sending, None))


def test_running_jobs_count_as_much_as_waiting_ones() -> None:
    assert EXTRACTION.figure(backlog(leg(5, running=3), leg(100))) == 8
    assert REFINEMENT.figure(backlog(leg(100), leg(5, running=3))) == 8


def test_deliveries_count_where_they_are_sent_from() -> None:
    owed = backlog(due=7, sending=1)

    assert EXTRACTION.figure(owed) == 1
    assert REFINEMENT.figure(owed) == 0


@pytest.mark.parametrize(
    "found", [backlog(leg(1)), backlog(leg(running=1)), backlog(due=1), backlog(sending=1)], ids=repr
)
def test_nobody_scales_to_zero_while_there_is_anything_to_do(found: Backlog) -> None:
    assert EXTRACTION.active(found) and EXTRACTION.figure(found) > 0


def test_what_waits_for_a_later_attempt_needs_nobody_yet() -> None:
    assert not EXTRACTION.active(backlog(leg(waiting=9)))


def test_what_waits_counts_more_the_longer_the_oldest_has_been_waiting() -> None:
    figures = [
        EXTRACTION.figure(backlog(leg(4, running=1, oldest=age * MINUTE), leg(1))) for age in (0.5, 1, 2, 10, 500)
    ]

    assert figures == [5, 5, 9, 41, 41]


def test_all_that_is_wrong_with_the_metadata_is_told() -> None:
    with pytest.raises(InvalidRequest) as caught:
        scaling_of({"leg": "grounding", "maxAgeSeconds": "nan", "scalerAddress": "api:50051"})

    assert {finding.field: finding.reason for finding in caught.value.findings} == {
        'scalerMetadata["leg"]': "UNKNOWN_LEG",
        'scalerMetadata["jobsPerReplica"]': "REQUIRED",
        'scalerMetadata["maxAgeSeconds"]': "NO_POSITIVE_NUMBER",
    }


@pytest.mark.parametrize("text", ["", "0", "-1", "eight", "inf", "1e7"])
def test_a_share_that_is_no_positive_number_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest, match="jobsPerReplica"):
        scaling_of({"leg": "extraction", "jobsPerReplica": text})


def test_metadata_is_read_as_keda_hands_it_over() -> None:
    metadata = {"leg": "refinement", "jobsPerReplica": "2.5", "maxAgeSeconds": "90", "scalerAddress": "api:50051"}

    assert scaling_of(metadata) == Scaling("refinement", 2.5, timedelta(seconds=90))
