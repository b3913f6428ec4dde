import json
from datetime import timedelta
from typing import Any

import pytest
from pydantic import SecretStr

from gleaner.v1 import extraction_pb2, results_pb2, schemas_pb2
from gleaner_core.errors import ModelRefused, ModelRejected, ModelThrottled, ModelUnavailable, WorkError
from gleaner_documents.pages import Page, ReadDocument, TextSource, Word
from gleaner_telemetry import metrics
from gleaner_worker.extractors.llm import ModelExtractor
from gleaner_worker.extractors.model_schema import answer_schema, batches
from gleaner_worker.extractors.port import Extraction
from gleaner_worker.settings import ModelSettings
from support.measured import Measured
from support.openai_server import OpenAiServer, Reply, openai_server

LINES = ["Invoice no. R-17", "Date 3 April 2021", "Total EUR 1,234.50"]


def a_page(number: int, lines: list[str]) -> Page:
    words = [
        Word(text, 0.1 * i, 0.1 * line, 0.1 * i + 0.05, 0.1 * line + 0.05, line)
        for line, printed in enumerate(lines)
        for i, text in enumerate(printed.split())
    ]
    return Page(number, 600, 800, TextSource.PDF_TEXT, tuple(words))


DOCUMENT = ReadDocument("a.pdf", (a_page(1, LINES),))


def a_field(name: str, kind: str, **more: Any) -> schemas_pb2.Field:
    return schemas_pb2.Field(name=name, type=schemas_pb2.FieldType.Value(f"FIELD_TYPE_{kind}"), **more)


SCHEMA = schemas_pb2.Schema(
    document_types=[
        schemas_pb2.DocumentType(
            name="invoice",
            field_groups=[
                schemas_pb2.FieldGroup(
                    name="head",
                    fields=[
                        a_field("number", "STRING", aliases=["Invoice no."]),
                        a_field("day", "DATE"),
                        a_field("total", "MONEY"),
                        a_field("paid", "BOOLEAN"),
                        a_field("kind", "ENUM", enum_values=["Full", "Part"]),
                        a_field("count", "INTEGER"),
                        a_field("rate", "NUMBER"),
                        a_field("tags", "ARRAY", items=a_field("tag", "STRING")),
                        a_field("payer", "OBJECT", fields=[a_field("name", "STRING")]),
                    ],
                )
            ],
        )
    ]
)


def found(value: object, raw: str, page: int = 1) -> dict[str, object]:
    return {"value": value, "raw_text": raw, "page": page}


GOOD: dict[str, Any] = {
    "head": {
        "number": found("R-17", "R-17"),
        "day": found("2021-04-03", "3 April 2021"),
        "total": found({"amount": "1234.50", "currency": "EUR"}, "EUR 1,234.50"),
        "paid": None,
        "kind": found("full", "Full"),
        "count": found(3, "3"),
        "rate": found("1.5", "1.5"),
        "tags": [found("a", "a"), found("b", "b")],
        "payer": {"name": found("Somebody", "Somebody")},
    }
}


async def ask(server: OpenAiServer, document: ReadDocument = DOCUMENT, patience: float = 5) -> Extraction:
    settings = ModelSettings(name="m", base_url=server.base_url, api_key=SecretStr("key"), timeout_s=patience)
    request = extraction_pb2.ExtractionRequest(schema=SCHEMA)
    return await ModelExtractor(settings).extract([document], request)


def by_path(extraction: Extraction) -> dict[str, results_pb2.FieldResult]:
    return {field.path: field for field in extraction.documents[0].fields}


async def test_an_answer_becomes_typed_values_without_boxes() -> None:
    async with openai_server(Reply(json.dumps(GOOD))) as server:
        extraction = await ask(server)

    fields = by_path(extraction)
    assert fields["head.number"].value.text == "R-17"
    assert fields["head.day"].value.date == "2021-04-03"
    assert fields["head.total"].value.money == results_pb2.Money(amount="1234.50", currency_code="EUR")
    assert not fields["head.paid"].HasField("value")
    assert fields["head.kind"].value.text == "Full"
    assert [c.path for c in fields["head.tags"].children] == ["head.tags[0]", "head.tags[1]"]
    assert fields["head.payer"].children[0].path == "head.payer.name"
    assert not any(f.HasField("provenance") for f in fields.values())
    assert extraction.problems == ()
    assert (extraction.input_tokens, extraction.output_tokens) == (100, 20)


async def test_what_is_printed_is_surer_than_what_is_not() -> None:
    async with openai_server(Reply(json.dumps(GOOD))) as server:
        fields = by_path(await ask(server))

    assert fields["head.number"].confidence > fields["head.rate"].confidence


async def test_the_document_goes_in_as_data_with_numbered_lines_and_the_schema_as_json_schema() -> None:
    async with openai_server(Reply(json.dumps(GOOD))) as server:
        await ask(server)

    [request] = server.requests
    sent = json.loads(next(m["content"] for m in request["messages"] if m["role"] == "user"))
    assert sent["pages"] == [{"page": 1, "lines": [f"{n}: {line}" for n, line in enumerate(LINES, 1)]}]
    schema = request["response_format"]["json_schema"]["schema"]
    assert set(schema["properties"]["head"]["properties"]) == {
        f.name for f in SCHEMA.document_types[0].field_groups[0].fields
    }
    assert server.keys == ["Bearer key"]


