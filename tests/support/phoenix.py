"""Arize Phoenix as a process: a backend for traces that is not ours, read back through its own API."""

import asyncio
import json
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.request import urlopen

import pytest

PHOENIX = Path(__file__).parents[2] / ".venv-phoenix" / "bin" / "phoenix"
PROJECT = {"OTEL_RESOURCE_ATTRIBUTES": "openinference.project.name=gleaner"}


class Phoenix:
    """The backend: traces go to `endpoint`, people to `url`."""

    def __init__(self, url: str, endpoint: str) -> None:
        self.url = url
        self.endpoint = endpoint

    async def spans(self, trace: str, wanted: int, patience: float = 60.0) -> list[dict[str, Any]]:
        """The spans of a trace as the API tells them, once there are `wanted` of them and those above them: it can only
        be asked again.
        """
        async with asyncio.timeout(patience):
            while True:
                page = await asyncio.to_thread(self._get, "/v1/projects/gleaner/spans?limit=1000")
                found = [span for span in page["data"] if span["context"]["trace_id"] == trace]
                known = {span["context"]["span_id"] for span in found} | {None}
                if len(found) >= wanted and all(span["parent_id"] in known for span in found):
                    return found
                await asyncio.sleep(0.2)

    def _get(self, path: str) -> dict[str, Any]:
        with suppress(OSError), urlopen(self.url + path, timeout=10) as answer:
            return dict(json.load(answer))
        return {"data": []}  # the project is made by its first span


def installed() -> None:
    """Skips the test where nobody has installed it."""
    if not PHOENIX.exists():
        pytest.skip("Phoenix is not installed (tools/phoenix, 0.8 GB)")


@asynccontextmanager
async def phoenix() -> AsyncIterator[Phoenix]:
    """A fresh one for the length of the block."""
    port, grpc_port = _free(), _free()
    with TemporaryDirectory(prefix="gleaner-phoenix-") as folder:
        settings = {
            "PHOENIX_WORKING_DIR": folder,
            "PHOENIX_HOST": "127.0.0.1",
            "PHOENIX_PORT": str(port),
            "PHOENIX_GRPC_PORT": str(grpc_port),
            "PHOENIX_TELEMETRY_ENABLED": "false",
        }
        process = await asyncio.create_subprocess_exec(
            *(str(PHOENIX), "serve"),
            env={**os.environ, **settings},
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            await _answering(process, grpc_port)
            yield Phoenix(f"http://127.0.0.1:{port}", f"http://127.0.0.1:{grpc_port}")
        finally:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()


async def _answering(process: asyncio.subprocess.Process, port: int, patience: float = 120.0) -> None:
    async with asyncio.timeout(patience):
        while process.returncode is None:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.2)
                continue
            writer.close()
            return
    raise AssertionError(f"Phoenix ended with {process.returncode}")


def _free() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
