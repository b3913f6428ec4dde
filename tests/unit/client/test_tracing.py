import json
import subprocess
import sys

PROGRAM = """
import asyncio, json, sys
{first}
from gleaner_client import GleanerClient
async def main():
    async with GleanerClient("127.0.0.1:9") as client:
        client.watch("jobs/01234567-89ab-7def-8123-456789abcdef")
asyncio.run(main())
print(json.dumps([name for name in sys.modules if "opentelemetry" in name or "gleaner_telemetry" in name]))
"""


def loaded(first: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(first=first)], check=True, capture_output=True, timeout=60
    )
    return list(json.loads(done.stdout))


def test_a_program_without_opentelemetry_pays_nothing_for_it() -> None:
    assert loaded("") == []


def test_a_program_with_opentelemetry_has_its_calls_traced_and_loads_no_sdk_by_that() -> None:
    names = loaded("from opentelemetry import trace")

    assert "gleaner_telemetry.calls" in names
    assert [name for name in names if name.startswith("opentelemetry.sdk")] == []
