"""Every error that crosses a room's wall.

GleanerError
├── InvalidRequest        the request itself is wrong; carries all findings
├── JobNotFound
├── DeliveryNotFound
├── EndpointNotFound
├── JobNotCancellable
├── JobNotRetryable
├── JobNotDeletable
├── ResultNotReady        ask again later
├── NoResult              there is none and there will be none
├── KeyReused             a request id that belongs to another request
├── EndpointDiffers       a request id that made an endpoint that is another by now
├── TooManyEndpoints      the tenant must delete one first
├── GroupNotFound         no consumer group of this name
├── GroupExpired          the consumer group stood still for too long; start it anew
├── GroupDiffers          the consumer group has another filter
├── GroupLost             another reader has the consumer group by now
├── NoRoom                every slot is taken
├── StreamLimit           the stream lasted as long as one may
├── DeadlinePassed        the call took longer than it may
├── Unavailable           the database, or a service we stand on, does not answer
│   ├── PeerUnavailable   another service of the suite
│   └── Draining          this process is about to end
└── WorkError             why work on a document ends; the class says whether another attempt may help
    ├── DocumentError     permanent: the document is what it is
    │   ├── DocumentEmpty, DocumentGone, DocumentUnsupported, DocumentMismatch, DocumentDamaged, DocumentEncrypted
    │   └── DocumentTooLarge, TooManyPages
    ├── ModelRefused, ModelRejected, ModelUnknown, ResultTooLarge    permanent
    └── ModelThrottled, ModelUnavailable, WorkTimeout, ChildDied    retryable

A lost race is no error: it is the value None.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong with a request: where, a stable reason, and the way out."""

    field: str
    reason: str
    description: str


@dataclass(frozen=True, slots=True)
class JobError:
    """Why a job failed or waits: data that is stored with it. `reason` is stable; `message` has no document content."""

    reason: str
    message: str
    retryable: bool = False


class GleanerError(Exception):
    """What a caller did, or may try again."""


class InvalidRequest(GleanerError):
    """The request breaks rules; all of them are listed."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        self.findings = tuple(findings)
        super().__init__("; ".join(f"{f.field}: {f.description}" for f in self.findings))


class JobNotFound(GleanerError):
    """The tenant has no such job."""

    def __init__(self, job_id: str) -> None:
        self.job_id = job_id
        super().__init__(f"there is no job {job_id}")


class DeliveryNotFound(GleanerError):
    """The tenant has no such webhook delivery."""

    def __init__(self, name: str) -> None:
        super().__init__(f"there is no {name}")


class EndpointNotFound(GleanerError):
    """The tenant has no such webhook endpoint."""

    def __init__(self, name: str) -> None:
        super().__init__(f"there is no {name}")


class JobNotCancellable(GleanerError):
    """The job is over, or is being run and the caller did not allow for that."""

    def __init__(self, job_id: str, state: str) -> None:
        self.job_id, self.state = job_id, state
        way_out = "; set allow_running to cancel it all the same" if state in ("RUNNING", "REFINING_BBOXES") else ""
        super().__init__(f"job {job_id} is {state} and cannot be cancelled{way_out}")


class JobNotRetryable(GleanerError):
    """The job succeeded: there is nothing to try again."""

    def __init__(self, job_id: str, state: str) -> None:
        self.job_id, self.state = job_id, state
        super().__init__(f"job {job_id} is {state} and cannot be retried; submit the request as a new job")


class JobNotDeletable(GleanerError):
    """The job is alive."""

    def __init__(self, job_id: str, state: str) -> None:
        self.job_id, self.state = job_id, state
        super().__init__(f"job {job_id} is {state} and cannot be deleted; cancel it first, or wait for its end")


class ResultNotReady(GleanerError):
    """The job has no result yet."""

    def __init__(self, job_id: str, state: str, retry_after: timedelta = timedelta(seconds=1)) -> None:
        self.job_id, self.state, self.retry_after = job_id, state, retry_after
        super().__init__(f"job {job_id} is {state} and has no result yet; wait for it with wait_timeout or WatchJob")


class NoResult(GleanerError):
    """The job ended without a result."""

    def __init__(self, job_id: str, state: str, why: str) -> None:
        self.job_id, self.state, self.why = job_id, state, why
        super().__init__(f"job {job_id} is {state} and will have no result: {why}")


class KeyReused(GleanerError):
    """The request id belongs to another request."""

    def __init__(self, job_id: str) -> None:
        self.job_id = job_id
        super().__init__(f"the request id was used for another request, job {job_id}; take a new one")


class EndpointDiffers(GleanerError):
    """The request id made a webhook endpoint that is not what is asked for, or not any more."""

    def __init__(self, name: str) -> None:
        super().__init__(f"the request id was used for another endpoint, {name}; take a new one")


class TooManyEndpoints(GleanerError):
    """The tenant has 20 webhook endpoints already; one must be deleted first."""

    def __init__(self) -> None:
        super().__init__("there are 20 webhook endpoints already; delete one first")


class GroupNotFound(GleanerError):
    """The tenant has no such consumer group."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(f"there is no group {name}")


