"""The `gleaner` command as a process of its own, against a real server."""

import asyncio
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import json_format
from PIL import Image

from gleaner.v1 import extraction_pb2, jobs_pb2, version_pb2, webhooks_pb2
from support.client_messages import (
    DELIVERY,
    ENDPOINT,
    JOB,
    SECRET,
    a_delivery,
    a_job,
    a_move,
    a_result,
    an_answer,
    an_endpoint,
    as_it_is,
)
from support.scripted_server import Failure, ScriptedServer

SCHEMA = """\
document_types:
  - name: invoice
    field_groups:
      - name: head
        fields:
          - {name: number, type: string}
"""
QUEUED = jobs_pb2.SubmitJobResponse(job=a_job())
SUBMITTED = a_move("job.submitted", a_job())
STARTED = a_move("job.started", a_job("RUNNING", seq=2))


@dataclass(frozen=True)
class Ended:
    status: int
    out: str
    err: str

    def json(self) -> Any:
        return json.loads(self.out)


class Command:
    """Runs `gleaner` in a folder with a picture and a schema."""

    def __init__(self, folder: Path, server: str) -> None:
        self.folder, self.server = folder, server

    async def __call__(self, *arguments: str) -> Ended:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "gleaner_client",
            *arguments,
            cwd=self.folder,
            env={"GLEANER_SERVER": self.server, "PATH": "", "NO_COLOR": "1", "COLUMNS": "200"},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await asyncio.wait_for(process.communicate(), 30)
        return Ended(process.returncode or 0, out.decode(), err.decode())


@pytest.fixture
def gleaner(tmp_path: Path, server: ScriptedServer) -> Command:
    (tmp_path / "schema.yaml").write_text(SCHEMA)
    Image.new("RGB", (600, 800), "white").save(tmp_path / "invoice.png")
    return Command(tmp_path, server.address)


async def test_submit_sends_the_file_the_schema_and_the_options(gleaner: Command, server: ScriptedServer) -> None:
    server.script("SubmitJob", QUEUED)

    ended = await gleaner(
        *("submit", "invoice.png", "--schema", "schema.yaml", "--request-id", "r1", "--meta", "a=b=c"),
        *("--callback-url", "https://example.org/hook", "--no-boxes", "--ocr", "always", "--extractor", "embedded"),
    )

    assert (ended.status, JOB in ended.out) == (0, True)
    [sent] = server.calls["SubmitJob"]
    assert (sent.request_id, sent.callback_url, dict(sent.metadata)) == ("r1", "https://example.org/hook", {"a": "b=c"})
    assert sent.request.documents[0].name == "invoice.png"
    assert sent.request.documents[0].content == (gleaner.folder / "invoice.png").read_bytes()
    assert sent.request.schema.document_types[0].field_groups[0].fields[0].name == "number"
    assert sent.request.options == extraction_pb2.ExtractionOptions(
        grounding=extraction_pb2.GROUNDING_MODE_NONE, ocr=extraction_pb2.OCR_MODE_ALWAYS, extractor="embedded"
    )


async def test_submit_and_wait_shows_progress_aside_and_the_result_as_json(
    gleaner: Command, server: ScriptedServer
) -> None:
    server.script("SubmitJob", QUEUED)
    done = a_job("SUCCEEDED", seq=3)
    server.script("WatchJob", [as_it_is(a_job()), SUBMITTED, STARTED, a_move("job.succeeded", done, final=True)])
    server.script("GetJobResult", an_answer())

    ended = await gleaner("submit", "invoice.png", "--schema", "schema.yaml", "--wait", "--json")

    assert ended.status == 0
    assert json_format.ParseDict(ended.json(), jobs_pb2.GetJobResultResponse()) == an_answer()
    assert ended.err.split()[-3:] == ["QUEUED", "RUNNING", "SUCCEEDED"]


