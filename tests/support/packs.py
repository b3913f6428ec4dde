"""A document of many pages, and values to be found on them: work that takes a while."""

from functools import cache

from gleaner.internal.v1 import bbox_worker_pb2
from gleaner.v1 import results_pb2, schemas_pb2
from gleaner_documents import artefact
from support.printed_pages import printed_document, printed_lines

FILLER = [f"clause {row}: the parties agree upon what paragraph {row * 7} of the annex says of it" for row in range(35)]


@cache
def a_pack(values: int = 30, pages: int = 290) -> bbox_worker_pb2.GroundRequest:
    """Values of a pack of pages; half are misspelt, so that all of it is searched: some two seconds."""
    paper = [printed_lines(f"Contract no C-{number:05}", *FILLER) for number in range(1, pages + 1)]
    group = schemas_pb2.FieldGroup(name="data")
    found = results_pb2.DocumentResult(document="pack.pdf", document_type="pack")
    for number in range(1, values + 1):
        name = f"contract_{number}"
        group.fields.add(name=name, type=schemas_pb2.FIELD_TYPE_STRING)
        text = f"C-{number:05}" if number <= values // 2 else f"the partees agree upan what paragraf {number} sayz"
        found.fields.add(path=f"data.{name}", value=results_pb2.Value(text=text))
    return bbox_worker_pb2.GroundRequest(
        result=results_pb2.ExtractionResult(documents=[found]),
        schema=schemas_pb2.Schema(document_types=[schemas_pb2.DocumentType(name="pack", field_groups=[group])]),
        pages=artefact.to_pb([printed_document(*paper, name="pack.pdf")]),
    )
