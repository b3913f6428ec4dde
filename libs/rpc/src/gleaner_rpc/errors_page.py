"""docs/errors.md, printed from the table: python -m gleaner_rpc.errors_page > docs/errors.md."""

import sys
from collections.abc import Iterator

from gleaner_core.errors import WorkError
from gleaner_rpc.status import DOMAIN, TABLE

# Reasons of a job's `error` that no exception carries: the moves write them.
WRITTEN_BY_MOVES = {
    "WORKER_CRASHED": "Workers died over the job until its lapses were used up, or the processes that ran it were lost."
}


def work_errors(root: type[WorkError] = WorkError) -> Iterator[type[WorkError]]:
    """Every class of error that ends or delays a job, depth first."""
    for kind in root.__subclasses__():
        yield from work_errors(kind)
        if "reason" in vars(kind):
            yield kind


def _first_line(kind: type) -> str:
    return (kind.__doc__ or "").strip().splitlines()[0]


def _call_rows() -> Iterator[str]:
    for kind, row in TABLE.items():
        if not issubclass(kind, WorkError):
            reasons = " or ".join(f"`{row.reason.format(state=state)}`" for state in row.states or ("",))
            again = "yes, after RetryInfo" if row.retry else ""
            yield f"| {row.code.name} | {reasons} | {_first_line(kind)} | {again} |"


def _job_rows() -> Iterator[str]:
    for kind in work_errors():
        row = next(TABLE[base] for base in kind.__mro__ if base in TABLE)
        yield f"| `{kind.reason}` | {_first_line(kind)} | {'yes' if kind.retryable else ''} | {row.code.name} |"
    for reason, meaning in WRITTEN_BY_MOVES.items():
        yield f"| `{reason}` | {meaning} | | |"


def as_markdown() -> str:
    """docs/errors.md."""
    return f"""# Errors

<!-- Printed from the table in libs/rpc: python -m gleaner_rpc.errors_page > docs/errors.md -->

## Of a call

Every error is a `google.rpc.Status` with an `ErrorInfo` (domain `{DOMAIN}`) whose `reason` is stable; texts are not.
`INVALID_ARGUMENT` carries a `BadRequest` with every finding at once, errors about a job carry a `ResourceInfo` with its
name, `FAILED_PRECONDITION` carries a `PreconditionFailure`.

| status | reason | meaning | again? |
|---|---|---|---|
{chr(10).join(_call_rows())}
| RESOURCE_EXHAUSTED | (none: gRPC's own) | A message is larger than `GLEANER_MAX_MESSAGE_BYTES`. | |
| DEADLINE_EXCEEDED | (none: gRPC's own) | The caller's deadline passed before the server could answer. | |
| INTERNAL | `INTERNAL` | A bug: the log has it under the `RequestInfo.request_id` of the answer. | |

Findings have reasons of their own (`DUPLICATE_NAME`, `STRING_PATTERN`, …): those of the rules in the protos are the
rules' ids in upper case.

## Of a job

Why a job failed or waits for another attempt is data: `Job.error`. Retryable ones are tried again until the attempts
are used up. A synchronous `Extract` answers the same reasons with the status given here.

| reason | meaning | retryable | status of Extract |
|---|---|---|---|
{chr(10).join(_job_rows())}
"""


if __name__ == "__main__":
    sys.stdout.write(as_markdown())
