"""WorkerService: extraction while the caller waits."""

import asyncio

import grpc.aio

from gleaner.internal.v1 import bbox_worker_pb2, worker_pb2, worker_pb2_grpc
from gleaner.internal.v1.bbox_worker_pb2_grpc import BboxWorkerServiceStub
from gleaner.v1 import documents_pb2, extraction_pb2, results_pb2
from gleaner_core.errors import GleanerError, NoRoom
from gleaner_documents import artefact
from gleaner_rpc import Context, Peers
from gleaner_runner import Slots
from gleaner_worker.pipeline import Extracted, Pipeline, Source

_MARGIN_S = 0.5  # what is left of the caller's time for the answer's way back
_PATIENCE_S = 10.0  # with bbox workers that are full or being replaced, and no more than half of the caller's time


class WorkerServicer(worker_pb2_grpc.WorkerServiceServicer):
    """Runs the pipeline in one of the worker's slots; boxes come from a bbox worker."""

    def __init__(self, *, pipeline: Pipeline, slots: Slots, refiners: Peers, max_pages: int) -> None:
        self._pipeline = pipeline
        self._slots = slots
        self._refiners = refiners
        self._max_pages = max_pages

    async def Extract(self, request: worker_pb2.ExtractRequest, context: Context) -> worker_pb2.ExtractResponse:
        """Values and, if wanted, their boxes."""
        asked = request.request
        async with self._slots.one():
            sources = [_source(document) for document in asked.documents]
            extracted = await self._pipeline.run(sources, asked, max_pages=self._max_pages)
        if asked.options.grounding == extraction_pb2.GROUNDING_MODE_NONE:
            return worker_pb2.ExtractResponse(result=extracted.result)
        return worker_pb2.ExtractResponse(result=await self._grounded(extracted, asked, context.time_remaining()))

    async def _grounded(
        self, extracted: Extracted, asked: extraction_pb2.ExtractionRequest, time_left: float | None
    ) -> results_pb2.ExtractionResult:
        message = bbox_worker_pb2.GroundRequest(
            result=extracted.result, schema=asked.schema, pages=artefact.to_pb(extracted.pages)
        )
        clock = asyncio.get_running_loop().time
        end = None if time_left is None else clock() + time_left - _MARGIN_S

        async def ground(channel: grpc.aio.Channel) -> bbox_worker_pb2.GroundResponse:
            answer: bbox_worker_pb2.GroundResponse = await BboxWorkerServiceStub(channel).Ground(
                message, timeout=None if end is None else max(end - clock(), 0.1)
            )
            return answer

        try:
            patience = _PATIENCE_S if time_left is None else min(time_left / 2, _PATIENCE_S)
            return (await self._refiners.call_any(ground, patience_s=patience)).result
        except GleanerError as error:
            # The values are worth having without their boxes; the caller is told.
            full = isinstance(error, NoRoom)
            reason, why = ("GROUNDING_NO_ROOM", "full") if full else ("GROUNDING_UNAVAILABLE", "away")
            extracted.result.problems.add(
                reason=reason, message=f"nobody looked for the boxes, bbox workers were {why}; the places are estimates"
            )
            return extracted.result


def _source(document: documents_pb2.InputDocument) -> Source:
    async def content() -> bytes:
        return document.content

    return Source(document.name, document.media_type, document.document_type, content)