@pytest.mark.parametrize(
    ("state", "reason", "status"), [("FAILED", "DOCUMENT_ENCRYPTED", 1), ("CANCELLED", "", 4), ("SUCCEEDED", "", 0)]
)
async def test_the_status_of_a_watch_tells_how_the_job_ended(
    gleaner: Command, server: ScriptedServer, state: str, reason: str, status: int
) -> None:
    ending = a_move("job.ended", a_job(state, seq=3, reason=reason), final=True)
    server.script("WatchJob", [as_it_is(a_job()), SUBMITTED, STARTED, ending])

    ended = await gleaner("watch", JOB, "--json")

    assert ended.status == status
    assert len([json.loads(line) for line in ended.out.splitlines()]) == 4


async def test_a_failed_job_is_shown_in_place_of_its_result(gleaner: Command, server: ScriptedServer) -> None:
    server.script("SubmitJob", QUEUED)
    failed = a_job("FAILED", seq=3, reason="DOCUMENT_ENCRYPTED")
    server.script("WatchJob", [as_it_is(a_job()), a_move("job.failed", failed, final=True)])
    ended = await gleaner("submit", "invoice.png", "--schema", "schema.yaml", "--wait")
    assert ended.status == 1
    assert "[DOCUMENT_ENCRYPTED]" in ended.out


@pytest.mark.parametrize(
    ("code", "reason", "status"),
    [
        ("NOT_FOUND", "JOB_NOT_FOUND", 3),
        ("FAILED_PRECONDITION", "JOB_FAILED", 1),
        ("FAILED_PRECONDITION", "JOB_CANCELLED", 4),
        ("FAILED_PRECONDITION", "RESULT_NOT_READY", 7),
        ("INVALID_ARGUMENT", "INVALID_REQUEST", 6),
        ("INTERNAL", "INTERNAL", 1),
    ],
)
async def test_the_status_tells_why_there_is_no_result(
    gleaner: Command, server: ScriptedServer, code: str, reason: str, status: int
) -> None:
    server.script("GetJobResult", Failure(grpc.StatusCode[code], reason=reason))
    ended = await gleaner("result", JOB, "--json")
    assert (ended.status, ended.out) == (status, "")
    assert reason in ended.err


async def test_no_server_is_status_5(tmp_path: Path) -> None:
    ended = await Command(tmp_path, "127.0.0.1:1")("get", JOB)
    assert ended.status == 5
    assert "127.0.0.1:1" in ended.err and "Traceback" not in ended.err


async def test_out_of_time_is_status_124(gleaner: Command, server: ScriptedServer) -> None:
    server.script("GetJobResult", Failure(grpc.StatusCode.FAILED_PRECONDITION, reason="RESULT_NOT_READY"))
    ended = await gleaner("result", JOB, "--wait", "--timeout", "0.4")
    assert ended.status == 124


async def test_findings_of_the_server_come_with_the_line_of_the_schema(
    gleaner: Command, server: ScriptedServer
) -> None:
    field = "schema.document_types[0].field_groups[0].fields[0].name"
    finding = extraction_pb2.Finding(field=field, reason="DUPLICATE_NAME", description="rename it")
    server.script("ValidateRequest", extraction_pb2.ValidateRequestResponse(findings=[finding]))

    ended = await gleaner("validate", "--schema", "schema.yaml")

    assert ended.status == 6
    assert f"{field} (line 6 of the schema): rename it [DUPLICATE_NAME]" in ended.err


async def test_a_wrong_schema_is_told_without_asking_the_server(gleaner: Command, server: ScriptedServer) -> None:
    (gleaner.folder / "wrong.yaml").write_text(SCHEMA.replace("string", "strng"))
    ended = await gleaner("validate", "--schema", "wrong.yaml")
    assert (ended.status, server.calls) == (6, {})
    assert "wrong.yaml:6: document_types[0].field_groups[0].fields[0].type: strng is none of" in ended.err


@pytest.mark.parametrize("arguments", [("submit", "none.pdf", "--schema", "schema.yaml"), ("get",), ("nonsense",)])
async def test_wrong_usage_is_status_2(gleaner: Command, arguments: tuple[str, ...]) -> None:
    assert (await gleaner(*arguments)).status == 2


