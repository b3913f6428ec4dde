"""A real Prometheus that scrapes what a test names, and answers what it knows."""

import asyncio
import json
import urllib.parse
import urllib.request
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import yaml

from gleaner_stack.ports import free_ports
from support.needs import program


class Prometheus:
    """The server, by its HTTP interface."""

    def __init__(self, url: str) -> None:
        self.url = url

    async def ask(self, path: str, **parameters: str | float) -> Any:
        """The data of an answer."""
        url = f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        return await asyncio.to_thread(_data, url)

    async def query(self, expression: str) -> list[dict[str, Any]]:
        """The samples of an expression now."""
        found: list[dict[str, Any]] = (await self.ask("query", query=expression))["result"]
        return found

    async def until(self, expression: str, patience: float = 30.0) -> list[dict[str, Any]]:
        """The samples of an expression, once there are any."""
        async with asyncio.timeout(patience):
            while not (found := await self.query(expression)):
                await asyncio.sleep(0.2)
        return found


def _data(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return json.load(answer)["data"]


@asynccontextmanager
async def prometheus(
    folder: Path, targets: Mapping[str, Sequence[str]], rules: Sequence[Path] = ()
) -> AsyncIterator[Prometheus]:
    """A Prometheus that scrapes `targets`, lists of addresses by job, every second for the length of the block."""
    config = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(path) for path in rules],
        "scrape_configs": [
            {"job_name": job, "static_configs": [{"targets": list(addresses)}]} for job, addresses in targets.items()
        ],
    }
    (folder / "prometheus.yaml").write_text(yaml.safe_dump(config))
    [port] = free_ports(1)
    process = await asyncio.create_subprocess_exec(
        program("prometheus"),
        f"--config.file={folder / 'prometheus.yaml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--enable-feature=exemplar-storage",
        "--log.level=warn",
    )
    served = Prometheus(f"http://127.0.0.1:{port}")
    try:
        async with asyncio.timeout(30):
            while True:
                with suppress(OSError):
                    await served.ask("status/buildinfo")
                    break
                await asyncio.sleep(0.1)
        yield served
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
