"""The rehearsal of `make rehearsal`, short: replicas come, go and are all replaced, and no caller notices."""

from pathlib import Path

import pytest
from rehearsal.plan import Plan
from rehearsal.run import rehearsal


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_scaling_and_rolling_restarts_under_load_fail_no_request_and_lose_no_job(tmp_path: Path) -> None:
    plan = Plan(rounds=1, max_workers=2, job_rate=1.5, sync_rate=1, burst=24, steady=2, out=tmp_path)

    report = await rehearsal(plan)

    assert report["failures"] == {} and report["losses"] == []
    assert report["wrong"] == [], "each replica ended in time, each act came about"
