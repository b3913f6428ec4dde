"""The body of a webhook, and the headers that tell whose it is.

Made of what the database has of the move and of nothing else, so that every try sends the same bytes.
"""

import json
from datetime import datetime
from typing import Any

from google.protobuf.json_format import MessageToDict
from google.protobuf.timestamp_pb2 import Timestamp

from gleaner.internal.v1 import stored_pb2
from gleaner.v1 import jobs_pb2, results_pb2, webhooks_pb2
from gleaner_core.errors import JobError
from gleaner_repo import Content
from gleaner_repo.moves import FINAL_EVENTS

_LEAVES_A_RESULT = (FINAL_EVENTS | {"job.partial_succeeded"}) - {"job.failed", "job.cancelled"}
_PRIVATE = "_"


def body_of(content: Content, largest_result: int) -> bytes:
    """The payload as JSON. A result of more than `largest_result` bytes is left out and said to be."""
    payload = webhooks_pb2.WebhookPayload(type=content.event.type, timestamp=_time(content.event.at))
    payload.data.job.CopyFrom(_job(content))
    tree = _tree(payload)
    if content.event.type in _LEAVES_A_RESULT and content.result_size:
        if (result := _result(content, largest_result)) is None:
            omission = webhooks_pb2.RESULT_OMISSION_TOO_LARGE
            tree["data"]["result_omission"] = webhooks_pb2.ResultOmission.Name(omission)
        else:
            tree["data"]["result"] = result
    return _json(tree)


def correlation_of(content: Content) -> str:
    """The caller's own id for the job."""
    return stored_pb2.JobAbout.FromString(content.about).correlation_id


def _result(content: Content, largest: int) -> dict[str, Any] | None:
    if content.result is None:
        return None
    tree = _tree(results_pb2.ExtractionResult.FromString(content.result))
    return tree if len(_json(tree)) <= largest else None


def _job(content: Content) -> jobs_pb2.Job:
    """The job as the move left it: what later moves changed is not in the event."""
    event, about = content.event, stored_pb2.JobAbout.FromString(content.about)
    return jobs_pb2.Job(
        name=f"jobs/{event.job_id}",
        state=jobs_pb2.JobState.Value(f"JOB_STATE_{event.state}"),
        refinement=jobs_pb2.RefinementState.Value(f"REFINEMENT_STATE_{event.refinement or 'UNSPECIFIED'}"),
        seq=event.seq,
        series=event.series,
        attempt=event.attempt,
        lapses=content.lapses or 0,
        create_time=_time(content.created_at),
        start_time=_time(content.started_at),
        end_time=_time(event.at) if event.final else None,
        error=_error(event.error),
        cancel_reason=event.reason or "",
        request_id=content.request_key or "",
        correlation_id=about.correlation_id,
        metadata={key: value for key, value in about.metadata.items() if not key.startswith(_PRIVATE)},
        documents=about.documents,
    )


def _error(error: JobError | None) -> jobs_pb2.JobError | None:
    if error is None:
        return None
    return jobs_pb2.JobError(reason=error.reason, message=error.message, retryable=error.retryable)


def _time(moment: datetime | None) -> Timestamp | None:
    if moment is None:
        return None
    time = Timestamp()
    time.FromDatetime(moment)
    return time


def _tree(message: Any) -> dict[str, Any]:
    return MessageToDict(message, preserving_proto_field_name=True)


def _json(tree: dict[str, Any]) -> bytes:
    # Sorted, for protobuf's maps have no order that lasts.
    return json.dumps(tree, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
