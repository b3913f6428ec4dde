"""The extractor itself: reads the page as cells and labels, gathers candidates, and lets them compete."""

from collections.abc import Sequence
from types import TracebackType
from typing import Self

from gleaner.internal.v1 import children_pb2
from gleaner.v1 import extraction_pb2, results_pb2, schemas_pb2
from gleaner_children import ChildPool
from gleaner_documents import artefact
from gleaner_documents.pages import ReadDocument
from gleaner_values import settle
from gleaner_worker.extractors.embedded.cells import Sheet
from gleaner_worker.extractors.embedded.classify import choose_type
from gleaner_worker.extractors.embedded.results import Reporter
from gleaner_worker.extractors.embedded.search import Search
from gleaner_worker.extractors.embedded.tables import rows_for
from gleaner_worker.extractors.port import Extraction
from gleaner_worker.extractors.settings import ExtractorSettings


class EmbeddedExtractor:
    """Finds fields by their labels, types and places. Deterministic, and needs neither key nor network.

    It works in `settings.children` child processes, each on one document at a time.
    """

    name = "embedded"

    def __init__(self, settings: ExtractorSettings | None = None) -> None:
        settings = settings or ExtractorSettings()
        self.children = ChildPool(
            "gleaner_worker.extractors.embedded.child",
            settings.limits,
            work="looking for the values",
            children=settings.children,
        )

    async def __aenter__(self) -> Self:
        await self.children.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.children.__aexit__(kind, error, traceback)

    async def extract(self, documents: Sequence[ReadDocument], request: extraction_pb2.ExtractionRequest) -> Extraction:
        """The values of each document; what stands on a page is no reason to fail.

        Raises ChildDied or WorkTimeout. Cancelling ends the child that works on it.
        """
        named = {document.name: document.document_type for document in request.documents}
        results = [
            await self._extracted(document, request.schema, named.get(document.name, "")) for document in documents
        ]
        return Extraction(tuple(results))

    async def _extracted(
        self, document: ReadDocument, schema: schemas_pb2.Schema, document_type: str
    ) -> results_pb2.DocumentResult:
        [read] = artefact.to_pb([document]).documents
        asked = children_pb2.ExtractDocumentRequest(document=read, schema=schema, document_type=document_type)
        _, answer = await self.children.ask({}, asked.SerializeToString())
        return results_pb2.DocumentResult.FromString(answer)


def extract_one(
    document: ReadDocument, schema: schemas_pb2.Schema, document_type: str = ""
) -> results_pb2.DocumentResult:
    """The values of one document; `document_type` is its type's name if the caller knows it."""
    sheet = Sheet(document)
    chosen, sureness = choose_type(sheet, schema.document_types, document_type)
    conventions = settle(sheet.texts, chosen.locales)
    search = Search(sheet, chosen, conventions)
    found = search.found()
    reporter = Reporter(document, conventions)
    result = results_pb2.DocumentResult(document=document.name, document_type=chosen.name, type_confidence=sureness)
    for group in chosen.field_groups:
        for field in group.fields:
            path = f"{group.name}.{field.name}"
            if field.type == schemas_pb2.FIELD_TYPE_ARRAY:
                result.fields.append(reporter.array(path, field, rows_for(search, group, field)))
            else:
                result.fields.append(reporter.field(path, field, found))
    return result
