"""A child process that looks for the values of one document at a time."""

from gleaner.internal.v1 import children_pb2, pages_pb2
from gleaner_children import Header, Note, serve
from gleaner_documents import artefact
from gleaner_worker.extractors.embedded.extractor import extract_one


def answer(header: Header, body: bytes, note: Note) -> tuple[Header, bytes]:
    """A DocumentResult for an ExtractDocumentRequest."""
    asked = children_pb2.ExtractDocumentRequest.FromString(body)
    [document] = artefact.from_pb(pages_pb2.ReadDocuments(documents=[asked.document]))
    return {}, extract_one(document, asked.schema, asked.document_type).SerializeToString()


if __name__ == "__main__":
    serve(answer)
