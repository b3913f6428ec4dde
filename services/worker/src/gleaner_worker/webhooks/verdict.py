"""What follows from a receiver's answer. The table in docs/webhooks.md says the same."""

import random
from datetime import timedelta

from gleaner_core.backoff import backoff
from gleaner_repo import DeliveryState, Tried
from gleaner_worker.webhooks.posting import Answered, Unanswered
from gleaner_worker.webhooks.settings import WebhookSettings

_GONE = 410
_THROTTLED = 429
_NOT_ASKED = frozenset({"URL_REFUSED", "BAD_SECRET"})


def judge(answer: Answered | Unanswered, attempt: int, settings: WebhookSettings) -> Tried:
    """What the `attempt`-th try, counted from 1, came to.

    Every answer but success and 410 is tried again, 4xx too: what a receiver refuses while it is being deployed or its
    secret changed, it takes an hour later. Of what we refuse ourselves, so is what may change: an address to which a
    name leads for a while, a secret; a URL never does.
    """
    if isinstance(answer, Unanswered):
        status, error, told = None, answer.reason, None
        final = answer.reason == "URL_REFUSED"
    elif 200 <= answer.status < 300:
        return Tried(DeliveryState.DELIVERED, status=answer.status)
    else:
        status, error, told = answer.status, "HTTP_ERROR", answer.retry_after
        final = answer.status == _GONE
    if final or attempt >= settings.max_attempts:
        return Tried(DeliveryState.DEAD, status=status, error=error, disable=status == _GONE)
    return Tried(DeliveryState.PENDING, _delay(told, attempt, settings), status, error)


def asked(answer: Answered | Unanswered) -> bool:
    """Whether the receiver was asked; else nothing is known of it."""
    return isinstance(answer, Answered) or answer.reason not in _NOT_ASKED


def does_well(answer: Answered | Unanswered) -> bool:
    """Whether the receiver works; one that says no does."""
    if isinstance(answer, Unanswered):
        return False
    return answer.status < 500 and answer.status != _THROTTLED


def pause_asked(answer: Answered | Unanswered, settings: WebhookSettings) -> timedelta | None:
    """How long the receiver wants to be left alone by everybody: 429 or 503 with Retry-After."""
    if isinstance(answer, Unanswered) or answer.status not in (_THROTTLED, 503) or answer.retry_after is None:
        return None
    return min(answer.retry_after, timedelta(seconds=settings.retry_max_delay_s))


def _delay(told: timedelta | None, attempt: int, settings: WebhookSettings) -> timedelta:
    longest = timedelta(seconds=settings.retry_max_delay_s)
    wanted = min(told or timedelta(0), longest) * random.uniform(1, 1.1)  # not all at the same moment
    # Whichever is longer: `0`, or a date by a clock that is behind, would spend all tries at once.
    return max(wanted, backoff(attempt, timedelta(seconds=settings.retry_base_delay_s), longest))
