from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import uuid4

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, Tracer

from gleaner_repo import DatabaseSettings, JobRepository, open_database
from gleaner_telemetry import DatabaseMetrics, stands_on
from support.jobs import a_job


@pytest.fixture
def told() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def tracer(told: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch) -> Tracer:
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(told))
    monkeypatch.setattr(stands_on, "_tracer", provider.get_tracer("t"))
    return provider.get_tracer("t")


@pytest.fixture
async def jobs(request: pytest.FixtureRequest, database_url: str) -> AsyncIterator[JobRepository]:
    settings = DatabaseSettings(database_url=database_url, database_pool_size=1)
    async with open_database(settings, watch=DatabaseMetrics(spans=request.param)) as database:
        yield JobRepository(database)


async def moves_of_a_job(jobs: JobRepository) -> None:
    await jobs.submit([a_job()])
    await jobs.mark_running(1, timedelta(seconds=15), uuid4())


@pytest.mark.parametrize("jobs", [True], indirect=True)
async def test_statements_of_a_trace_have_spans_by_their_names(
    jobs: JobRepository, tracer: Tracer, told: InMemorySpanExporter
) -> None:
    with tracer.start_as_current_span("within"):
        await moves_of_a_job(jobs)

    *spans, _ = told.get_finished_spans()
    assert [span.name for span in spans] == ["submit", "mark_running"]
    for span in spans:
        assert span.kind is SpanKind.CLIENT
        assert span.attributes == {"db.system.name": "postgresql", "db.query.summary": span.name}


@pytest.mark.parametrize("jobs", [True], indirect=True)
async def test_statements_of_nobody_have_none(jobs: JobRepository, tracer: Tracer, told: InMemorySpanExporter) -> None:
    await moves_of_a_job(jobs)

    assert told.get_finished_spans() == ()


@pytest.mark.parametrize("jobs", [False], indirect=True)
async def test_statements_have_none_unless_they_are_asked_for(
    jobs: JobRepository, tracer: Tracer, told: InMemorySpanExporter
) -> None:
    with tracer.start_as_current_span("within"):
        await moves_of_a_job(jobs)

    assert [span.name for span in told.get_finished_spans()] == ["within"]
