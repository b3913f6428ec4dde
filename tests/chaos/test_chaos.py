"""The chaos run of `make chaos`, short: whatever is killed, stopped, cut or taken away, every job ends exactly once."""

import os
from pathlib import Path

import pytest
from chaos.plan import Plan
from chaos.run import chaos

SECONDS = float(os.environ.get("GLEANER_TEST_CHAOS_S", "90"))


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_every_job_ends_exactly_once_whatever_is_killed_stopped_cut_or_taken_away(tmp_path: Path) -> None:
    plan = Plan(seconds=SECONDS, workers=2, bbox_workers=1, kill_every=4, trouble_every=8, out=tmp_path)

    report = await chaos(plan)

    assert report["violations"] == []
    assert (report["lost"], report["doubled"]) == (0, 0)
    assert report["jobs"] and report["kills"], "it was no walk in the park"
