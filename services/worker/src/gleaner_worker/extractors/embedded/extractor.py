"""The extractor itself: reads the page as cells and labels, gathers candidates, and lets them compete."""

import asyncio
from collections.abc import Sequence

from gleaner.v1 import extraction_pb2, results_pb2, schemas_pb2
from gleaner_documents.pages import ReadDocument
from gleaner_values import settle
from gleaner_worker.extractors.embedded.cells import Sheet
from gleaner_worker.extractors.embedded.classify import choose_type
from gleaner_worker.extractors.embedded.results import Reporter
from gleaner_worker.extractors.embedded.search import Search
from gleaner_worker.extractors.embedded.tables import rows_for
from gleaner_worker.extractors.port import Extraction


class EmbeddedExtractor:
    """Finds fields by their labels, types and places. Deterministic, and needs neither key nor network."""

    name = "embedded"

    async def extract(self, documents: Sequence[ReadDocument], request: extraction_pb2.ExtractionRequest) -> Extraction:
        """The values of each document; never fails for what stands on a page."""
        named = {document.name: document.document_type for document in request.documents}
        results = [
            await asyncio.to_thread(extract_one, document, request.schema, named.get(document.name, ""))
            for document in documents
        ]
        return Extraction(tuple(results))


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
