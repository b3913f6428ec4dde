"""A real Prometheus scrapes the real suite: what the dashboard and the alerts ask for is there after a few jobs."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import pytest

from gleaner.v1 import extraction_pb2, schemas_pb2
from gleaner_client import GleanerClient
from gleaner_client.errors import NoResult
from gleaner_client.schema_files import load_schema
from gleaner_stack.supervisor import Stack, StackOptions
from support.log_lines import LogLines
from support.openai_server import OpenAiServer, Reply, openai_server
from support.otlp_receiver import OtlpReceiver, otlp_receiver
from support.postgres import Databases
from support.prometheus import Prometheus, prometheus
from support.promql import RULES, as_asked, dashboard, expressions, named, recorded
from support.webhook_receiver import WebhookReceiver

SAMPLES = Path(__file__).parents[3] / "samples"
MODEL = "gpt-4o"  # one that the public price list has
# There when an ending comes too late, which no test can have at will; tests/integration/runner has it.
RARE = {"gleaner_lost_races_total"}
# Panels of what need not happen.
QUIET = {"Calls to other services that failed", "Statements that failed", "Orphans of the reaper's last sweep"}


@dataclass(frozen=True)
class Watched:
    """The suite, who is told what it does, and the receivers of what it does."""

    stack: Stack
    client: GleanerClient
    prometheus: Prometheus
    traces: OtlpReceiver
    hooks: WebhookReceiver
    schema: schemas_pb2.Schema

    async def job(self, extractor: str = "", callback_url: str = "") -> None:
        """Extracts the sample; raises NoResult if that fails."""
        options = extraction_pb2.ExtractionOptions(extractor=extractor)
        invoice = [SAMPLES / "invoice.pdf"]
        await self.client.submit_and_wait(invoice, self.schema, options=options, callback_url=callback_url)


def told(traces: OtlpReceiver, model: OpenAiServer) -> dict[str, str]:
    return {
        "OTEL_METRICS_EXPORTER": "prometheus",
        "OTEL_EXPORTER_PROMETHEUS_HOST": "127.0.0.1",
        "OTEL_EXPORTER_PROMETHEUS_PORT": "0",
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": traces.endpoint,
        "OTEL_BSP_SCHEDULE_DELAY": "200",
        "GLEANER_QUEUE_METRICS_INTERVAL_S": "0.5",
        "GLEANER_WEBHOOK_SECRETS": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "GLEANER_WEBHOOK_ALLOW_PRIVATE": "true",
        "GLEANER_EXTRACTORS": f"embedded,openai:{MODEL}",
        "GLEANER_MODEL_NAME": MODEL,
        "GLEANER_MODEL_BASE_URL": model.base_url,
    }


def targets(log: LogLines) -> list[str]:
    lines = [line.partition(": ")[2] for line in log.lines if "listening for scrapes" in line]
    return [json.loads(line)["address"] for line in lines]


def nothing_found(schema: schemas_pb2.Schema) -> str:
    """A model's answer that every field is missing."""
    [kind] = schema.document_types
    empty: dict[str, dict[str, list[object] | None]] = {
        group.name: {field.name: [] if field.type == schemas_pb2.FIELD_TYPE_ARRAY else None for field in group.fields}
        for group in kind.field_groups
    }
    return json.dumps(empty)


@asynccontextmanager
async def watched(postgres: Databases, folder: Path) -> AsyncIterator[Watched]:
    schema = load_schema(SAMPLES / "invoice.schema.json")
    url = postgres.create(template=None)
    log = LogLines()
    with WebhookReceiver() as hooks:
        async with (
            otlp_receiver() as traces,
            openai_server(Reply(status=401), Reply(nothing_found(schema))) as model,
            Stack(StackOptions(database_url=url, environment=told(traces, model)), log) as stack,
            GleanerClient(stack.api_address) as client,
            prometheus(folder, {"gleaner": targets(log)}, RULES) as server,
        ):
            yield Watched(stack, client, server, traces, hooks, schema)
    postgres.drop(url)


