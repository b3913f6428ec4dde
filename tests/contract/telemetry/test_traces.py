"""One trace a job, read back from a real receiver of OTLP: what the suite's processes send when they run one."""

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing

import pytest
import pytest_asyncio

from support.openai_server import OpenAiServer, Reply, openai_server
from support.otlp_receiver import OtlpReceiver, otlp_receiver
from support.postgres import Databases
from support.spans import Seen, against_the_conventions, named, of, orphans, way_to
from support.traced_suite import TracedSuite, traced_suite
from support.webhook_receiver import WebhookReceiver

ANSWER = json.dumps({"header": {"invoice_number": {"value": "FA-2017-0008", "raw_text": "FA-2017-0008", "page": 1}}})
CONTENT = ("FA-2017-0008", "KFA SUPPLY", "invoice_number", "invoice.pdf")  # values, names of fields and documents
SUBMIT = "gleaner.v1.JobService/SubmitJob"
ENDED = "mark_bbox_refined refinement"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def receiver() -> AsyncIterator[OtlpReceiver]:
    async with otlp_receiver() as made:
        yield made


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def model() -> AsyncIterator[OpenAiServer]:
    async with openai_server(Reply(status=503), Reply(ANSWER)) as server:
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def suite(postgres: Databases, receiver: OtlpReceiver, model: OpenAiServer) -> AsyncIterator[TracedSuite]:
    settings = {
        "GLEANER_MODEL_NAME": "m",
        "GLEANER_MODEL_BASE_URL": model.base_url,
        "GLEANER_EXTRACTORS": "embedded,openai:m",
        "OTEL_LOGS_EXPORTER": "otlp",
    }
    async with traced_suite(postgres, receiver.endpoint, **settings) as made:
        yield made


@pytest.fixture
def webhooks() -> Iterator[WebhookReceiver]:
    with WebhookReceiver() as made:
        yield made


@pytest.mark.asyncio(loop_scope="module")
async def test_a_job_is_one_trace_from_the_callers_span_to_the_last_webhook(
    suite: TracedSuite, receiver: OtlpReceiver, webhooks: WebhookReceiver
) -> None:
    trace = await suite.call("--callback", webhooks.url, sample="receipt", kind="jpg")
    first, last = await webhooks.received(30), await webhooks.received(30)
    spans = await receiver.spans(
        lambda seen: named(of(seen, trace), ENDED) and named(of(seen, trace), "send job.succeeded") and whole(seen)
    )

    mine = of(spans, trace)
    assert orphans(mine) == []
    assert [span.name for span in mine if not span.parent] == ["order"]
    submitted = ["order", SUBMIT, SUBMIT, "submit extraction"]
    extracted = [*submitted, "claim extraction", "run extraction"]
    refined = [*submitted, "claim refinement", "run refinement"]
    ways = {tuple(way_to(span, mine)) for span in mine}
    for way in (
        [*extracted, "read", "read document", "recognise page"],
        [*extracted, "extract"],
        [*extracted, "validate"],
        [*extracted, "mark_partial_succeeded extraction"],
        [*refined, "ground"],
        [*refined, ENDED],
        [*submitted, "send job.partial_succeeded", "POST"],
        [*submitted, "send job.succeeded", "POST"],
    ):
        assert tuple(way) in ways
    posts = {f"{span.trace}-{span.id}" for span in named(mine, "POST")}
    for got in (first, last):
        assert got.headers["traceparent"][3:-3] in posts
        assert got.headers["baggage"] == "customer=acme"


@pytest.mark.asyncio(loop_scope="module")
async def test_a_retry_begins_a_trace_of_its_own_linked_to_the_submit_with_its_attempt(
    suite: TracedSuite, receiver: OtlpReceiver
) -> None:
    trace = await suite.call("--extractor", "openai:m")
    spans = await receiver.spans(lambda seen: len(chats(seen)) == 2 and named(of(seen, trace), "order") and whole(seen))

    [failed, answered] = chats(spans)
    [retried] = [span for span in named(spans, "claim extraction") if span.trace == answered.trace]
    [submit] = named(of(spans, trace), "submit extraction")
    assert (failed.trace, failed.error, failed.attributes["error.type"]) == (trace, True, "ModelUnavailable")
    assert (answered.trace == trace, retried.parent) == (False, "")
    assert retried.links == ((submit.place, {"gleaner.attempt": 2, "gleaner.lapses": 0, "gleaner.series": 1}),)
    assert way_to(answered, spans) == ["claim extraction", "run extraction", "extract", "chat m"]
    assert orphans(spans) == []


