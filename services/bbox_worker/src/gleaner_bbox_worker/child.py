"""A child process that looks for the places of values."""

from gleaner.internal.v1 import bbox_worker_pb2
from gleaner_bbox_worker.grounding import ground
from gleaner_children import Header, Note, serve
from gleaner_documents import artefact


def answer(header: Header, body: bytes, note: Note) -> tuple[Header, bytes]:
    """A GroundResponse for a GroundRequest."""
    asked = bbox_worker_pb2.GroundRequest.FromString(body)
    result = ground(asked.result, asked.schema, artefact.from_pb(asked.pages))
    return {}, bbox_worker_pb2.GroundResponse(result=result).SerializeToString()


if __name__ == "__main__":
    serve(answer)