async def test_get_list_and_cancel_print_the_api_s_own_json(gleaner: Command, server: ScriptedServer) -> None:
    server.script("GetJob", jobs_pb2.GetJobResponse(job=a_job("RUNNING")))
    server.script("ListJobs", jobs_pb2.ListJobsResponse(jobs=[a_job(), a_job("FAILED")], next_page_token="more"))
    server.script("CancelJob", jobs_pb2.CancelJobResponse(job=a_job("CANCELLED")))

    shown, listed, cancelled = await asyncio.gather(
        gleaner("get", JOB, "--json"),
        gleaner("list", "--state", "queued", "--state", "FAILED", "--limit", "3", "--json"),
        gleaner("cancel", JOB, "--running", "--reason", "no need", "--json"),
    )

    assert json_format.ParseDict(shown.json(), jobs_pb2.Job()) == a_job("RUNNING")
    assert len(json_format.ParseDict(listed.json(), jobs_pb2.ListJobsResponse()).jobs) == 3
    assert list(server.calls["ListJobs"][0].states) == [jobs_pb2.JOB_STATE_QUEUED, jobs_pb2.JOB_STATE_FAILED]
    assert json_format.ParseDict(cancelled.json(), jobs_pb2.Job()) == a_job("CANCELLED")
    assert (server.calls["CancelJob"][0].allow_running, server.calls["CancelJob"][0].reason) == (True, "no need")


async def test_people_get_tables(gleaner: Command, server: ScriptedServer) -> None:
    server.script("Extract", extraction_pb2.ExtractResponse(result=a_result()))
    server.script("ListJobs", jobs_pb2.ListJobsResponse(jobs=[a_job("RUNNING")]))
    server.script(
        "GetVersion", version_pb2.GetVersionResponse(version="9.9.9", api="gleaner.v1", extractors=["embedded"])
    )

    extracted, listed, version = await asyncio.gather(
        gleaner("extract", "invoice.png", "--schema", "schema.yaml"), gleaner("list"), gleaner("version")
    )

    assert "head.number" in extracted.out and "R-17" in extracted.out and "p. 1" in extracted.out
    assert JOB.removeprefix("jobs/") in listed.out and "RUNNING" in listed.out
    assert "9.9.9" in version.out and "embedded" in version.out


async def test_overlay_draws_the_pages_of_a_job(gleaner: Command, server: ScriptedServer) -> None:
    server.script("GetJobResult", an_answer())
    ended = await gleaner("overlay", JOB, "invoice.png", "--out", "pages")
    assert (ended.status, ended.out) == (0, "pages/invoice-p1.png\n")
    picture = Image.open(gleaner.folder / "pages/invoice-p1.png")
    assert picture.width == 600 and picture.height > 800  # the legend stands below


async def test_overlay_draws_a_saved_result_without_a_server(tmp_path: Path, gleaner: Command) -> None:
    (tmp_path / "result.json").write_text(json_format.MessageToJson(an_answer()))
    lonely = Command(tmp_path, "127.0.0.1:1")
    ended = await lonely("overlay", "invoice.png", "--result", "result.json", "--out", "pages", "--json")
    assert (ended.status, ended.json()) == (0, ["pages/invoice-p1.png"])


