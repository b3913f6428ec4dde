from datetime import timedelta

import pytest

from gleaner_repo import DeliveryState
from gleaner_worker.webhooks.posting import Answered, Unanswered
from gleaner_worker.webhooks.settings import WebhookSettings
from gleaner_worker.webhooks.verdict import asked, does_well, judge, pause_asked

SETTINGS = WebhookSettings()
HOUR = timedelta(hours=1)


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_every_success_delivers(status: int) -> None:
    tried = judge(Answered(status), 1, SETTINGS)

    assert (tried.state, tried.status, tried.error) == (DeliveryState.DELIVERED, status, None)


@pytest.mark.parametrize(
    "answer",
    [
        *(Answered(status) for status in (301, 302, 307, 400, 401, 404, 408, 409, 422, 429, 500, 502, 503, 504)),
        *(Unanswered(reason) for reason in ("TIMED_OUT", "NOT_CONNECTED", "NOT_RESOLVED", "TLS_FAILED", "BAD_ANSWER")),
        *(Unanswered(reason) for reason in ("ADDRESS_REFUSED", "BAD_SECRET")),
    ],
)
def test_everything_else_is_tried_again_until_the_last_try(answer: Answered | Unanswered) -> None:
    assert [judge(answer, attempt, SETTINGS).state for attempt in range(1, 7)] == ["PENDING"] * 4 + ["DEAD"] * 2


def test_gone_ends_the_delivery_and_closes_the_endpoint() -> None:
    tried = judge(Answered(410), 1, SETTINGS)

    assert (tried.state, tried.disable) == (DeliveryState.DEAD, True)
    assert not judge(Answered(404), 9, SETTINGS).disable


def test_a_url_that_we_refuse_is_not_tried_again() -> None:
    assert judge(Unanswered("URL_REFUSED"), 1, SETTINGS).state is DeliveryState.DEAD


def test_back_off_grows_and_is_capped() -> None:
    waits = [max(judge(Answered(500), n, SETTINGS).delay.total_seconds() for _ in range(300)) for n in (1, 2, 3, 4)]

    assert [wait <= bound for wait, bound in zip(waits, (30, 60, 120, 240), strict=True)] == [True] * 4
    assert waits == sorted(waits)


def test_retry_after_is_obeyed_but_not_for_ever() -> None:
    minute = judge(Answered(503, timedelta(minutes=1)), 1, SETTINGS).delay
    long = judge(Answered(429, timedelta(days=30)), 1, SETTINGS).delay

    assert timedelta(seconds=60) <= minute <= timedelta(seconds=66)
    assert HOUR <= long <= HOUR * 1.1


@pytest.mark.parametrize("told", [timedelta(0), timedelta(seconds=1)])
def test_a_retry_after_that_is_shorter_than_the_back_off_does_not_shorten_it(told: timedelta) -> None:
    waits = [judge(Answered(429, told), 4, SETTINGS).delay for _ in range(300)]

    assert min(waits) >= told
    assert timedelta(seconds=200) < max(waits) <= timedelta(seconds=240)


def test_only_who_is_overloaded_pauses_everybody() -> None:
    told = timedelta(seconds=7)

    assert pause_asked(Answered(429, told), SETTINGS) == pause_asked(Answered(503, told), SETTINGS) == told
    assert pause_asked(Answered(500, told), SETTINGS) is None
    assert pause_asked(Answered(429), SETTINGS) is None


def test_a_receiver_that_says_no_works() -> None:
    assert [does_well(Answered(status)) for status in (200, 302, 404, 410, 429, 500, 503)] == [True] * 4 + [False] * 3
    assert not does_well(Unanswered("TIMED_OUT"))
    assert not does_well(Unanswered("ADDRESS_REFUSED"))


def test_a_receiver_that_was_not_asked_does_neither_well_nor_ill() -> None:
    reasons = ("URL_REFUSED", "BAD_SECRET", "ADDRESS_REFUSED", "TIMED_OUT")

    assert [asked(Unanswered(reason)) for reason in reasons] == [False, False, True, True]
    assert asked(Answered(500))
