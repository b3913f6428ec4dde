"""Every service of the suite with mutual TLS, as processes; nobody of it speaks to anybody in the open."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from gleaner.v1 import jobs_pb2 as pb
from gleaner_client import GleanerClient, Tls, Unavailable, load_schema, values
from gleaner_repo import DatabaseSettings, JobRepository, open_database
from gleaner_stack.supervisor import SCRIPTS
from support import grpc_errors
from support.certificates import Authority, Files, files
from support.jobs import submitted
from support.service_process import ServiceProcess, running

SAMPLES = Path(__file__).parents[3] / "samples"
PATIENT = str(Path(grpc_errors.__file__).with_name("patient_server.py"))
SCHEMA = load_schema(SAMPLES / "invoice.schema.json")


def a_service(name: str) -> list[str]:
    return ["-c", f"from gleaner_{name}.main import run; run()"]


class Suite:
    """The processes, and what they were told."""

    def __init__(self, secure: Files, environment: Mapping[str, str]) -> None:
        self.secure = secure
        self.environment = dict(environment)
        self.addresses: dict[str, str] = {}

    async def start(self, name: str, stack: AsyncExitStack) -> ServiceProcess:
        process = await stack.enter_async_context(running(a_service(name), self.environment))
        await process.logged("ready")
        self.addresses[name] = process.address
        self.environment[f"GLEANER_{name.upper()}_ADDRESSES"] = process.address
        return process

    def client(self, *, named: Files | None = None) -> GleanerClient:
        who = named or self.secure
        tls = Tls(ca=who.ca, cert=who.identity.cert, key=who.identity.key)
        return GleanerClient(self.addresses["api"], tls=tls)


@pytest.fixture
def authority() -> Authority:
    return Authority()


@pytest.fixture
async def suite(database_url: str, authority: Authority, tmp_path: Path) -> AsyncIterator[Suite]:
    secure = files(authority, tmp_path / "suite")
    async with AsyncExitStack() as stack:
        made = Suite(secure, secure.environment | {"GLEANER_DATABASE_URL": database_url})
        for name in ("bbox_worker", "worker", "api"):
            await made.start(name, stack)
        yield made


async def test_a_job_and_a_call_go_through_all_services(suite: Suite) -> None:
    async with suite.client() as client:
        job = await client.submit_and_wait([SAMPLES / "invoice.pdf"], SCHEMA)
        call = await client.extract([SAMPLES / "invoice.pdf"], SCHEMA)

    assert job.job.state == pb.JOB_STATE_SUCCEEDED
    for result in (job.result, call):
        assert values(result)["invoice.pdf"]["header"]["invoice_number"] == "FA-2017-0008"
        [field] = [field for field in result.documents[0].fields if field.path == "header.invoice_number"]
        assert field.provenance.boxes
        assert not result.problems


async def test_they_work_on_after_all_certificates_were_replaced_and_know_no_old_one(
    suite: Suite, authority: Authority, tmp_path: Path
) -> None:
    old = files(authority, tmp_path / "old")
    async with suite.client() as client:
        await client.extract([SAMPLES / "invoice.pdf"], SCHEMA)

    successor = Authority()
    successor.sign(suite.secure.identity, "127.0.0.1")
    successor.write(suite.secure.ca)
    async with suite.client() as client:
        call = await client.extract([SAMPLES / "invoice.pdf"], SCHEMA)
    async with suite.client(named=old) as client:
        with pytest.raises(Unavailable):
            await client.version()

    assert values(call)["invoice.pdf"]["header"]["invoice_number"] == "FA-2017-0008"
    assert not call.problems


async def test_the_reaper_offers_by_tls_too(database_url: str, authority: Authority, tmp_path: Path) -> None:
    secure = files(authority, tmp_path)
    async with (
        open_database(DatabaseSettings(database_url=database_url)) as database,
        running([PATIENT], secure.environment) as worker,
    ):
        await submitted(JobRepository(database))
        settings = {
            "GLEANER_DATABASE_URL": database_url,
            "GLEANER_WORKER_ADDRESSES": worker.address,
            "GLEANER_BBOX_WORKER_ADDRESSES": "",
            "GLEANER_QUEUED_ORPHAN_THRESHOLD_S": "0",
            "GLEANER_OFFER_TIMEOUT_S": "20",
        }
        reaper = await asyncio.create_subprocess_exec(
            SCRIPTS / "gleaner-reaper",
            env=os.environ | secure.environment | settings,
            stdout=asyncio.subprocess.PIPE,
        )
        await worker.logged("called")
        await worker.say("go on")
        out, _ = await reaper.communicate()

    [queued] = [line for line in map(json.loads, out.splitlines()) if line["orphans"] == "stale_queued"]
    assert (queued["found"], queued["offered"]) == (1, 1)
