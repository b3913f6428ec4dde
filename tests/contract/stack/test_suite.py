"""The whole suite as its users run it: real processes, a real Postgres, real documents."""

import asyncio
import math
import os
import subprocess
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gleaner.v1 import jobs_pb2 as pb
from gleaner_client import GleanerClient, values
from gleaner_client.schema_files import load_schema
from gleaner_stack.supervisor import SCRIPTS, Stack, StackOptions
from support.log_lines import LogLines
from support.postgres import Databases
from support.processes import children, ended

SAMPLES = Path(__file__).parents[3] / "samples"
SHORT_LEASES = {
    "GLEANER_JOB_RUN_LEASE_S": "1.5",
    "GLEANER_BBOX_REFINE_LEASE_S": "1.5",
    "GLEANER_HEARTBEAT_S": "0.4",
    "GLEANER_POLL_MAX_S": "0.5",
}


@asynccontextmanager
async def suite(postgres: Databases, **settings: str) -> AsyncIterator[tuple[Stack, GleanerClient]]:
    url = postgres.create(template=None)
    options = StackOptions(database_url=url, environment=settings)
    async with Stack(options, LogLines()) as stack, GleanerClient(stack.api_address) as client:
        yield stack, client
    postgres.drop(url)


async def test_an_invoice_and_a_scan_go_in_and_values_with_places_come_out(postgres: Databases) -> None:
    async with suite(postgres) as (_, client):
        invoice, receipt = await asyncio.gather(
            client.submit_and_wait([SAMPLES / "invoice.pdf"], load_schema(SAMPLES / "invoice.schema.json")),
            client.submit_and_wait([SAMPLES / "receipt.jpg"], load_schema(SAMPLES / "receipt.schema.json")),
        )

    assert values(invoice.result)["invoice.pdf"]["header"]["invoice_number"] == "FA-2017-0008"
    assert values(receipt.result)["receipt.jpg"]["shop"]["company"] == "KFA SUPPLY"
    for answer, path in ((invoice, "header.invoice_number"), (receipt, "shop.company")):
        assert answer.job.state == pb.JOB_STATE_SUCCEEDED
        [field] = [field for field in answer.result.documents[0].fields if field.path == path]
        assert field.provenance.boxes


async def test_a_worker_killed_in_the_middle_of_a_job_loses_nothing(postgres: Databases) -> None:
    async with suite(postgres, **SHORT_LEASES) as (stack, client):
        job = await client.submit([SAMPLES / "receipt.jpg"], load_schema(SAMPLES / "receipt.schema.json"))
        events: list[pb.JobEvent] = []
        async for message in client.watch(job.name):
            if message.HasField("event"):
                events.append(message.event)
                if [event.type for event in events] == ["job.submitted", "job.started"]:
                    stack.kill("worker-1")
        answer = await client.result(job.name, wait=math.inf)

    assert answer.job.state == pb.JOB_STATE_SUCCEEDED
    assert values(answer.result)["receipt.jpg"]["shop"]["company"] == "KFA SUPPLY"
    assert [event.type for event in events].count("job.started") == 2
    assert [event.final for event in events].count(True) == 1
    assert [event.seq for event in events] == list(range(1, len(events) + 1))


@pytest.fixture
async def up() -> AsyncIterator[Process]:
    """`gleaner up` as a process of its own, ready."""
    process = await asyncio.create_subprocess_exec(
        SCRIPTS / "gleaner", "up", "--ephemeral", "--port", "0", stdout=PIPE, start_new_session=True
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(60):
            while b"ready: 127.0.0.1" not in await process.stdout.readline():
                assert not process.stdout.at_eof()
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def test_up_ends_on_ctrl_c_and_leaves_nothing_running(up: Process) -> None:
    everybody = children(up.pid)
    os.killpg(up.pid, 2)
    output, _ = await asyncio.wait_for(up.communicate(), 60)

    assert up.returncode == 0, output.decode()
    assert len(everybody) > 5
    assert all(map(ended, everybody))


async def test_up_killed_with_9_leaves_nothing_running(up: Process) -> None:
    everybody = children(up.pid)
    up.kill()
    await up.wait()

    assert len(everybody) > 5
    assert all(map(ended, everybody))


@pytest.mark.slow
def test_the_demo_prints_fields_and_draws_pictures(tmp_path: Path) -> None:
    command: list[str | Path] = [SCRIPTS / "gleaner", "demo", "--samples", SAMPLES, "--out", tmp_path]
    demo = subprocess.run(command, stdout=PIPE, text=True, timeout=100, check=False)

    assert demo.returncode == 0, demo.stdout
    assert "FA-2017-0008" in demo.stdout
    assert "KFA SUPPLY" in demo.stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == ["invoice-p1.png", "receipt-p1.png", "stack.log"]
