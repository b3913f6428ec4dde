"""The bbox worker's process, part by part."""

from contextlib import AsyncExitStack
from datetime import timedelta

from gleaner_bbox_worker.grounder import Grounder
from gleaner_bbox_worker.leg import RefinementLeg
from gleaner_bbox_worker.servicer import BboxWorkerServicer
from gleaner_bbox_worker.settings import BboxWorkerSettings
from gleaner_repo import JobRepository, open_database
from gleaner_rpc import build_server, serve
from gleaner_rpc.process import run_service
from gleaner_runner import Runner, Slots, observe_slots
from gleaner_runner.servicer import OfferServicer
from gleaner_telemetry import DatabaseMetrics, installed, observe_children

GROUND = "/gleaner.internal.v1.BboxWorkerService/Ground"


async def main(settings: BboxWorkerSettings) -> None:
    """Serves and runs refinements until SIGTERM, then drains."""
    async with AsyncExitStack() as stack:
        stack.enter_context(installed("bbox_worker", settings.otel))
        database = await stack.enter_async_context(
            open_database(
                settings.database,
                name="gleaner-bbox-worker",
                watch=DatabaseMetrics(spans=settings.otel.trace_statements),
            )
        )
        grounder = await stack.enter_async_context(Grounder(settings.grounder))
        slots = Slots(settings.runner.slots)
        observe_children({"ground": grounder.children})
        observe_slots(slots)
        jobs = JobRepository(database, max_lapses=settings.runner.max_lapses)
        runner = Runner(RefinementLeg(settings=settings.leg, grounder=grounder), jobs, slots, settings.runner)
        server = build_server(
            settings.grpc,
            OfferServicer(runner),
            BboxWorkerServicer(grounder=grounder, slots=slots),
            heavy={GROUND},
            limits={GROUND: timedelta(seconds=settings.bbox_refine_timeout_s)},
        )
        await serve(server, beside=runner.run, ready=database.ready)


def run() -> None:
    """The command `gleaner-bbox-worker`."""
    run_service("gleaner-bbox-worker", "Runs the grounding leg of jobs.", BboxWorkerSettings, main)
