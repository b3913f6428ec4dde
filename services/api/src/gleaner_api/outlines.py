"""What the rules of the protos say of a request but for its schema, asked of an outline of it.

The rules' library copies a message before it looks at it: 32 MiB of document too, of which only the length matters. And
most of its time goes into the schema, which is the same in submit after submit and is checked by itself, once. So an
outline has bytes in place of documents, and is of a type without the field: the protos' own, with all else that they
have or will have.
"""

from typing import Any, TypeVar

from buf.validate import validate_pb2
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import Message

from gleaner.v1 import extraction_pb2, jobs_pb2
from gleaner.v1.documents_pb2 import InputDocument
from gleaner_core.errors import Finding
from gleaner_rpc.rules import Rules, findings

M = TypeVar("M", bound=Message)
Call = jobs_pb2.SubmitJobRequest | extraction_pb2.ExtractRequest

_REQUEST = "request"
_RULES = Rules()
_CONTENT = InputDocument.DESCRIPTOR.fields_by_name["content"].GetOptions().Extensions[validate_pb2.field].bytes
_SHORT = 64 * 1024
"""Up to so many bytes, to copy the whole and to shorten the copy is the quickest."""


def findings_of_call(message: Call) -> list[Finding]:
    """Everything that the rules find wrong with the message; with its request's schema only that it is missing."""
    outline = _outline(message if message.ByteSize() <= _SHORT else _shortened_call(message))
    if message.HasField("request"):
        _shorten(outline.request)
    found = _RULES.findings(outline)
    return found + _missing(message.request) if message.HasField("request") else found


def findings_of_request(request: extraction_pb2.ExtractionRequest) -> list[Finding]:
    """The same of a request alone, by its place in a call."""
    outline = _outline(request if request.ByteSize() <= _SHORT else _shortened(request))
    _shorten(outline)
    return _RULES.findings(outline, _REQUEST) + _missing(request)


def findings_of_batch(message: jobs_pb2.BatchSubmitJobsRequest) -> list[Finding]:
    """Everything that the rules find wrong with the batch itself; what it holds is asked one by one."""
    empty = jobs_pb2.SubmitJobRequest()
    return findings(jobs_pb2.BatchSubmitJobsRequest(requests=[empty] * len(message.requests)))


def _missing(request: extraction_pb2.ExtractionRequest) -> list[Finding]:
    """The words of the rules for a schema that is not there: of an empty request, nothing else is wrong."""
    return [] if request.HasField("schema") else findings(extraction_pb2.ExtractionRequest(), _REQUEST)


def _outline(message: Message) -> Any:
    return _KINDS[type(message)].FromString(message.SerializeToString())


def _shorten(outline: Any) -> None:
    outline.DiscardUnknownFields()  # such is the schema, to its type
    for document in outline.documents:
        if _is_long_enough(document):
            document.content = b"-"


def _shortened_call(message: Call) -> Call:
    short = _but(message, "request")
    if message.HasField("request"):
        short.request.CopyFrom(_shortened(message.request))
    return short


def _shortened(request: extraction_pb2.ExtractionRequest) -> extraction_pb2.ExtractionRequest:
    short = _but(request, "schema", "documents")
    for document in request.documents:
        if _is_long_enough(document):
            short.documents.append(_but(document, "content"))
            short.documents[-1].content = b"-"
        else:
            short.documents.append(document)
    return short


def _is_long_enough(document: Any) -> bool:
    return bool(_CONTENT.min_len <= len(document.content) <= _CONTENT.max_len)


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


def _kinds(*messages: type[Message]) -> dict[type[Message], type[Message]]:
    """The messages' types once more, with an ExtractionRequest that has no schema."""
    pool = descriptor_pool.DescriptorPool()
    added: set[str] = set()

    def add(file: Any) -> None:
        if file.name in added:
            return
        added.add(file.name)
        for other in file.dependencies:
            add(other)
        proto = descriptor_pb2.FileDescriptorProto()
        file.CopyToProto(proto)
        for kind in proto.message_type:
            if f"{file.package}.{kind.name}" == extraction_pb2.ExtractionRequest.DESCRIPTOR.full_name:
                kind.field.remove(next(field for field in kind.field if field.name == "schema"))
        pool.Add(proto)

    for message in messages:
        add(message.DESCRIPTOR.file)
    return {
        message: message_factory.GetMessageClass(pool.FindMessageTypeByName(message.DESCRIPTOR.full_name))
        for message in messages
    }


_KINDS = _kinds(jobs_pb2.SubmitJobRequest, extraction_pb2.ExtractRequest, extraction_pb2.ExtractionRequest)
