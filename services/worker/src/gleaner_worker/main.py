"""The worker's process, part by part."""

import asyncio
from contextlib import AsyncExitStack
from datetime import timedelta

from gleaner_documents import PageReader
from gleaner_repo import DeliveryRepository, DocumentRepository, JobRepository, open_database
from gleaner_rpc import Offers, Peers, addresses, build_server, serve
from gleaner_rpc.process import run_service
from gleaner_runner import Runner, Slots, observe_slots
from gleaner_runner.servicer import OfferServicer
from gleaner_telemetry import DatabaseMetrics, installed, observe_children
from gleaner_worker.extractors.catalogue import catalogue
from gleaner_worker.extractors.embedded import EmbeddedExtractor
from gleaner_worker.leg import ExtractionLeg
from gleaner_worker.pipeline import Pipeline
from gleaner_worker.servicer import WorkerServicer
from gleaner_worker.settings import WorkerSettings
from gleaner_worker.telemetry import CountedReader
from gleaner_worker.webhooks import Poster, Sender

EXTRACT = "/gleaner.internal.v1.WorkerService/Extract"


async def main(settings: WorkerSettings) -> None:
    """Serves and runs jobs until SIGTERM, then drains."""
    async with AsyncExitStack() as stack:
        stack.enter_context(installed("worker", settings.otel))
        database = await stack.enter_async_context(
            open_database(
                settings.database, name="gleaner-worker", watch=DatabaseMetrics(spans=settings.otel.trace_statements)
            )
        )
        reader = await stack.enter_async_context(PageReader(settings.reader))
        embedded = await stack.enter_async_context(EmbeddedExtractor(settings.extractor))
        refiners = await stack.enter_async_context(
            Peers("bbox worker", addresses(settings.bbox_worker_addresses), settings.channels)
        )
        offers = Offers(refiners, settings.channels)
        sender = Sender(
            DeliveryRepository(database), Poster(settings.webhooks), settings.webhooks, grace=settings.run_grace
        )
        pipeline = Pipeline(CountedReader(reader), catalogue(embedded, settings.model))
        slots = Slots(settings.runner.slots)
        jobs = JobRepository(database, max_lapses=settings.runner.max_lapses)
        leg = ExtractionLeg(
            settings=settings.leg,
            documents=DocumentRepository(database),
            pipeline=pipeline,
            max_pages=settings.job_max_pages,
            refiners=offers,
            webhooks=sender.wake,
        )
        observe_children({"read": reader.children, "extract": embedded.children})
        observe_slots(slots)
        runner = Runner(leg, jobs, slots, settings.runner)
        server = build_server(
            settings.grpc,
            OfferServicer(runner),
            WorkerServicer(pipeline=pipeline, slots=slots, refiners=refiners, max_pages=settings.sync_max_pages),
            heavy={EXTRACT},
            limits={EXTRACT: timedelta(seconds=settings.async_timeout_s)},
        )

        async def beside(stop: asyncio.Event) -> None:
            async with asyncio.TaskGroup() as group:
                offering = group.create_task(offers.run())
                group.create_task(sender.run(stop))
                await runner.run(stop)
                offering.cancel()

        await serve(server, beside=beside, ready=database.ready)


def run() -> None:
    """The command `gleaner-worker`."""
    run_service("gleaner-worker", "Runs the extraction leg of jobs.", WorkerSettings, main)
