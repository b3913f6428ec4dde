"""What an outage of the database looks like to who watches: statements that fail, and figures that end."""

import asyncio
import urllib.request

from support.metric_series import samples
from support.proxy import Proxy
from support.service_process import ServiceProcess, running

API = ["-c", "from gleaner_api.main import run; run()"]


async def values(port: int, name: str) -> dict[str, float]:
    """The values of a series by what it says of an error."""

    def scraped() -> str:
        with urllib.request.urlopen(
            urllib.request.Request(
                f"http://127.0.0.1:{port}/metrics", headers={"Accept": "application/openmetrics-text"}
            )
        ) as answer:
            return str(answer.read().decode())

    page = await asyncio.to_thread(scraped)
    return {one.labels.get("error_type", ""): one.value for one in samples(page) if one.name == name}


async def test_the_queues_figures_end_and_statements_fail_until_the_database_is_back(database_url: str) -> None:
    async with Proxy(database_url).running() as proxy:
        environment = {
            "GLEANER_DATABASE_URL": proxy.url,
            "GLEANER_DATABASE_TIMEOUT_S": "1",
            "GLEANER_WORKER_ADDRESSES": "",
            "GLEANER_QUEUE_METRICS_INTERVAL_S": "0.2",
            "OTEL_METRICS_EXPORTER": "prometheus",
            "OTEL_EXPORTER_PROMETHEUS_HOST": "127.0.0.1",
            "OTEL_EXPORTER_PROMETHEUS_PORT": "0",
        }
        async with running(API, environment, listening=False) as api:
            port = await told_port(api)
            await until(port, there=True)
            proxy.cut()
            await until(port, there=False)
            failed = await values(port, "db_client_operation_duration_seconds_count")
            proxy.mend()
            await until(port, there=True)

    assert sum(count for error, count in failed.items() if error and error != "CancelledError") > 0


async def told_port(api: ServiceProcess) -> int:
    return int((await api.logged("listening for scrapes"))["port"])


async def until(port: int, *, there: bool) -> None:
    """Returns once the queue's depth is told, or not told any more."""
    async with asyncio.timeout(30):
        while bool(await values(port, "gleaner_queue_depth")) is not there:
            await asyncio.sleep(0.05)