@pytest.mark.asyncio(loop_scope="module")
async def test_a_call_that_waits_is_one_trace_through_api_worker_and_bbox_worker(
    suite: TracedSuite, receiver: OtlpReceiver
) -> None:
    trace = await suite.call("--extract")
    spans = await receiver.spans(lambda seen: named(of(seen, trace), "ground") and whole(of(seen, trace)))

    [ground] = named(of(spans, trace), "ground")
    asked, worked, looked = (
        f"gleaner.{service}/{method}"
        for service, method in (
            ("v1.ExtractionService", "Extract"),
            ("internal.v1.WorkerService", "Extract"),
            ("internal.v1.BboxWorkerService", "Ground"),
        )
    )
    assert way_to(ground, spans) == ["order", asked, asked, worked, worked, looked, looked, "ground"]
    assert orphans(of(spans, trace)) == []


@pytest.mark.asyncio(loop_scope="module")
async def test_of_what_the_caller_does_not_want_kept_nothing_is_told(
    suite: TracedSuite, receiver: OtlpReceiver
) -> None:
    dropped = await suite.call(OTEL_TRACES_SAMPLER="always_off")
    after = await suite.call()
    spans = await receiver.spans(lambda seen: named(of(seen, after), ENDED) and named(of(seen, after), "order"))

    assert of(spans, dropped) == []


@pytest.mark.asyncio(loop_scope="module")
async def test_spans_follow_the_conventions_and_say_nothing_of_the_documents(
    suite: TracedSuite, receiver: OtlpReceiver, webhooks: WebhookReceiver
) -> None:
    trace = await suite.call("--extractor", "openai:m", "--callback", f"{webhooks.url}?token=s3cret")
    for _ in range(2):
        await webhooks.received(30)
    spans = await receiver.spans(
        lambda seen: named(of(seen, trace), ENDED) and len(named(of(seen, trace), "POST")) == 2 and sweeps(seen)
    )

    assert [broken for span in spans for broken in against_the_conventions(span)] == []
    assert {span.service for span in spans} >= {
        "shop", "gleaner-api", "gleaner-worker", "gleaner-bbox_worker", "gleaner-reaper",
    }  # fmt: skip
    [chat] = chats(of(spans, trace))
    assert chat.kind == "CLIENT"
    assert (
        chat.attributes.items()
        >= {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "openai",
            "gen_ai.request.model": "m",
            "gen_ai.response.model": "m",
            "gen_ai.usage.input_tokens": 100,
            "gen_ai.usage.output_tokens": 20,
        }.items()
    )
    told = "".join(span.text + str(span.resource) for span in spans)
    assert [text for text in (*CONTENT, "s3cret") if text in told] == []


@pytest.mark.asyncio(loop_scope="module")
async def test_offers_and_looks_for_work_are_no_traces(suite: TracedSuite, receiver: OtlpReceiver) -> None:
    spans = await receiver.spans(sweeps)

    assert [span.name for span in spans if span.name.endswith("/Offer")] == []
    assert {span.name for span in spans if not span.parent and not span.links} <= {"order", "sweep"}


def whole(spans: list[Seen]) -> bool:
    """Whether all has come: processes tell their spans when they have ended, each in its own time."""
    return bool(named(spans, "order")) and not orphans(spans)


def chats(spans: list[Seen]) -> list[Seen]:
    return named(spans, "chat m")


def sweeps(spans: list[Seen]) -> list[Seen]:
    return named(spans, "sweep")


@pytest.mark.asyncio(loop_scope="module")
async def test_logs_go_where_traces_go_and_belong_to_them(
    suite: TracedSuite, receiver: OtlpReceiver, webhooks: WebhookReceiver
) -> None:
    trace = await suite.call("--callback", webhooks.url)
    said, service = "", ""
    async with aclosing(receiver.logs()) as logs:
        async for each, record in logs:
            said, service = f"{said}{record}", each
            if record.trace_id.hex() == trace and record.body.string_value.startswith("a webhook is"):
                break

    facts = {pair.key: pair.value for pair in record.attributes}
    assert service == "gleaner-worker"
    assert facts.keys() >= {"job", "tenant", "attempt", "webhook", "status"}
    assert [text for text in CONTENT if text in said] == []
