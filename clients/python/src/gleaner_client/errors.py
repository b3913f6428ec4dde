"""What a call may raise.

GleanerError
├── InvalidRequest         the request breaks rules; `findings` lists all of them
├── NotFound               there is no such thing, or no longer
├── KeyReused              the request id belongs to another request
├── FailedPrecondition     the job or the document is not as the call needs it
│   ├── NotReady           no result yet; ask again after `retry_after`
│   ├── NoResult           the job failed or was cancelled, and will have none
│   ├── NotCancellable     it is over, or runs and that was not allowed for
│   ├── NotRetryable       it succeeded
│   ├── NotDeletable       it is alive
│   └── DocumentRejected   the document cannot be read; `reason` says why
├── GroupExpired           the consumer group stood still for too long; start it anew
├── NoRoom                 every slot, or the number of endpoints, is used up
├── TimedOut               the deadline passed
├── Unavailable            the server cannot be reached, or what it stands on
├── Denied                 credentials are missing or do not suffice
└── ServerFault            anything else
"""

from typing import ClassVar, TypeVar

import grpc
from google.protobuf.message import DecodeError, Message
from google.rpc import error_details_pb2, status_pb2

from gleaner_core.errors import Finding

__all__ = [
    "Denied",
    "DocumentRejected",
    "FailedPrecondition",
    "Finding",
    "GleanerError",
    "GroupExpired",
    "InvalidRequest",
    "KeyReused",
    "NoResult",
    "NoRoom",
    "NotCancellable",
    "NotDeletable",
    "NotFound",
    "NotReady",
    "NotRetryable",
    "ServerFault",
    "TimedOut",
    "Unavailable",
    "from_rpc",
    "from_status",
]

_DETAILS_KEY = "grpc-status-details-bin"
_Detail = TypeVar("_Detail", bound=Message)


class GleanerError(Exception):
    """A call failed. Its text is the server's, which never quotes a document.

    `reason` is stable and in upper case, empty if the server gave none. `resource` names the job concerned, `request`
    is what the server's log knows the call by; both may be empty. `retry_after` is in seconds.
    """

    code: ClassVar[grpc.StatusCode] = grpc.StatusCode.UNKNOWN

    def __init__(
        self,
        message: str,
        *,
        reason: str = "",
        findings: tuple[Finding, ...] = (),
        retry_after: float | None = None,
        resource: str = "",
        request: str = "",
    ) -> None:
        super().__init__(message)
        self.message = message
        self.reason = reason
        self.findings = findings
        self.retry_after = retry_after
        self.resource = resource
        self.request = request


class InvalidRequest(GleanerError):
    """The request breaks rules; `findings` lists all of them."""

    code = grpc.StatusCode.INVALID_ARGUMENT


class NotFound(GleanerError):
    """There is no such job, endpoint, delivery or group, or no longer."""

    code = grpc.StatusCode.NOT_FOUND


class KeyReused(GleanerError):
    """The request id belongs to another request; take a new one."""

    code = grpc.StatusCode.ALREADY_EXISTS


class FailedPrecondition(GleanerError):
    """The job or the document is not as the call needs it."""

    code = grpc.StatusCode.FAILED_PRECONDITION


class NotReady(FailedPrecondition):
    """The job has no result yet."""


class NoResult(FailedPrecondition):
    """The job failed or was cancelled (`reason` JOB_FAILED or JOB_CANCELLED), and will have no result."""


class NotCancellable(FailedPrecondition):
    """The job is over, or is being run and the caller did not allow for that."""


class NotRetryable(FailedPrecondition):
    """The job succeeded: there is nothing to try again."""


class NotDeletable(FailedPrecondition):
    """The job is alive: cancel it first, or wait for its end."""


class DocumentRejected(FailedPrecondition):
    """A document cannot be read; `reason` says why."""


class GroupExpired(GleanerError):
    """The consumer group stood still for too long, and what it had not read may be gone."""

    code = grpc.StatusCode.OUT_OF_RANGE


