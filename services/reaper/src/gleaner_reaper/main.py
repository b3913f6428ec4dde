"""The reaper's process: one sweep, JSON lines of what it did, and out. A CronJob of its own."""

import argparse
import asyncio
import json
import logging
import signal
import sys
from contextlib import AsyncExitStack, suppress
from dataclasses import asdict
from datetime import timedelta

from gleaner_core.errors import Unavailable
from gleaner_core.version import VERSION
from gleaner_reaper.settings import ReaperSettings
from gleaner_reaper.sweep import Thresholds, sweep
from gleaner_repo import JobRepository, open_database
from gleaner_rpc import Offers, Peers, addresses
from gleaner_rpc.process import SettingsDoNotFit, read_settings
from gleaner_telemetry import installed

log = logging.getLogger(__name__)

CANNOT_SWEEP = 1
BAD_SETTINGS = 2


async def main(settings: ReaperSettings, *, loop: bool) -> int:
    """Sweeps once, or with `loop` until SIGTERM. Returns the exit status."""
    async with AsyncExitStack() as stack:
        stack.enter_context(installed("reaper", settings.otel))
        try:
            database = await stack.enter_async_context(open_database(settings.database, name="gleaner-reaper"))
        except Unavailable as error:
            log.error("cannot sweep: %s", error)
            return CANNOT_SWEEP
        jobs = JobRepository(database, max_lapses=settings.max_lapses)
        workers, refiners = [
            Offers(await stack.enter_async_context(Peers(name, addresses(text), settings.channels)), settings.channels)
            for name, text in (("worker", settings.worker_addresses), ("bbox worker", settings.bbox_worker_addresses))
        ]
        thresholds = Thresholds(
            lease=timedelta(seconds=max(settings.job_run_lease_s, settings.bbox_refine_lease_s)),
            queued=timedelta(seconds=settings.queued_orphan_threshold_s),
            partial_succeeded=timedelta(seconds=settings.partial_succeeded_orphan_threshold_s),
            batch=settings.reaper_batch_size,
        )
        if not loop:
            return await _once(jobs, workers, refiners, thresholds)
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        while not stop.is_set():
            await _once(jobs, workers, refiners, thresholds)
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), settings.reaper_sweep_interval_s)
        return 0


async def _once(jobs: JobRepository, workers: Offers, refiners: Offers, thresholds: Thresholds) -> int:
    try:
        async for swept in sweep(jobs, workers, refiners, thresholds):
            sys.stdout.write(json.dumps(asdict(swept)) + "\n")
            sys.stdout.flush()
    except Unavailable as error:
        log.error("cannot sweep: %s", error)
        return CANNOT_SWEEP
    return 0


def run() -> None:
    """The command `gleaner-reaper`."""
    parser = argparse.ArgumentParser(
        prog="gleaner-reaper",
        description="Takes back leases of dead workers and offers jobs that nobody took; prints a JSON line for each"
        " class of orphans. Exit status: 0 swept, 1 could not sweep, 2 settings that do not fit. Configured by the"
        " environment alone: docs/settings.md lists every variable.",
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
