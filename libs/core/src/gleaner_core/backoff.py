"""Back-off: capped exponential with full jitter (M. Brooker, "Exponential Backoff And Jitter", AWS, 2015)."""

import random
from datetime import timedelta


def backoff(attempt: int, base: timedelta, cap: timedelta) -> timedelta:
    """How long to wait after the `attempt`-th error in a row, counted from 1: anything up to base * 2^(attempt - 1)."""
    ceiling = min(cap.total_seconds(), base.total_seconds() * 2 ** min(attempt - 1, 32))
    return timedelta(seconds=random.uniform(0, ceiling))
