"""The extraction leg: from a stored request to values, and on to the refinement if boxes are wanted."""

from collections.abc import Callable

from gleaner.internal.v1 import stored_pb2
from gleaner.v1 import documents_pb2, extraction_pb2
from gleaner_core.errors import DocumentGone
from gleaner_documents import artefact
from gleaner_repo import Bodies, ClaimedJob, DocumentRepository, Finished
from gleaner_repo.moves import CALLBACK_EVENTS, EXTRACTION, MOVES
from gleaner_rpc import Offers
from gleaner_runner import EXTRACTION_MOVES, Ending, LegSettings
from gleaner_worker.pipeline import Pipeline, Source


class ExtractionLeg:
    """Leg 1 of a job's life."""

    number = EXTRACTION
    moves = EXTRACTION_MOVES

    def __init__(
        self,
        *,
        settings: LegSettings,
        documents: DocumentRepository,
        pipeline: Pipeline,
        max_pages: int,
        refiners: Offers,
        webhooks: Callable[[], None],
    ) -> None:
        self.settings = settings
        self._documents = documents
        self._pipeline = pipeline
        self._max_pages = max_pages
        self._refiners = refiners
        self._webhooks = webhooks

    async def run(self, job: ClaimedJob, bodies: Bodies) -> Ending:
        """SUCCEEDED, or PARTIAL_SUCCEEDED with the pages for whoever looks for the boxes."""
        stored = stored_pb2.StoredRequest.FromString(bodies.request)
        sources = [self._source(job.tenant_id, document) for document in stored.documents]
        extracted = await self._pipeline.run(sources, _request(stored), max_pages=self._max_pages)
        result = extracted.result.SerializeToString()
        if stored.options.grounding == extraction_pb2.GROUNDING_MODE_NONE:
            return Ending("mark_succeeded", Finished(result=result))
        pages = artefact.to_pb(extracted.pages).SerializeToString()
        return Ending("mark_partial_succeeded", Finished(result=result, artefact=pages))

    def won(self, job: ClaimedJob, move: str) -> None:
        """The values are there: whoever looks for boxes is told. The move may owe a webhook: so is whoever sends it."""
        if move == "mark_partial_succeeded":
            self._refiners(1)
        if MOVES[move].event in CALLBACK_EVENTS:
            self._webhooks()

    def _source(self, tenant_id: str, document: stored_pb2.StoredDocument) -> Source:
        async def content() -> bytes:
            found = await self._documents.get(tenant_id, document.sha256)
            if found is None:
                raise DocumentGone(f"document {document.name!r}: its bytes are not stored any more; submit it again")
            return found

        return Source(document.name, document.media_type, document.document_type, content)


def _request(stored: stored_pb2.StoredRequest) -> extraction_pb2.ExtractionRequest:
    """The request as it was made, without the documents' bytes."""
    return extraction_pb2.ExtractionRequest(
        documents=[
            documents_pb2.InputDocument(
                name=document.name, media_type=document.media_type, document_type=document.document_type
            )
            for document in stored.documents
        ],
        schema=stored.schema,
        options=stored.options,
    )
