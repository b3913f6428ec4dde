"""Telemetry of single processes: flushed at the end, never in the way, and off unless it is asked for."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator

import pytest

from support.api import API
from support.otlp_receiver import OtlpReceiver, otlp_receiver
from support.service_process import running
from support.spans import named

REAPER = ["-c", "from gleaner_reaper.main import run; run()"]
NOBODY = "http://127.0.0.1:9"  # the port of the discard service, at which nobody listens


@pytest.fixture
async def receiver() -> AsyncIterator[OtlpReceiver]:
    async with otlp_receiver() as made:
        yield made


@pytest.fixture
def settings(database_url: str) -> dict[str, str]:
    return {
        "GLEANER_DATABASE_URL": database_url,
        "GLEANER_WORKER_ADDRESSES": "",
        "GLEANER_BBOX_WORKER_ADDRESSES": "",
        "OTEL_METRICS_EXPORTER": "none",
    }


async def test_the_reapers_one_sweep_is_told_before_it_ends(settings: dict[str, str], receiver: OtlpReceiver) -> None:
    async with running(REAPER, settings, listening=False, OTEL_EXPORTER_OTLP_ENDPOINT=receiver.endpoint) as reaper:
        assert await reaper.ended() == 0
    [sweep] = named(await receiver.spans(lambda seen: seen), "sweep")

    assert {name for name, _ in sweep.events} >= {"stale_queued", "stale_running"}


async def test_a_collector_that_is_gone_costs_the_reaper_seconds_and_not_its_sweep(settings: dict[str, str]) -> None:
    gone = {"OTEL_EXPORTER_OTLP_ENDPOINT": NOBODY, "OTEL_EXPORTER_OTLP_TIMEOUT": "2"}
    async with running(REAPER, settings | gone, listening=False) as reaper:
        assert await reaper.ended(15) == 0


async def test_a_signal_has_a_running_service_log_more_and_another_as_before(settings: dict[str, str]) -> None:
    async with running(API, settings) as api:
        await api.logged("ready")
        api.ask_to_stop(signal.SIGUSR1)
        assert await api.logged("the log level is now DEBUG")
        api.ask_to_stop(signal.SIGUSR2)
        assert await api.logged("the log level is now INFO")
        api.ask_to_stop()
        assert await api.ended() == 0


@pytest.mark.parametrize(
    "module", ["gleaner_documents.child", "gleaner_bbox_worker.child", "gleaner_worker.extractors.embedded.child"]
)
def test_child_processes_load_no_exporter_whatever_their_parent_was_told(module: str) -> None:
    loaded = "[name for name in sys.modules if name.startswith('opentelemetry.sdk')]"
    done = subprocess.run(
        [sys.executable, "-c", f"import json, sys, {module}; print(json.dumps({loaded}))"],
        env={**os.environ, "OTEL_EXPORTER_OTLP_ENDPOINT": NOBODY},
        check=True,
        capture_output=True,
    )

    assert json.loads(done.stdout) == []
