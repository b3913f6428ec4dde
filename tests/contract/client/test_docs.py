"""What docs/cli.md, docs/sdk.md and docs/runbook.md say can be done, done."""

import asyncio
import re
import shlex
import sys
from pathlib import Path

import pytest
import typer
from google.protobuf import json_format
from PIL import Image

from gleaner.v1 import events_pb2, extraction_pb2, jobs_pb2, version_pb2, webhooks_pb2
from gleaner.v1.results_pb2 import Money, Value
from support.client_messages import (
    DELIVERY,
    ENDPOINT,
    JOB,
    SECRET,
    a_delivery,
    a_job,
    a_move,
    an_answer,
    an_endpoint,
    as_it_is,
)
from support.scripted_server import ScriptedServer

DOCS = Path(__file__).parents[3] / "docs"


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", (DOCS / page).read_text(), re.MULTILINE | re.DOTALL)


def commands(page: str) -> list[str]:
    return [line.removeprefix("$ gleaner ") for block in blocks(page, "console") for line in block.splitlines()]


COMMANDS = commands("cli.md")


@pytest.fixture
def folder(tmp_path: Path, server: ScriptedServer) -> Path:
    (tmp_path / "schema.yaml").write_text(blocks("cli.md", "yaml")[0])
    for name in ("invoice.pdf", "receipt.jpg"):
        Image.new("RGB", (60, 80), "white").save(tmp_path / name, format="PNG")
    answer = an_answer()
    answer.result.documents[0].document = "invoice.pdf"
    net = answer.result.documents[0].fields.add(path="totals.net_amount")
    net.value.CopyFrom(Value(money=Money(amount="1234.50", currency_code="EUR")))
    (tmp_path / "result.json").write_text(json_format.MessageToJson(answer))

    done = a_job("SUCCEEDED", seq=2)
    server.script("SubmitJob", jobs_pb2.SubmitJobResponse(job=a_job()))
    server.script("GetJob", jobs_pb2.GetJobResponse(job=a_job()))
    server.script("ListJobs", jobs_pb2.ListJobsResponse(jobs=[a_job()]))
    server.script("CancelJob", jobs_pb2.CancelJobResponse(job=a_job("CANCELLED")))
    server.script("RetryJob", jobs_pb2.RetryJobResponse(job=a_job()))
    server.script("DeleteJob", jobs_pb2.DeleteJobResponse())
    server.script("GetJobResult", answer)
    server.script("WatchJob", [as_it_is(a_job()), a_move("job.succeeded", done, final=True)])
    event = events_pb2.SubscribedEvent(position="1-1", job=f"jobs/{JOB}", event=jobs_pb2.JobEvent(type="job.failed"))
    server.script("SubscribeEvents", [events_pb2.SubscribeEventsResponse(event=event)])
    told = an_endpoint()
    server.script("CreateEndpoint", webhooks_pb2.CreateEndpointResponse(endpoint=told, secret=SECRET))
    server.script("GetEndpoint", webhooks_pb2.GetEndpointResponse(endpoint=told))
    server.script("ListEndpoints", webhooks_pb2.ListEndpointsResponse(endpoints=[told]))
    server.script("UpdateEndpoint", webhooks_pb2.UpdateEndpointResponse(endpoint=told))
    server.script("RotateEndpointSecret", webhooks_pb2.RotateEndpointSecretResponse(endpoint=told, secret=SECRET))
    server.script("DeleteEndpoint", webhooks_pb2.DeleteEndpointResponse())
    server.script("ListDeliveries", webhooks_pb2.ListDeliveriesResponse(deliveries=[a_delivery()]))
    server.script("RedeliverWebhook", webhooks_pb2.RedeliverWebhookResponse(delivery=a_delivery()))
    server.script("Extract", extraction_pb2.ExtractResponse(result=answer.result))
    server.script("ValidateRequest", extraction_pb2.ValidateRequestResponse(valid=True))
    server.script("GetVersion", version_pb2.GetVersionResponse(version="0.1.0"))
    return tmp_path


async def run(folder: Path, server: ScriptedServer, *arguments: str) -> str:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *arguments,
        cwd=folder,
        env={"GLEANER_SERVER": server.address, "PATH": ""},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 0, err.decode()
    return out.decode()


@pytest.mark.parametrize("command", [*COMMANDS, *commands("runbook.md")])
async def test_a_command_of_the_page_works(folder: Path, server: ScriptedServer, command: str) -> None:
    await run(
        folder,
        server,
        "-m",
        "gleaner_client",
        *shlex.split(command.replace("$JOB", JOB).replace("$ENDPOINT", ENDPOINT).replace("$DELIVERY", DELIVERY)),
    )


@pytest.mark.parametrize(
    ("number", "prints"), [(0, "Money(amount=Decimal('1234.50'), currency='EUR')"), (1, "job.succeeded")]
)
async def test_a_script_of_the_page_runs(folder: Path, server: ScriptedServer, number: int, prints: str) -> None:
    (folder / "script.py").write_text(blocks("sdk.md", "python")[number].replace("127.0.0.1:50051", server.address))
    assert prints in await run(folder, server, "script.py")


def names_of(app: typer.Typer) -> set[str]:
    return {str(command.name or getattr(command.callback, "__name__", "")) for command in app.registered_commands}


def test_the_page_has_every_command_and_status() -> None:
    from gleaner_client.cli import webhooks
    from gleaner_client.cli.app import app
    from gleaner_client.exits import Exit

    own = names_of(app) | {f"webhooks {name}" for name in names_of(webhooks.app)}
    assert own == {" ".join(command.split()[: 2 if command.startswith("webhooks ") else 1]) for command in COMMANDS}
    listed = {int(status) for status in re.findall(r"^\| (\d+) \|", (DOCS / "cli.md").read_text(), re.MULTILINE)}
    assert listed == {*Exit, 130}