class GroupExpired(GleanerError):
    """The consumer group stood still for too long, and what it had not read may be gone."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(f"group {name} stood still for too long and has expired; set restart_expired to start it anew")


class GroupDiffers(GleanerError):
    """The consumer group was made for other event types."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(f"group {name} has other event types; leave them out, take another name, or delete the group")


class GroupLost(GleanerError):
    """Another reader took the consumer group over, or it was deleted; what was not acknowledged comes again."""

    def __init__(self, name: str, retry_after: timedelta = timedelta(seconds=1)) -> None:
        self.name, self.retry_after = name, retry_after
        super().__init__(f"group {name} is another reader's by now, or gone; subscribe again")


class NoRoom(GleanerError):
    """Every slot is taken; another worker, or a moment later, may do."""

    def __init__(self, retry_after: timedelta = timedelta(seconds=1)) -> None:
        self.retry_after = retry_after
        super().__init__("every slot is taken; try again in a moment, or submit a job")


class Unavailable(GleanerError):
    """Something we stand on does not answer; whether the last statement was carried out is unknown."""

    def __init__(self, what: str = "the database", retry_after: timedelta = timedelta(seconds=1)) -> None:
        self.retry_after = retry_after
        super().__init__(f"{what} does not answer; try again")


class PeerUnavailable(Unavailable):
    """Another service of the suite does not answer."""


class Draining(Unavailable):
    """This process is about to end; another one, or its successor, takes the call."""

    def __init__(self) -> None:
        super().__init__("this server, which is about to end,")


class StreamLimit(GleanerError):
    """The stream has lasted as long as one may; another one goes on where it ended."""

    retry_after = timedelta(0)

    def __init__(self) -> None:
        super().__init__("the stream has lasted as long as one may; take it up again")


class DeadlinePassed(GleanerError):
    """The call took longer than its deadline, or than the server allows."""

    def __init__(self, limit: timedelta) -> None:
        self.limit = limit
        super().__init__(f"the call was not done within {limit.total_seconds():g} s")


class WorkError(GleanerError):
    """Why work on a document ended without a result."""

    reason: ClassVar[str] = "WORK_FAILED"
    retryable: ClassVar[bool] = False

    def __init__(self, message: str, *, retry_after: timedelta | None = None) -> None:
        self.retry_after = retry_after
        super().__init__(message)

    def job_error(self) -> JobError:
        """The error as it is stored with the job."""
        return JobError(self.reason, str(self), self.retryable)


class DocumentError(WorkError):
    """The document cannot be worked on, however often one tries."""


class DocumentEmpty(DocumentError):
    """There are no bytes, or no pages."""

    reason = "DOCUMENT_EMPTY"


class DocumentGone(DocumentError):
    """Its bytes are not stored any more."""

    reason = "DOCUMENT_GONE"


class DocumentUnsupported(DocumentError):
    """The bytes are of no kind that is read."""

    reason = "DOCUMENT_UNSUPPORTED"


class DocumentMismatch(DocumentError):
    """The media type that was declared is not what the bytes are."""

    reason = "DOCUMENT_MISMATCH"


class DocumentDamaged(DocumentError):
    """The bytes begin like a document and cannot be read as one."""

    reason = "DOCUMENT_DAMAGED"


class DocumentEncrypted(DocumentError):
    """The document wants a password."""

    reason = "DOCUMENT_ENCRYPTED"


class DocumentTooLarge(DocumentError):
    """More bytes or pixels than the limit."""

    reason = "DOCUMENT_TOO_LARGE"


class TooManyPages(DocumentError):
    """More pages than the limit."""

    reason = "TOO_MANY_PAGES"


class ModelRefused(WorkError):
    """The model's provider refuses the content."""

    reason = "MODEL_REFUSED"


class ModelRejected(WorkError):
    """The model's provider does not accept the key or the request."""

    reason = "MODEL_REJECTED"


class ModelUnknown(WorkError):
    """No such extractor or model is set up."""

    reason = "MODEL_UNKNOWN"


class ResultTooLarge(WorkError):
    """What was found is more than an answer has room for."""

    reason = "RESULT_TOO_LARGE"


class ModelThrottled(WorkError):
    """The model's provider asks for patience."""

    reason = "MODEL_THROTTLED"
    retryable = True


class ModelUnavailable(WorkError):
    """The model's provider does not answer, or answers nonsense."""

    reason = "MODEL_UNAVAILABLE"
    retryable = True


class WorkTimeout(WorkError):
    """The work took longer than it may."""

    reason = "WORK_TIMEOUT"
    retryable = True


class ChildDied(WorkError):
    """The child process that did the work died over it, or was ended for using too much memory or time."""

    reason = "CHILD_DIED"
    retryable = True
