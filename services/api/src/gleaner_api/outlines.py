"""Messages without their long parts, of which the rules of the protos say what they say of the whole.

The rules' library copies a message before it looks at it: 32 MiB of document too, of which only the length matters. And
it takes most of its time for the schema, which is the same in submit after submit and is checked by itself, once.
"""

from typing import TypeVar

from buf.validate import validate_pb2
from google.protobuf.message import Message

from gleaner.v1 import extraction_pb2, jobs_pb2
from gleaner.v1.documents_pb2 import InputDocument

M = TypeVar("M", bound=Message)
Call = TypeVar("Call", jobs_pb2.SubmitJobRequest, extraction_pb2.ExtractRequest)

_CONTENT = InputDocument.DESCRIPTOR.fields_by_name["content"].GetOptions().Extensions[validate_pb2.field].bytes
_SHORT = 64 * 1024
"""Up to so many bytes, a copy of the whole is the quickest."""


def of_call(message: Call) -> Call:
    """The message with an outline of its request."""
    if message.ByteSize() > _SHORT:
        outline = _but(message, "request")
        if message.HasField("request"):
            outline.request.CopyFrom(of_request(message.request))
        return outline
    outline = type(message)()
    outline.CopyFrom(message)
    if outline.HasField("request"):
        _shorten(outline.request)
    return outline


def of_request(request: extraction_pb2.ExtractionRequest) -> extraction_pb2.ExtractionRequest:
    """The request without its schema, and documents of one byte for those that are long enough."""
    outline = _but(request, "schema", "documents")
    for document in request.documents:
        if _is_long_enough(document):
            outline.documents.append(_but(document, "content"))
            outline.documents[-1].content = b"-"
        else:
            outline.documents.append(document)
    return outline


def _shorten(request: extraction_pb2.ExtractionRequest) -> None:
    request.ClearField("schema")
    for document in request.documents:
        if _is_long_enough(document):
            document.content = b"-"


def _is_long_enough(document: InputDocument) -> bool:
    return _CONTENT.min_len <= len(document.content) <= _CONTENT.max_len


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
