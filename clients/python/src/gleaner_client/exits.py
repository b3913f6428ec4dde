"""What the command's exit status says."""

from enum import IntEnum

from gleaner.v1 import jobs_pb2 as pb
from gleaner_client import errors


class Exit(IntEnum):
    """The statuses; docs/cli.md and `gleaner --help` list them."""

    OK = 0
    FAILED = 1
    USAGE = 2
    NOT_FOUND = 3
    CANCELLED = 4
    UNREACHABLE = 5
    INVALID = 6
    NOT_NOW = 7
    TIMED_OUT = 124


_BY_ERROR: tuple[tuple[type[errors.GleanerError], Exit], ...] = (
    (errors.NotFound, Exit.NOT_FOUND),
    (errors.Unavailable, Exit.UNREACHABLE),
    (errors.InvalidRequest, Exit.INVALID),
    (errors.DocumentRejected, Exit.INVALID),
    (errors.KeyReused, Exit.INVALID),
    (errors.NotReady, Exit.NOT_NOW),
    (errors.NotCancellable, Exit.NOT_NOW),
    (errors.NotRetryable, Exit.NOT_NOW),
    (errors.NotDeletable, Exit.NOT_NOW),
    (errors.NoRoom, Exit.NOT_NOW),
    (errors.TimedOut, Exit.TIMED_OUT),
)


def of_error(error: errors.GleanerError) -> Exit:
    """The status for a call that failed."""
    if error.reason == "JOB_CANCELLED":
        return Exit.CANCELLED
    return next((status for kind, status in _BY_ERROR if isinstance(error, kind)), Exit.FAILED)


def of_job(job: pb.Job) -> Exit:
    """The status for a job; one whose values are there is OK, also when the search for their boxes was given up."""
    return {pb.JOB_STATE_FAILED: Exit.FAILED, pb.JOB_STATE_CANCELLED: Exit.CANCELLED}.get(job.state, Exit.OK)
