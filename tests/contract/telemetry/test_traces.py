"""One trace a job, read back from a real receiver of OTLP: what the suite's processes send when they run one."""

import json
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from support.openai_server import OpenAiServer, Reply, openai_server
from support.otlp_receiver import OtlpReceiver, otlp_receiver
from support.postgres import Databases
from support.spans import Seen, named, orphans, way_to
from support.traced_suite import TracedSuite, traced_suite
from support.webhook_receiver import WebhookReceiver

CONTENT = ("FA-2017-0008", "KFA SUPPLY", "secret of the model")  # of the invoice, of the receipt, of an answer
SUBMIT = "gleaner.v1.JobService/SubmitJob"
ENDED = "mark_bbox_refined refinement"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def receiver() -> AsyncIterator[OtlpReceiver]:
    async with otlp_receiver() as made:
        yield made


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def model() -> AsyncIterator[OpenAiServer]:
    async with openai_server(Reply(status=429), Reply(json.dumps({"x": "secret of the model"}))) as server:
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def suite(postgres: Databases, receiver: OtlpReceiver, model: OpenAiServer) -> AsyncIterator[TracedSuite]:
    settings = {"GLEANER_MODEL_NAME": "m", "GLEANER_MODEL_BASE_URL": model.base_url}
    async with traced_suite(postgres, receiver.endpoint, **settings) as made:
        yield made


@pytest.fixture
def webhooks() -> Iterator[WebhookReceiver]:
    with WebhookReceiver() as made:
        yield made


def of(spans: list[Seen], trace: str) -> list[Seen]:
    return [span for span in spans if span.trace == trace]


@pytest.mark.asyncio(loop_scope="module")
async def test_a_job_is_one_trace_from_the_callers_span_to_the_last_webhook(
    suite: TracedSuite, receiver: OtlpReceiver, webhooks: WebhookReceiver
) -> None:
    trace = await suite.call("--callback", webhooks.url, sample="receipt", kind="jpg")
    first, last = await webhooks.received(30), await webhooks.received(30)
    spans = await receiver.spans(
        lambda seen: named(of(seen, trace), ENDED) and len(named(of(seen, trace), "send job.succeeded")) == 1
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
