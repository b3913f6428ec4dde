import json
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import pytest
from google.protobuf.json_format import Parse

from gleaner.internal.v1 import stored_pb2
from gleaner.v1 import jobs_pb2, results_pb2, webhooks_pb2
from gleaner_core.errors import JobError
from gleaner_core.states import Refinement, State
from gleaner_repo import Content, Event
from gleaner_worker.webhooks.payload import body_of

AT = datetime(2026, 11, 24, 12, tzinfo=UTC)
RESULT = results_pb2.ExtractionResult(extractor="embedded")
LARGE = 1000


def content(kind: str = "job.succeeded", **event: object) -> Content:
    about = stored_pb2.JobAbout(
        correlation_id="order-7", metadata={"customer": "c1", "_owner": "secret", "a": "1"}, documents=["invoice.pdf"]
    )
    stored = RESULT.SerializeToString()
    made = Event(
        job_id=UUID(int=1),
        seq=3,
        event_id=UUID(int=2),
        type=kind,
        leg=1,
        series=1,
        attempt=1,
        final=True,
        at=AT,
        state=State.SUCCEEDED,
        refinement=None,
        error=None,
        reason=None,
    )
    return Content(
        event=replace(made, **event),  # type: ignore[arg-type]
        about=about.SerializeToString(),
        created_at=AT,
        request_key="r-1",
        trace_context=None,
        lapses=0,
        started_at=AT,
        result=stored,
        result_size=len(stored),
    )


def parsed(body: bytes) -> webhooks_pb2.WebhookPayload:
    return Parse(body, webhooks_pb2.WebhookPayload())


def test_the_body_is_the_payload_of_the_protos() -> None:
    payload = parsed(body_of(content(), LARGE))

    job = payload.data.job
    assert (payload.type, payload.timestamp.ToDatetime(UTC)) == ("job.succeeded", AT)
    assert (job.name, job.state, job.seq) == (f"jobs/{UUID(int=1)}", jobs_pb2.JOB_STATE_SUCCEEDED, 3)
    assert (job.request_id, job.correlation_id, list(job.documents)) == ("r-1", "order-7", ["invoice.pdf"])
    assert payload.data.result == RESULT


def test_private_metadata_is_left_out() -> None:
    body = body_of(content(), LARGE)

    assert json.loads(body)["data"]["job"]["metadata"] == {"customer": "c1", "a": "1"}
    assert b"secret" not in body


def test_every_try_has_the_same_bytes() -> None:
    assert len({body_of(content(), LARGE) for _ in range(20)}) == 1
    assert body_of(content(), LARGE).index(b'"a":"1"') < body_of(content(), LARGE).index(b'"customer"')


@pytest.mark.parametrize("limit", [0, 5])
def test_a_result_that_is_too_large_is_said_to_be(limit: int) -> None:
    payload = parsed(body_of(content(), limit))

    assert not payload.data.HasField("result")
    assert payload.data.result_omission == webhooks_pb2.RESULT_OMISSION_TOO_LARGE


def test_a_result_that_was_not_even_read_is_said_to_be_too_large() -> None:
    payload = parsed(body_of(replace(content(), result=None, result_size=10**8), LARGE))

    assert payload.data.result_omission == webhooks_pb2.RESULT_OMISSION_TOO_LARGE


def test_a_failure_tells_why_and_has_no_result() -> None:
    error = JobError("DOCUMENT_ENCRYPTED", "it wants a password")
    failed = replace(content("job.failed", state=State.FAILED, error=error), result=None, result_size=0)

    payload = parsed(body_of(failed, LARGE))

    assert payload.data.job.error.reason == "DOCUMENT_ENCRYPTED"
    assert payload.data.result_omission == webhooks_pb2.RESULT_OMISSION_UNSPECIFIED


def test_a_failed_refinement_keeps_the_result_of_the_extraction() -> None:
    made = content("job.refinement_failed", state=State.PARTIAL_SUCCEEDED, refinement=Refinement.FAILED)

    payload = parsed(body_of(made, LARGE))

    assert payload.data.job.refinement == jobs_pb2.REFINEMENT_STATE_FAILED
    assert payload.data.HasField("result")


def test_what_goes_on_has_no_end() -> None:
    made = content("job.partial_succeeded", state=State.PARTIAL_SUCCEEDED, refinement=Refinement.PENDING, final=False)

    assert not parsed(body_of(made, LARGE)).data.job.HasField("end_time")