async def test_a_models_answer_is_not_trusted() -> None:
    answer = {
        "head": {
            "number": found(["no", "text"], "x"),
            "day": found("the third of April", "3 April 2021"),
            "total": found({"amount": "a lot", "currency": "EUR"}, "x"),
            "paid": found("perhaps", "x"),
            "kind": found("Quarter", "x"),
            "count": found(1.5, "x"),
            "rate": found("1e999999", "x"),
            "tags": "a",
            "payer": 7,
            "secret": found("x", "x"),
        },
        "other": {},
    }
    async with openai_server(Reply(json.dumps(answer))) as server:
        extraction = await ask(server)

    fields = by_path(extraction)
    assert [f.path for f in fields.values()] == [
        f"head.{f.name}" for f in SCHEMA.document_types[0].field_groups[0].fields
    ]
    assert not any(f.HasField("value") for f in fields.values())
    reasons = [p.reason for p in extraction.problems]
    assert reasons.count("MODEL_FIELD_UNKNOWN") == 1
    assert reasons.count("MODEL_VALUE_INVALID") == 9


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (Reply(status=429, headers={"Retry-After": "7"}), ModelThrottled),
        (Reply(status=500), ModelUnavailable),
        (Reply(status=503), ModelUnavailable),
        (Reply(status=401), ModelRejected),
        (Reply(status=403), ModelRejected),
        (Reply(status=404), ModelRejected),
        (Reply(status=400), ModelRejected),
        (Reply(finish_reason="content_filter"), ModelRefused),
        (Reply(refusal="I will not."), ModelRefused),
        (Reply(content='{"head": {'), ModelUnavailable),
        (Reply(content="I found nothing."), ModelUnavailable),
        (Reply(body="<html>proxy</html>"), ModelUnavailable),
    ],
)
async def test_the_providers_errors_become_ours_and_nothing_is_tried_again(
    reply: Reply, error: type[WorkError]
) -> None:
    async with openai_server(reply) as server:
        with pytest.raises(error):
            await ask(server)

    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("asked", "kept"), [("7", timedelta(seconds=7)), ("99999999999999", timedelta(days=1)), ("-7", None), ("nan", None)]
)
async def test_the_providers_patience_is_kept_and_no_more_than_a_day_of_it(asked: str, kept: timedelta | None) -> None:
    async with openai_server(Reply(status=429, headers={"Retry-After": asked})) as server:
        with pytest.raises(ModelThrottled) as caught:
            await ask(server)

    assert caught.value.retry_after == kept


async def test_a_provider_that_takes_too_long_is_unavailable() -> None:
    async with openai_server(Reply(json.dumps(GOOD), after=30)) as server:
        with pytest.raises(ModelUnavailable):
            await ask(server, patience=0.2)


async def test_a_provider_that_is_not_there_is_unavailable() -> None:
    async with openai_server(Reply()) as server:
        pass
    with pytest.raises(ModelUnavailable):
        await ask(server)


async def test_long_documents_are_asked_in_parts_and_put_together() -> None:
    filler = ["x" * 100 for _ in range(1300)]
    document = ReadDocument("a.pdf", (a_page(1, [*LINES, *filler]), a_page(2, filler)))
    second = {"head": {**GOOD["head"], "number": found("R-18", "R-18", 2), "paid": found(True, "yes", 2)}}
    async with openai_server(Reply(json.dumps(GOOD)), Reply(json.dumps(second))) as server:
        extraction = await ask(server, document)

    fields = by_path(extraction)
    assert fields["head.number"].value.text == "R-17"
    assert fields["head.paid"].value.flag is True
    assert [c.path for c in fields["head.tags"].children] == [f"head.tags[{i}]" for i in range(4)]
    assert extraction.input_tokens == 200


def test_wide_schemas_are_asked_in_parts_that_hold_every_field_once() -> None:
    groups = [
        schemas_pb2.FieldGroup(name=f"g{g}", fields=[a_field(f"f{i}", "STRING") for i in range(size)])
        for g, size in enumerate([250, 30, 60, 40])
    ]

    parts = list(batches(groups, 100))

    asked = [f"{group.name}.{field.name}" for part in parts for group in part for field in group.fields]
    assert asked == [f"{group.name}.{field.name}" for group in groups for field in group.fields]
    assert all(sum(len(group.fields) for group in part) <= 100 for part in parts)
    assert all(len(answer_schema(part)["properties"]) == len(part) for part in parts)


async def test_calls_are_measured_with_their_tokens_and_their_errors(measured: Measured) -> None:
    async with openai_server(Reply(json.dumps(GOOD))) as server:
        await ask(server)
    async with openai_server(Reply(status=429)) as server:
        with pytest.raises(ModelThrottled):
            await ask(server)

    tokens = measured.of(metrics.GEN_AI_TOKENS)
    assert tokens == {("chat", "openai", "m", "input"): (1, 100), ("chat", "openai", "m", "output"): (1, 20)}
    counts = {labels[-1]: count for labels, (count, _) in measured.of(metrics.GEN_AI_DURATION).items()}
    assert counts == {"": 1, "ModelRateLimitError": 1}
    assert measured.of(metrics.MODEL_COST) == {}, "m has no public price"