class NoRoom(GleanerError):
    """Every slot is used up for the moment, or there are as many endpoints as there may be (TOO_MANY_ENDPOINTS)."""

    code = grpc.StatusCode.RESOURCE_EXHAUSTED


class TimedOut(GleanerError):
    """The deadline passed. Whether the call was carried out is unknown."""

    code = grpc.StatusCode.DEADLINE_EXCEEDED


class Unavailable(GleanerError):
    """The server, or what it stands on, does not answer, after all tries. Whether it was carried out is unknown."""

    code = grpc.StatusCode.UNAVAILABLE


class Denied(GleanerError):
    """Credentials are missing or do not suffice."""

    code = grpc.StatusCode.PERMISSION_DENIED


class ServerFault(GleanerError):
    """The server failed, or does not know this call."""


_KINDS: tuple[type[GleanerError], ...] = (
    InvalidRequest,
    NotFound,
    KeyReused,
    FailedPrecondition,
    GroupExpired,
    NoRoom,
    TimedOut,
    Unavailable,
    Denied,
)
_BY_CODE = {kind.code: kind for kind in _KINDS} | {grpc.StatusCode.UNAUTHENTICATED: Denied}

_PRECONDITIONS: dict[str, type[GleanerError]] = {
    "RESULT_NOT_READY": NotReady,
    "JOB_FAILED": NoResult,
    "JOB_CANCELLED": NoResult,
    "JOB_NOT_CANCELLABLE": NotCancellable,
    "JOB_NOT_RETRYABLE": NotRetryable,
    "JOB_NOT_DELETABLE": NotDeletable,
    "TOO_MANY_PAGES": DocumentRejected,
}


def from_rpc(error: grpc.aio.AioRpcError) -> GleanerError:
    """The error that a call's status and its google.rpc details stand for."""
    status = _status(error)
    return _from(error.code(), status, status.message or error.details() or error.code().name)


def from_status(status: status_pb2.Status) -> GleanerError:
    """The error that a google.rpc.Status in an answer stands for."""
    code = next((known for known in grpc.StatusCode if known.value[0] == status.code), grpc.StatusCode.UNKNOWN)
    return _from(code, status, status.message or code.name)


def _from(code: grpc.StatusCode, status: status_pb2.Status, message: str) -> GleanerError:
    reason = _detail(status, error_details_pb2.ErrorInfo).reason
    return _kind(code, reason)(
        message,
        reason=reason,
        findings=_findings(status),
        retry_after=_retry_after(status),
        resource=_detail(status, error_details_pb2.ResourceInfo).resource_name,
        request=_detail(status, error_details_pb2.RequestInfo).request_id,
    )


def _kind(code: grpc.StatusCode, reason: str) -> type[GleanerError]:
    if code is grpc.StatusCode.FAILED_PRECONDITION:
        by_prefix = DocumentRejected if reason.startswith("DOCUMENT_") else FailedPrecondition
        return _PRECONDITIONS.get(reason, by_prefix)
    return _BY_CODE.get(code, ServerFault)


def _status(error: grpc.aio.AioRpcError) -> status_pb2.Status:
    for key, value in error.trailing_metadata() or ():
        if key == _DETAILS_KEY and isinstance(value, bytes):
            try:
                return status_pb2.Status.FromString(value)
            except DecodeError:  # a proxy's idea of details; the plain status is still true
                break
    return status_pb2.Status()


def _detail(status: status_pb2.Status, kind: type[_Detail]) -> _Detail:
    """The detail of this kind; an empty one if there is none."""
    detail = kind()
    any(packed.Unpack(detail) for packed in status.details)
    return detail


def _findings(status: status_pb2.Status) -> tuple[Finding, ...]:
    request = _detail(status, error_details_pb2.BadRequest)
    return tuple(Finding(v.field, v.reason, v.description) for v in request.field_violations)


def _retry_after(status: status_pb2.Status) -> float | None:
    retry = _detail(status, error_details_pb2.RetryInfo)
    return retry.retry_delay.ToTimedelta().total_seconds() if retry.HasField("retry_delay") else None