async def test_an_endpoint_is_made_and_rotated_and_its_secret_shown_to_people_and_programs(
    gleaner: Command, server: ScriptedServer
) -> None:
    made = webhooks_pb2.CreateEndpointResponse(endpoint=an_endpoint(), secret=SECRET)
    rotated = webhooks_pb2.RotateEndpointSecretResponse(endpoint=an_endpoint(), secret=SECRET)
    server.script("CreateEndpoint", made)
    server.script("RotateEndpointSecret", rotated)

    for_people, for_programs, rotation = await asyncio.gather(
        gleaner("webhooks", "create", "https://example.org/hook", "--type", "job.failed", "--type", "job.succeeded"),
        gleaner("webhooks", "create", "https://example.org/hook", "--type", "job.failed", "--disabled", "--json"),
        gleaner("webhooks", "rotate", ENDPOINT, "--expire-previous", "--request-id", "r-1", "--json"),
    )

    assert SECRET in for_people.out and "not shown again" in for_people.err
    assert json_format.ParseDict(for_programs.json(), webhooks_pb2.CreateEndpointResponse()) == made
    assert json_format.ParseDict(rotation.json(), webhooks_pb2.RotateEndpointSecretResponse()) == rotated
    asked = sorted(server.calls["CreateEndpoint"], key=lambda request: len(request.endpoint.event_types))
    assert [(list(r.endpoint.event_types), r.endpoint.disabled) for r in asked] == [
        (["job.failed"], True),
        (["job.failed", "job.succeeded"], False),
    ]
    [rotate] = server.calls["RotateEndpointSecret"]
    assert (rotate.name, rotate.expire_previous, rotate.request_id) == (ENDPOINT, True, "r-1")


async def test_endpoints_are_listed_shown_changed_and_removed(gleaner: Command, server: ScriptedServer) -> None:
    server.script("ListEndpoints", webhooks_pb2.ListEndpointsResponse(endpoints=[an_endpoint(disabled=True)]))
    server.script("GetEndpoint", webhooks_pb2.GetEndpointResponse(endpoint=an_endpoint()))
    server.script("UpdateEndpoint", webhooks_pb2.UpdateEndpointResponse(endpoint=an_endpoint()))
    server.script("DeleteEndpoint", Failure(grpc.StatusCode.NOT_FOUND, reason="ENDPOINT_NOT_FOUND"))

    table, listed, shown, updated, deleted = await asyncio.gather(
        gleaner("webhooks", "list"),
        gleaner("webhooks", "list", "--json"),
        gleaner("webhooks", "get", ENDPOINT.removeprefix("endpoints/"), "--json"),
        gleaner("webhooks", "update", ENDPOINT, "--enable", "--description", "", "--json"),
        gleaner("webhooks", "delete", ENDPOINT),
    )

    assert "disabled" in table.out and "https://example.org/hook" in table.out
    assert json_format.ParseDict(listed.json(), webhooks_pb2.ListEndpointsResponse()).endpoints[0].disabled
    assert json_format.ParseDict(shown.json(), webhooks_pb2.Endpoint()) == an_endpoint()
    assert server.calls["GetEndpoint"][0].name == ENDPOINT
    assert json_format.ParseDict(updated.json(), webhooks_pb2.Endpoint()) == an_endpoint()
    [update] = server.calls["UpdateEndpoint"]
    assert (list(update.update_mask.paths), update.endpoint.disabled) == (["description", "disabled"], False)
    assert deleted.status == 3


async def test_deliveries_are_listed_and_sent_again(gleaner: Command, server: ScriptedServer) -> None:
    pending = a_delivery(webhooks_pb2.DELIVERY_STATE_PENDING)
    server.script("ListDeliveries", webhooks_pb2.ListDeliveriesResponse(deliveries=[a_delivery()] * 3))
    server.script("RedeliverWebhook", webhooks_pb2.RedeliverWebhookResponse(delivery=pending))

    table, listed, sent = await asyncio.gather(
        gleaner("webhooks", "deliveries"),
        gleaner("webhooks", "deliveries", "--job", JOB, "--state", "dead", "--limit", "2", "--json"),
        gleaner("webhooks", "redeliver", DELIVERY, "--json"),
    )

    assert "DEAD" in table.out and "TIMED_OUT" in table.out and DELIVERY in table.out
    assert len(json_format.ParseDict(listed.json(), webhooks_pb2.ListDeliveriesResponse()).deliveries) == 2
    [asked] = [request for request in server.calls["ListDeliveries"] if request.job]
    assert (asked.job, list(asked.states), asked.page_size) == (JOB, [webhooks_pb2.DELIVERY_STATE_DEAD], 2)
    assert json_format.ParseDict(sent.json(), webhooks_pb2.Delivery()) == pending
    assert [request.name for request in server.calls["RedeliverWebhook"]] == [DELIVERY]
