"""Settings that do not fit together are refused when a process starts, with the way out."""

import asyncio
import os
import re
from pathlib import Path

import pytest

from gleaner_runner import RunnerSettings
from gleaner_stack.supervisor import SCRIPTS

PAGE = (Path(__file__).parents[3] / "docs" / "settings.md").read_text()
DEFAULTS = dict(re.findall(r"^\| `GLEANER_(\w+)` \| `([^`]*)` \|", PAGE, re.MULTILINE))


async def refusal(command: str, **settings: str) -> str:
    """What the command says when it refuses to start."""
    process = await asyncio.create_subprocess_exec(
        SCRIPTS / command,
        env=os.environ | {"GLEANER_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none"} | settings,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(60):
        _, told = await process.communicate()
    assert process.returncode == 2
    return told.decode()


@pytest.mark.parametrize(
    ("command", "lease"),
    [("gleaner-worker", "GLEANER_JOB_RUN_LEASE_S"), ("gleaner-bbox-worker", "GLEANER_BBOX_REFINE_LEASE_S")],
)
async def test_a_lease_shorter_than_three_heartbeats_is_refused_with_both_ways_out(command: str, lease: str) -> None:
    told = await refusal(command, GLEANER_HEARTBEAT_S="6", **{lease: "12"})

    assert f"{lease} is 12 s, less than three heartbeats of 6 s" in told
    assert f"Raise {lease} to 18 or lower GLEANER_HEARTBEAT_S to 4" in told


@pytest.mark.parametrize(
    ("command", "pause", "lease"),
    [
        ("gleaner-worker", "GLEANER_POLL_MAX_S", "GLEANER_JOB_RUN_LEASE_S"),
        ("gleaner-worker", "GLEANER_WEBHOOK_POLL_MAX_S", "GLEANER_WEBHOOK_LEASE_S"),
        ("gleaner-bbox-worker", "GLEANER_POLL_MAX_S", "GLEANER_BBOX_REFINE_LEASE_S"),
    ],
)
async def test_looks_that_are_too_rare_for_the_lease_are_refused_with_both_ways_out(
    command: str, pause: str, lease: str
) -> None:
    told = await refusal(command, **{pause: "20", lease: "30"})

    assert f"{lease} is 30 s, less than twice the pause of 20 s between two looks" in told
    assert f"Raise {lease} to 40 or lower {pause} to 15" in told


async def test_a_first_back_off_that_is_longer_than_the_longest_is_refused() -> None:
    told = await refusal("gleaner-worker", GLEANER_RETRY_BASE_DELAY_S="10", GLEANER_RETRY_MAX_DELAY_S="5")

    assert "Lower GLEANER_RETRY_BASE_DELAY_S or raise GLEANER_RETRY_MAX_DELAY_S" in told


@pytest.mark.parametrize(
    "kept",
    [
        {"GLEANER_EVENT_RETENTION_S": "86400"},
        {"GLEANER_DELIVERY_RETENTION_S": "0", "GLEANER_RETENTION_S": "0"},  # for ever
    ],
)
async def test_deliveries_are_not_kept_longer_than_the_events_they_tell_of(kept: dict[str, str]) -> None:
    told = await refusal("gleaner-reaper", **kept)

    assert "Raise GLEANER_EVENT_RETENTION_S or lower GLEANER_DELIVERY_RETENTION_S" in told


async def test_what_is_no_number_is_told_by_name_and_without_its_value() -> None:
    told = await refusal("gleaner-reaper", GLEANER_RETENTION_S="a-secret")

    assert "GLEANER_RETENTION_S" in told
    assert "a-secret" not in told


def test_defaults_fit() -> None:
    assert RunnerSettings()


def test_the_settings_have_the_names_that_operators_know() -> None:
    known = {
        "ASYNC_TIMEOUT_S": "1200",
        "JOB_RUN_LEASE_S": "15",
        "BBOX_REFINE_LEASE_S": "15",
        "BBOX_REFINE_TIMEOUT_S": "600",
        "RETRY_BASE_DELAY_S": "5",
        "RETRY_MAX_DELAY_S": "300",
        "JOB_MAX_ATTEMPTS": "3",
        "BBOX_REFINE_MAX_ATTEMPTS": "3",
        "QUEUED_ORPHAN_THRESHOLD_S": "600",
        "PARTIAL_SUCCEEDED_ORPHAN_THRESHOLD_S": "1320",
        "REAPER_SWEEP_INTERVAL_S": "60",
    }
    assert {name: f"{float(DEFAULTS[name]):g}" for name in known} == known


@pytest.mark.parametrize("value", ["inf", "nan", "1e15"])
async def test_seconds_without_end_are_refused_by_name(value: str) -> None:
    told = await refusal("gleaner-worker", GLEANER_ASYNC_TIMEOUT_S=value)

    assert "GLEANER_ASYNC_TIMEOUT_S: is no number of seconds up to 315,360,000, ten years" in told
