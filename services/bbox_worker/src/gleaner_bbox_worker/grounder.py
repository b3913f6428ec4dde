"""Grounding in child processes: heartbeats go on meanwhile, and what is cancelled stops."""

import time
from types import TracebackType
from typing import Self

from opentelemetry import trace

from gleaner.internal.v1 import bbox_worker_pb2, pages_pb2
from gleaner.v1 import results_pb2, schemas_pb2
from gleaner_bbox_worker.settings import GrounderSettings
from gleaner_children import ChildPool
from gleaner_telemetry import names, span

_tracer = trace.get_tracer("gleaner.bbox_worker")


class Grounder:
    """Looks for the values of results in `settings.children` child processes, each one result at a time."""

    def __init__(self, settings: GrounderSettings | None = None) -> None:
        settings = settings or GrounderSettings()
        self.children = ChildPool(
            "gleaner_bbox_worker.child", settings.limits, work="looking for the boxes", children=settings.children
        )

    async def __aenter__(self) -> Self:
        await self.children.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.children.__aexit__(kind, error, traceback)

    async def ground(
        self, result: results_pb2.ExtractionResult, schema: schemas_pb2.Schema, pages: pages_pb2.ReadDocuments
    ) -> results_pb2.ExtractionResult:
        """The result with the place of every value that stands on a page; what is grounded already stays.

        Raises ChildDied or WorkTimeout. Cancelling ends the child that works on it.
        """
        began = time.monotonic_ns()
        asked = bbox_worker_pb2.GroundRequest(result=result, schema=schema, pages=pages)
        with span(_tracer, "ground", attributes={names.PAGES: sum(len(one.pages) for one in pages.documents)}):
            _, answer = await self.children.ask({}, asked.SerializeToString())
            grounded = bbox_worker_pb2.GroundResponse.FromString(answer).result
        stage = grounded.stages.add(stage="ground")
        stage.duration.FromNanoseconds(time.monotonic_ns() - began)
        return grounded