@asynccontextmanager
async def open_writer(url: str) -> AsyncIterator[None]:
    connection = await asyncpg.connect(url, server_settings={"application_name": "report"})
    try:
        async with connection.transaction():
            await connection.execute("SELECT pg_current_xact_id()")
            yield
    finally:
        await connection.close()


async def test_what_is_looked_at_is_there_and_leads_to_traces(postgres: Databases, tmp_path: Path) -> None:
    async with watched(postgres, tmp_path) as suite:
        await suite.prometheus.until("count(up == 1) == 4")
        await suite.job(callback_url=suite.hooks.url)
        with pytest.raises(NoResult):
            await suite.job(f"openai:{MODEL}")  # its key is refused
        await suite.job(f"openai:{MODEL}")
        await suite.hooks.received()
        async with open_writer(suite.stack.database_url):
            [writer] = await suite.prometheus.until(
                'gleaner_events_oldest_writer_age_seconds{gleaner_application="report"}'
            )
        async with aclosing(suite.client.subscribe("everything", earliest=True)) as group:
            await anext(group)

        await everything_asked_for(suite.prometheus)
        await every_panel_has_a_picture(suite.prometheus)
        await healthy_rules(suite)
        await exemplars_of_runs_are_traces(suite)

    assert writer["metric"]["gleaner_session_state"] == "idle in transaction"


async def everything_asked_for(server: Prometheus) -> None:
    """Every metric of the dashboard and of the alerts has a series."""
    asked = {metric for expression in expressions() for metric in named(expression).metrics} - RARE - recorded()
    missing = asked
    try:
        async with asyncio.timeout(30):
            while missing := {metric for metric in missing if not await server.query(f"count_over_time({metric}[1h])")}:
                await asyncio.sleep(0.2)
    except TimeoutError:
        raise AssertionError(f"never exported: {sorted(missing)}") from None


async def every_panel_has_a_picture(server: Prometheus) -> None:
    """Each panel shows something: a rate, too, once its series was scraped twice."""
    panels = {
        panel["title"]: [as_asked(target["expr"]) for target in panel["targets"]]
        for panel in dashboard()["panels"]
        if "targets" in panel and panel["title"] not in QUIET
    }
    try:
        async with asyncio.timeout(30):
            while panels := {title: queries for title, queries in panels.items() if not await any_of(server, queries)}:
                await asyncio.sleep(0.2)
    except TimeoutError:
        raise AssertionError(f"nothing to see: {sorted(panels)}") from None


async def any_of(server: Prometheus, queries: Sequence[str]) -> bool:
    return any([await server.query(query) for query in queries])


async def healthy_rules(suite: Watched) -> None:
    """Prometheus can evaluate every rule on what the suite exports."""
    async with asyncio.timeout(60):
        while not await suite.prometheus.query('gleaner:bad:ratio_rate5m{slo="starts"}'):
            await suite.job()  # on a quick machine all claims so far came before the first scrape: there is no rate yet
    groups = (await suite.prometheus.ask("rules"))["groups"]
    troubled = {
        rule["name"]: rule.get("lastError") for group in groups for rule in group["rules"] if rule["health"] != "ok"
    }
    assert troubled == {}


async def exemplars_of_runs_are_traces(suite: Watched) -> None:
    """An exemplar of a run is a span of a trace that was exported."""
    runs = "gleaner_run_duration_seconds_bucket"
    async with asyncio.timeout(30):
        while not (found := await suite.prometheus.ask("query_exemplars", query=runs, start=0, end=4e9)):
            await asyncio.sleep(0.2)
    traces = {exemplar["labels"]["trace_id"] for one in found for exemplar in one["exemplars"]}
    assert await suite.traces.spans(until=lambda spans: traces & {span.trace for span in spans})
