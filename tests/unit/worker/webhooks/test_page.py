"""What docs/webhooks.md shows is what is sent."""

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

from gleaner.internal.v1 import stored_pb2
from gleaner.v1 import results_pb2 as pb
from gleaner_core.states import State
from gleaner_repo import Content, Event
from gleaner_worker.webhooks.payload import body_of
from gleaner_worker.webhooks.posting import _REASONS
from gleaner_worker.webhooks.settings import WebhookSettings
from gleaner_worker.webhooks.signing import signed_headers
from gleaner_worker.webhooks.verdict import _NOT_ASKED

PAGE = (Path(__file__).parents[4] / "docs/webhooks.md").read_text()
SUBMITTED = datetime(2026, 11, 24, 8, tzinfo=UTC)
RESULT = pb.ExtractionResult(
    extractor="embedded",
    documents=[
        pb.DocumentResult(
            document="invoice.pdf",
            fields=[
                pb.FieldResult(
                    path="total",
                    raw_text="119,00 €",
                    confidence=0.97,
                    value=pb.Value(money=pb.Money(amount="119.00", currency_code="EUR")),
                )
            ],
        )
    ],
).SerializeToString()
CONTENT = Content(
    event=Event(
        job_id=UUID("019ab4d1-0000-7000-8000-000000000001"),
        seq=3,
        event_id=UUID("019ab4d1-09c4-7000-8000-000000000002"),
        type="job.succeeded",
        leg=1,
        series=1,
        attempt=1,
        final=True,
        at=SUBMITTED + timedelta(seconds=2.5),
        state=State.SUCCEEDED,
        refinement=None,
        error=None,
        reason=None,
    ),
    about=stored_pb2.JobAbout(
        correlation_id="order-4711", metadata={"customer": "c-17", "_cost_center": "9"}, documents=["invoice.pdf"]
    ).SerializeToString(),
    created_at=SUBMITTED,
    request_key="r-1",
    trace_context=None,
    lapses=0,
    started_at=SUBMITTED + timedelta(seconds=0.1),
    result=RESULT,
    result_size=len(RESULT),
)


def test_the_example_is_what_is_sent() -> None:
    [shown] = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)

    assert json.loads(shown) == json.loads(body_of(CONTENT, 10_000))


def test_the_example_can_be_tried_as_the_page_says() -> None:
    [shown] = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
    values = dict(re.findall(r"^(secret|webhook-\w+) +(\S+)$", PAGE, re.MULTILINE))
    at = datetime.fromtimestamp(int(values["webhook-timestamp"]), UTC)
    one_line = json.dumps(json.loads(shown), separators=(",", ":"), ensure_ascii=False).encode()

    signed = signed_headers([values.pop("secret")], values["webhook-id"], one_line, at)

    assert one_line == body_of(CONTENT, 10_000)
    assert signed == values


def test_every_reason_is_on_the_page() -> None:
    for reason in {reason for _, reason in _REASONS} | _NOT_ASKED | {"TLS_FAILED"}:
        assert f"`{reason}`" in PAGE


def test_the_figures_on_the_page_are_the_defaults() -> None:
    told = WebhookSettings()

    assert (told.timeout_s, told.max_attempts, told.retry_base_delay_s, told.retry_max_delay_s) == (15, 5, 30, 3600)
    assert (told.slots, told.tenant_slots, told.endpoint_slots) == (32, 16, 4)
    assert (told.breaker_failures, told.breaker_pause_s) == (5, 30)
    assert (told.max_age_s, told.result_max_bytes) == (3 * 86_400, 256 * 1024)
