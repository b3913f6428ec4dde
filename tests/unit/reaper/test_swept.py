"""What a sweep leaves for those who watch the reaper: its process has ended before anybody asks it."""

import time

from gleaner_core.errors import Unavailable
from gleaner_reaper.swept import LastSweep, Swept
from gleaner_telemetry import metrics
from support.measured import Measured


def test_the_figures_are_the_last_sweeps_by_class_and_by_what_became_of_them(measured: Measured) -> None:
    last = LastSweep()
    for removed in (3, 0):
        with last.recorded() as record:
            record.add(Swept("old_jobs", removed, removed=removed))
            record.add(Swept("stale_running", 2, rescued=1, failed=1))

    figures = measured.of(metrics.REAPER_ORPHANS)
    assert figures["old_jobs", "removed"] == 0
    assert [figures["stale_running", what] for what in ("found", "rescued", "failed")] == [2, 1, 1]


def test_only_a_whole_sweep_has_ended(measured: Measured) -> None:
    last = LastSweep()
    with last.recorded() as record:
        record.failed(Unavailable())
    assert measured.of(metrics.REAPER_SWEPT) == {}

    with last.recorded():
        pass
    assert abs(measured.of(metrics.REAPER_SWEPT)[()] - time.time()) < 5
