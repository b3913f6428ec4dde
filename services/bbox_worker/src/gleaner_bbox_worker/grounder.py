"""Grounding beside the event loop: heartbeats go on while values are looked for."""

import asyncio
import time

from gleaner.internal.v1 import pages_pb2
from gleaner.v1 import results_pb2, schemas_pb2
from gleaner_bbox_worker.grounding import ground
from gleaner_documents import artefact


class Grounder:
    """Looks for the values of results in a thread."""

    async def ground(
        self, result: results_pb2.ExtractionResult, schema: schemas_pb2.Schema, pages: pages_pb2.ReadDocuments
    ) -> results_pb2.ExtractionResult:
        """The result with the place of every value that stands on a page; what is grounded already stays."""
        began = time.monotonic_ns()
        grounded = await asyncio.to_thread(lambda: ground(result, schema, artefact.from_pb(pages)))
        stage = grounded.stages.add(stage="ground")
        stage.duration.FromNanoseconds(time.monotonic_ns() - began)
        return grounded
