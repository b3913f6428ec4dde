"""Which error is which gRPC status, in one table.

The form is google.rpc.Status with one ErrorInfo, as https://google.aip.dev/193 says, and what else helps the caller.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

import grpc
from google.protobuf import any_pb2, message
from google.rpc import error_details_pb2, status_pb2

from gleaner_core import errors
from gleaner_core.errors import Finding, GleanerError, InvalidRequest

Code = grpc.StatusCode
DOMAIN = "gleaner"
# Clients take 8 KiB of trailing metadata, in which the details stand in base64, twice the message, and other things.
_ROOM_FOR_FINDINGS = 3500
_LONGEST_MESSAGE = 500


@dataclass(frozen=True, slots=True)
class Row:
    """What an error becomes. `reason` may name an attribute of the error: `JOB_{state}`, which is one of `states`."""

    code: grpc.StatusCode
    reason: str
    retry: bool = False
    states: tuple[str, ...] = ()


# fmt: off
TABLE: dict[type[GleanerError], Row] = {
    #                             status                    ErrorInfo.reason
    errors.InvalidRequest:    Row(Code.INVALID_ARGUMENT,    "INVALID_REQUEST"),
    errors.JobNotFound:       Row(Code.NOT_FOUND,           "JOB_NOT_FOUND"),
    errors.DeliveryNotFound:  Row(Code.NOT_FOUND,           "DELIVERY_NOT_FOUND"),
    errors.EndpointNotFound:  Row(Code.NOT_FOUND,           "ENDPOINT_NOT_FOUND"),
    errors.JobNotCancellable: Row(Code.FAILED_PRECONDITION, "JOB_NOT_CANCELLABLE"),
    errors.JobNotRetryable:   Row(Code.FAILED_PRECONDITION, "JOB_NOT_RETRYABLE"),
    errors.JobNotDeletable:   Row(Code.FAILED_PRECONDITION, "JOB_NOT_DELETABLE"),
    errors.ResultNotReady:    Row(Code.FAILED_PRECONDITION, "RESULT_NOT_READY", retry=True),
    errors.NoResult:          Row(Code.FAILED_PRECONDITION, "JOB_{state}", states=("FAILED", "CANCELLED")),
    errors.KeyReused:         Row(Code.ALREADY_EXISTS,      "IDEMPOTENCY_KEY_REUSED"),
    errors.EndpointDiffers:   Row(Code.ALREADY_EXISTS,      "IDEMPOTENCY_KEY_REUSED"),
    errors.TooManyEndpoints:  Row(Code.RESOURCE_EXHAUSTED,  "TOO_MANY_ENDPOINTS"),
    errors.GroupNotFound:     Row(Code.NOT_FOUND,           "GROUP_NOT_FOUND"),
    errors.GroupExpired:      Row(Code.OUT_OF_RANGE,        "GROUP_EXPIRED"),
    errors.GroupDiffers:      Row(Code.FAILED_PRECONDITION, "GROUP_DIFFERS"),
    errors.GroupLost:         Row(Code.ABORTED,             "GROUP_LOST", retry=True),
    errors.NoRoom:            Row(Code.RESOURCE_EXHAUSTED,  "NO_ROOM", retry=True),
    errors.DeadlinePassed:    Row(Code.DEADLINE_EXCEEDED,   "DEADLINE_PASSED"),
    errors.Unavailable:       Row(Code.UNAVAILABLE,         "DATABASE_UNAVAILABLE", retry=True),
    errors.PeerUnavailable:   Row(Code.UNAVAILABLE,         "SERVICE_UNAVAILABLE", retry=True),
    errors.Draining:          Row(Code.UNAVAILABLE,         "DRAINING", retry=True),
    errors.StreamLimit:       Row(Code.UNAVAILABLE,         "STREAM_LIMIT", retry=True),
    # Work that a synchronous call asked for. The same reasons stand in a job's `error`.
    errors.DocumentError:     Row(Code.FAILED_PRECONDITION, "{reason}"),
    errors.ModelRefused:      Row(Code.FAILED_PRECONDITION, "{reason}"),
    errors.ModelRejected:     Row(Code.FAILED_PRECONDITION, "{reason}"),
    errors.ModelUnknown:      Row(Code.FAILED_PRECONDITION, "{reason}"),
    errors.ModelThrottled:    Row(Code.RESOURCE_EXHAUSTED,  "{reason}", retry=True),
    errors.ModelUnavailable:  Row(Code.ABORTED,             "{reason}", retry=True),  # a channel repeats UNAVAILABLE
    errors.WorkTimeout:       Row(Code.DEADLINE_EXCEEDED,   "{reason}"),
    errors.ChildDied:         Row(Code.ABORTED,             "{reason}"),
    errors.WorkError:         Row(Code.FAILED_PRECONDITION, "{reason}"),
}  # what is not here is a bug: INTERNAL, logged with its trace, answered without its text
# fmt: on


def status_of(error: GleanerError) -> status_pb2.Status:
    """The error as it goes over the wire; INTERNAL if the table does not know it."""
    row = next((TABLE[kind] for kind in type(error).__mro__ if kind in TABLE), None)
    if row is None:
        return internal("")
    facts = {name: str(getattr(error, name)) for name in ("state", "reason") if hasattr(error, name)}
    return _status(row.code, str(error), _details(error, row, row.reason.format_map(facts)))


def internal(request_id: str) -> status_pb2.Status:
    """A bug of ours: the answer says nothing but where to look for it in the logs."""
    return _status(
        Code.INTERNAL,
        "something went wrong that should not have; the server's log tells more",
        [_info("INTERNAL", {}), error_details_pb2.RequestInfo(request_id=request_id)],
    )


def _status(code: grpc.StatusCode, text: str, details: Iterable[message.Message]) -> status_pb2.Status:
    status = status_pb2.Status(code=code.value[0], message=_shortened(text))
    for detail in details:
        packed = any_pb2.Any()
        packed.Pack(detail)
        status.details.append(packed)
    return status


def _details(error: GleanerError, row: Row, reason: str) -> Iterator[message.Message]:
    job = f"jobs/{error.job_id}" if hasattr(error, "job_id") else ""
    known = {"job": job, "state": getattr(error, "state", "")}
    yield _info(reason, {key: value for key, value in known.items() if value})
    if isinstance(error, InvalidRequest):
        yield bad_request(error.findings)
    if row.retry:
        retry = error_details_pb2.RetryInfo()
        after = getattr(error, "retry_after", None)
        retry.retry_delay.FromTimedelta(timedelta(seconds=1) if after is None else after)
        yield retry
    if job:
        yield error_details_pb2.ResourceInfo(resource_type="gleaner.v1.Job", resource_name=job)
    if row.code is Code.FAILED_PRECONDITION:
        violation = error_details_pb2.PreconditionFailure.Violation(
            type=reason, subject=job, description=_shortened(str(error))
        )
        yield error_details_pb2.PreconditionFailure(violations=[violation])


def bad_request(findings: Sequence[Finding]) -> error_details_pb2.BadRequest:
    """All findings, as many as fit into a trailer; the last then tells how many more there are."""
    bad = error_details_pb2.BadRequest()
    for number, finding in enumerate(findings):
        violation = error_details_pb2.BadRequest.FieldViolation(
            field=finding.field, reason=finding.reason, description=_shortened(finding.description)
        )
        if bad.ByteSize() + violation.ByteSize() > _ROOM_FOR_FINDINGS:
            bad.field_violations.add(
                reason="MORE", description=f"and {len(findings) - number} more; ValidateRequest lists them all"
            )
            break
        bad.field_violations.append(violation)
    return bad


def _info(reason: str, metadata: dict[str, str]) -> error_details_pb2.ErrorInfo:
    return error_details_pb2.ErrorInfo(reason=reason, domain=DOMAIN, metadata=metadata)


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST_MESSAGE else f"{text[: _LONGEST_MESSAGE - 1]}…"
