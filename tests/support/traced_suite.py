"""The whole suite as real processes that tell a receiver of OTLP what they do."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from gleaner_stack.supervisor import Stack, StackOptions
from support.log_lines import LogLines
from support.postgres import Databases

SAMPLES = Path(__file__).parents[2] / "samples"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@dataclass(frozen=True)
class TracedSuite:
    """The suite, and callers who are traced themselves."""

    stack: Stack
    endpoint: str
    log: LogLines

    async def call(self, *options: str, sample: str = "invoice", kind: str = "pdf", **environment: str) -> str:
        """A program submits a sample and waits for its end; returns the trace that it did so in."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "support.traced_caller", self.stack.api_address),
            *(str(SAMPLES / f"{sample}.schema.json"), str(SAMPLES / f"{sample}.{kind}"), *options),
            stdout=asyncio.subprocess.PIPE,
            env={
                **os.environ,
                "OTEL_EXPORTER_OTLP_ENDPOINT": self.endpoint,
                "PYTHONPATH": str(Path(__file__).parents[1]),
                **environment,
            },
        )
        out, _ = await process.communicate()
        assert process.returncode == 0
        return out.decode().strip()


@asynccontextmanager
async def traced_suite(postgres: Databases | None, endpoint: str, **settings: str) -> AsyncIterator[TracedSuite]:
    """The suite for the length of the block; what it has not told before it tells at its end. Without a Postgres it has
    one of its own.
    """
    url = postgres.create(template=None) if postgres else None
    told = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
        "OTEL_METRICS_EXPORTER": "none",
        "OTEL_BSP_SCHEDULE_DELAY": "200",
        "GLEANER_WEBHOOK_SECRETS": SECRET,
        "GLEANER_WEBHOOK_ALLOW_PRIVATE": "true",
        "GLEANER_RETRY_BASE_DELAY_S": "0.2",
        "GLEANER_RETRY_MAX_DELAY_S": "0.2",
    }
    log = LogLines()
    async with Stack(StackOptions(database_url=url, environment=told | settings), log) as stack:
        yield TracedSuite(stack, endpoint, log)
    if postgres and url:
        postgres.drop(url)
