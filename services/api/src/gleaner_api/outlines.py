"""Messages without their long parts, for which the rules of the protos hold just when they hold for the whole.

The rules' library copies a message before it looks at it: 32 MiB of document too, of which only the length matters. And
it takes a millisecond for a schema of a hundred fields, which are the same in submit after submit.
"""

from typing import TypeVar

from buf.validate import validate_pb2
from google.protobuf.message import Message

from gleaner.v1 import extraction_pb2, jobs_pb2, schemas_pb2
from gleaner.v1.documents_pb2 import InputDocument

M = TypeVar("M", bound=Message)
Call = TypeVar("Call", jobs_pb2.SubmitJobRequest, extraction_pb2.ExtractRequest)

_FIELD = schemas_pb2.Field(name="any", type=schemas_pb2.FIELD_TYPE_STRING)
_GROUP = schemas_pb2.FieldGroup(name="any", fields=[_FIELD])
ANY_SCHEMA = schemas_pb2.Schema(document_types=[schemas_pb2.DocumentType(name="any", field_groups=[_GROUP])])
"""Stands for a schema that is checked by itself."""

_CONTENT = InputDocument.DESCRIPTOR.fields_by_name["content"].GetOptions().Extensions[validate_pb2.field].bytes


def of_call(message: Call) -> Call:
    """The message with an outline of its request."""
    outline = _but(message, "request")
    if message.HasField("request"):
        outline.request.CopyFrom(of_request(message.request))
    return outline


def of_request(request: extraction_pb2.ExtractionRequest) -> extraction_pb2.ExtractionRequest:
    """The request with any schema for its schema, and documents of one byte for those that are long enough."""
    outline = _but(request, "schema", "documents")
    if request.HasField("schema"):
        outline.schema.CopyFrom(ANY_SCHEMA)
    for document in request.documents:
        if _CONTENT.min_len <= len(document.content) <= _CONTENT.max_len:
            outline.documents.append(_but(document, "content"))
            outline.documents[-1].content = b"-"
        else:
            outline.documents.append(document)
    return outline


def _but(message: M, *left_out: str) -> M:
    """A copy without some fields; whatever else the message will ever have is in it."""
    copy = type(message)()
    for field, value in message.ListFields():
        if field.name in left_out:
            continue
        if field.is_repeated:
            getattr(copy, field.name).MergeFrom(value)
        elif field.message_type:
            getattr(copy, field.name).CopyFrom(value)
        else:
            setattr(copy, field.name, value)
    return copy
