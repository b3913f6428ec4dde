"""The reaper's process: one sweep, JSON lines of what it did, and out. A CronJob of its own."""

import argparse
import asyncio
import json
import logging
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import timedelta

from gleaner_core.errors import Unavailable
from gleaner_core.version import VERSION
from gleaner_reaper.removal import remove
from gleaner_reaper.settings import ReaperSettings
from gleaner_reaper.sweep import Thresholds, sweep
from gleaner_reaper.swept import LastSweep, Swept
from gleaner_repo import Database, GroupRepository, JobRepository, Retention, open_database
from gleaner_rpc import Offers, Peers, addresses
from gleaner_rpc.process import SettingsDoNotFit, read_settings
from gleaner_telemetry import CannotBeScraped, DatabaseMetrics, installed

log = logging.getLogger(__name__)

CANNOT_SWEEP = 1
BAD_SETTINGS = 2


async def main(settings: ReaperSettings, *, loop: bool) -> int:
    """Sweeps once, or with `loop` until SIGTERM. Returns the exit status."""
    async with AsyncExitStack() as stack:
        try:
            stack.enter_context(installed("reaper", settings.otel))
            database = await stack.enter_async_context(
                open_database(
                    settings.database,
                    name="gleaner-reaper",
                    watch=DatabaseMetrics(spans=settings.otel.trace_statements),
                )
            )
        except (Unavailable, CannotBeScraped) as error:
            log.error("cannot sweep: %s", error)
            return CANNOT_SWEEP
        workers, refiners = [
            Offers(await stack.enter_async_context(Peers(name, addresses(text), settings.channels)), settings.channels)
            for name, text in (("worker", settings.worker_addresses), ("bbox worker", settings.bbox_worker_addresses))
        ]
        sweeping = asyncio.create_task(_sweep(settings, database, workers, refiners, loop=loop))
        # Every statement is whole by itself: an end between two of them loses nothing.
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, sweeping.cancel)
        await asyncio.wait([sweeping])
        if sweeping.cancelled():
            return 0 if loop else CANNOT_SWEEP
        return sweeping.result()


async def _sweep(settings: ReaperSettings, database: Database, workers: Offers, refiners: Offers, *, loop: bool) -> int:
    """Sweeps once, or with `loop` again and again. Returns the exit status."""
    thresholds = Thresholds(
        lease=settings.lease,
        base_delay=timedelta(seconds=settings.retry_base_delay_s),
        longest_delay=timedelta(seconds=settings.retry_max_delay_s),
        queued=timedelta(seconds=settings.queued_orphan_threshold_s),
        partial_succeeded=timedelta(seconds=settings.partial_succeeded_orphan_threshold_s),
        batch=settings.reaper_batch_size,
    )
    jobs = JobRepository(database, max_lapses=settings.max_lapses)
    retention = Retention(database, batch=settings.reaper_batch_size)
    patience = timedelta(seconds=settings.reaper_removal_s)
    last = LastSweep()
    while True:
        status = await _once(
            last,
            sweep(jobs, workers, refiners, thresholds),
            remove(retention, GroupRepository(database), settings.retention, patience),
        )
        if not loop:
            return status
        await asyncio.sleep(settings.reaper_sweep_interval_s)


async def _once(last: LastSweep, *parts: AsyncIterator[Swept]) -> int:
    """Does the parts of a sweep and tells what they came to. What stands still waits for no part that fails."""
    status = 0
    with last.recorded() as record:
        for part in parts:
            try:
                async for swept in part:
                    record.add(swept)
                    sys.stdout.write(json.dumps({"orphans": swept.orphans} | swept.counts()) + "\n")
                    sys.stdout.flush()
            except Unavailable as error:
                log.error("cannot sweep: %s", error)
                record.failed(error)
                status = CANNOT_SWEEP
    return status


def run() -> None:
    """The command `gleaner-reaper`."""
    parser = argparse.ArgumentParser(
        prog="gleaner-reaper",
        description="Takes back leases of dead workers, offers jobs that nobody took and removes what was kept for long"
        " enough; prints a JSON line for each class. Exit status: 0 swept, 1 could not sweep, 2 settings that do not"
        " fit. Configured by the environment alone: docs/settings.md lists every variable.",
    )
    parser.add_argument("--loop", action="store_true", help="sweep again and again until SIGTERM, for use without cron")
    parser.add_argument("--version", action="version", version=f"gleaner-reaper {VERSION}")
    arguments = parser.parse_args()
    try:
        settings = read_settings(ReaperSettings)
    except SettingsDoNotFit as error:
        sys.stderr.write(f"gleaner-reaper: {error}\n")
        sys.exit(BAD_SETTINGS)
    sys.exit(asyncio.run(main(settings, loop=arguments.loop)))
