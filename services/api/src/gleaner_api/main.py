"""The api's process, part by part."""

import asyncio
from contextlib import AsyncExitStack

from gleaner_api.backlogs import Backlogs
from gleaner_api.documents import DocumentStore
from gleaner_api.figures import Figures
from gleaner_api.servicers import (
    EventServicer,
    ExtractionServicer,
    JobServicer,
    ScalerServicer,
    VersionServicer,
    WebhookServicer,
)
from gleaner_api.servicers.jobs import LONGEST_WAIT
from gleaner_api.settings import ApiSettings
from gleaner_api.submission import Submission
from gleaner_api.validation import DocumentCheck, RequestCheck
from gleaner_api.watch import Tailer
from gleaner_documents import PageReader
from gleaner_repo import (
    BacklogRepository,
    DeliveryRepository,
    DocumentRepository,
    EndpointRepository,
    GroupRepository,
    JobRepository,
    LagRepository,
    SubmitCoalescer,
    open_database,
)
from gleaner_rpc import Offers, Peers, Places, addresses, build_server, serve
from gleaner_rpc.process import run_service
from gleaner_telemetry import DatabaseMetrics, installed, measuring, metrics, observe_children

SUBMIT = "/gleaner.v1.JobService/SubmitJob"
BATCH_SUBMIT = "/gleaner.v1.JobService/BatchSubmitJobs"
GET_RESULT = "/gleaner.v1.JobService/GetJobResult"
WATCH = "/gleaner.v1.JobService/WatchJob"
SUBSCRIBE = "/gleaner.v1.EventService/SubscribeEvents"
STREAM_IS_ACTIVE = "/externalscaler.ExternalScaler/StreamIsActive"
EXTRACT = "/gleaner.v1.ExtractionService/Extract"
VALIDATE = "/gleaner.v1.ExtractionService/ValidateRequest"


async def main(settings: ApiSettings) -> None:
    """Serves until SIGTERM, then drains."""
    async with AsyncExitStack() as stack:
        stack.enter_context(installed("api", settings.otel))
        database = await stack.enter_async_context(
            open_database(
                settings.database, name="gleaner-api", watch=DatabaseMetrics(spans=settings.otel.trace_statements)
            )
        )
        workers = await stack.enter_async_context(
            Peers("worker", addresses(settings.worker_addresses), settings.channels)
        )
        reader = await stack.enter_async_context(PageReader(settings.reader))
        jobs = JobRepository(database)
        observe_children({"check": reader.children})
        coalescer = SubmitCoalescer(jobs, on_batch=metrics.SUBMIT_BATCH_SIZE.make().record)
        tailer = Tailer(jobs)
        backlogs = Backlogs(BacklogRepository(database))
        events = EventServicer(
            groups=GroupRepository(database, max_tries=settings.group_max_tries),
            lease=settings.group_lease,
            limit=settings.stream_limit,
        )
        figures = Figures(backlogs.latest, LagRepository(database).read, settings.queue_metrics_interval)
        offers = Offers(workers, settings.channels)
        check = RequestCheck(
            DocumentCheck(reader),
            extractors=settings.extractor_names,
            max_pages=settings.job_max_pages,
            allow_private=settings.webhook_allow_private,
            signs_webhooks=settings.signs_webhooks,
        )
        server = build_server(
            settings.grpc,
            JobServicer(
                jobs=jobs,
                submission=Submission(coalescer, DocumentStore(DocumentRepository(database))),
                check=check,
                tailer=tailer,
                offers=offers,
                answers=Places(settings.max_result_rpcs, settings.grpc.admission_wait, settings.grpc.call_limit),
                longest=settings.stream_limit,
            ),
            ExtractionServicer(check=check, workers=workers),
            events,
            WebhookServicer(
                endpoints=EndpointRepository(database),
                deliveries=DeliveryRepository(database),
                allow_private=settings.webhook_allow_private,
            ),
            ScalerServicer(backlogs, longest=settings.stream_limit),
            VersionServicer(extractors=settings.extractor_names),
            heavy={SUBMIT, BATCH_SUBMIT, EXTRACT, VALIDATE},
            limits={
                EXTRACT: settings.sync_limit,
                GET_RESULT: settings.grpc.call_limit + LONGEST_WAIT,
                # They end by themselves before.
                **dict.fromkeys((WATCH, SUBSCRIBE, STREAM_IS_ACTIVE), 2 * settings.stream_limit),
            },
            check_themselves={SUBMIT, BATCH_SUBMIT, EXTRACT},
        )

        async def beside(stop: asyncio.Event) -> None:
            async with asyncio.TaskGroup() as group:
                sending = group.create_task(offers.run())
                group.create_task(events.run(stop))
                group.create_task(backlogs.run(stop))
                if measuring():
                    group.create_task(figures.run(stop))
                await tailer.run(stop)
                sending.cancel()

        async with asyncio.TaskGroup() as group:
            storing = group.create_task(coalescer.run())  # to the last call of a drain
            await serve(server, beside=beside, ready=database.ready)
            storing.cancel()


def run() -> None:
    """The command `gleaner-api`."""
    run_service("gleaner-api", "The public gRPC service.", ApiSettings, main)
