"""What a sweep removes, class by class: what is over for long, and what nobody refers to.

Each class gets its share of the time and at least one batch, so that none waits for another to come to an end.
"""

import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from datetime import timedelta

from gleaner_reaper.settings import RetentionSettings
from gleaner_reaper.swept import Swept
from gleaner_repo import GroupRepository, Retention


async def remove(
    retention: Retention, groups: GroupRepository, kept: RetentionSettings, patience: timedelta
) -> AsyncIterator[Swept]:
    """Expires idle groups, removes what is old, and tells, class by class. Safe to run by any number at once.

    In this order: a group that expires holds the log no longer, and a job's end dooms its documents.
    """
    expired = await groups.mark_expired(timedelta(seconds=kept.group_ttl_s))
    yield Swept("idle_groups", len(expired), expired=len(expired))

    classes: list[tuple[str, Callable[[timedelta], AsyncGenerator[int, None]], float]] = [
        ("old_jobs", retention.jobs, kept.retention_s),
        ("old_deliveries", retention.deliveries, kept.delivery_retention_s),
        ("old_events", retention.events, kept.event_retention_s),
        ("old_parked_events", retention.parked, kept.parked_event_retention_s),
        ("doomed_documents", retention.documents, kept.document_retention_s),
    ]
    share = patience.total_seconds() / len(classes)
    for name, batches, seconds in classes:
        removed = await _sum(batches(timedelta(seconds=seconds)), share) if seconds else 0
        yield Swept(name, removed, removed=removed)


async def _sum(batches: AsyncGenerator[int, None], seconds: float) -> int:
    give_up = time.monotonic() + seconds
    total = 0
    async with aclosing(batches):
        async for count in batches:
            total += count
            if time.monotonic() >= give_up:
                break
    return total
