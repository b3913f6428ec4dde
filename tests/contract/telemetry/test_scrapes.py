"""The endpoint for scrapes, of real processes."""

import socket
from collections.abc import Iterator

import pytest

from support.service_process import running

BBOX_WORKER = ["-c", "from gleaner_bbox_worker.main import run; run()"]
REAPER = ["-c", "from gleaner_reaper.main import run; run()"]


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.mark.parametrize("service", [BBOX_WORKER, REAPER], ids=["bbox_worker", "reaper"])
async def test_a_port_that_is_taken_ends_the_service_with_the_way_out(
    service: list[str], database_url: str, taken: int
) -> None:
    environment = {
        "GLEANER_DATABASE_URL": database_url,
        "OTEL_METRICS_EXPORTER": "prometheus",
        "OTEL_EXPORTER_PROMETHEUS_HOST": "127.0.0.1",
        "OTEL_EXPORTER_PROMETHEUS_PORT": str(taken),
    }
    async with running(service, environment, listening=False) as process:
        assert await process.ended() == 1

    assert any("set OTEL_EXPORTER_PROMETHEUS_PORT" in line["message"] for line in process.lines)
    assert not any("Traceback" in line["message"] for line in process.lines)
