"""Jobs and events of the repository as messages of the API."""

from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

from google.protobuf.timestamp_pb2 import Timestamp

from gleaner.internal.v1 import stored_pb2
from gleaner.v1 import jobs_pb2 as pb
from gleaner.v1 import webhooks_pb2
from gleaner_api import names
from gleaner_core.errors import JobError
from gleaner_core.states import Refinement, State
from gleaner_repo import Delivery, DeliveryState, Endpoint, Event, Job

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def job(found: Job) -> pb.Job:
    """The job as callers see it."""
    about = stored_pb2.JobAbout.FromString(found.about)
    return pb.Job(
        name=names.of_job(found.id),
        state=pb.JobState.Value(f"JOB_STATE_{found.state}"),
        refinement=pb.RefinementState.Value(f"REFINEMENT_STATE_{found.refinement or 'UNSPECIFIED'}"),
        seq=found.seq,
        series=found.series,
        attempt=found.attempt,
        lapses=found.lapses,
        create_time=_time(found.created_at),
        start_time=_time(found.started_at),
        end_time=_time(found.ended_at),
        available_time=_time(found.available_at) if found.error else None,
        error=_error(found.error),
        cancel_reason=found.reason or "",
        request_id=found.request_key or "",
        correlation_id=about.correlation_id,
        metadata=about.metadata,
        callback_url=found.callback_url or "",
        documents=about.documents,
    )


def submitted(told: pb.Job, asked: pb.SubmitJobRequest, job_id: UUID, created_at: datetime) -> None:
    """Tells of the job as it was stored: what a read right after it would. Field by field, for a message in another is
    copied."""
    told.name = names.of_job(job_id)
    told.state = pb.JOB_STATE_QUEUED
    told.seq = told.series = 1
    _set(told.create_time, created_at)
    told.request_id = asked.request_id
    told.correlation_id = asked.correlation_id
    told.callback_url = asked.callback_url
    told.documents.extend([document.name for document in asked.request.documents])
    if asked.metadata:  # an empty one costs as much as all the rest
        told.metadata.update(asked.metadata)


def event(made: Event) -> pb.JobEvent:
    """The move as callers see it."""
    return pb.JobEvent(
        id=str(made.event_id), type=made.type, seq=made.seq, series=made.series, final=made.final, time=_time(made.at)
    )


def endpoint(found: Endpoint) -> webhooks_pb2.Endpoint:
    """The endpoint as callers see it."""
    return webhooks_pb2.Endpoint(
        name=names.of_endpoint(found.id),
        url=found.url,
        event_types=sorted(found.event_types),
        description=found.description,
        disabled=found.disabled_at is not None,
        disable_time=_time(found.disabled_at),
        create_time=_time(found.created_at),
        secret_count=found.secret_count,
    )


def delivery(found: Delivery) -> webhooks_pb2.Delivery:
    """The delivery as callers see it."""
    return webhooks_pb2.Delivery(
        name=names.of_delivery(found.event_id, found.endpoint_id),
        job=names.of_job(found.job_id),
        seq=found.seq,
        type=found.type,
        url=found.url,
        state=webhooks_pb2.DeliveryState.Value(f"DELIVERY_STATE_{found.state}"),
        attempt=found.attempt,
        create_time=_time(found.created_at),
        available_time=_time(found.available_at) if found.state is DeliveryState.PENDING else None,
        end_time=_time(found.ended_at),
        last_status=found.last_status or 0,
        last_error=found.last_error or "",
    )


def after(found: Job, made: Event) -> Job:
    """The job as the move left it. What the event does not tell stays: the lapses, and when it may be taken again."""
    if made.state is None:
        return replace(found, seq=made.seq)
    started = made.state is State.RUNNING or made.refinement is Refinement.RUNNING
    return replace(
        found,
        state=made.state,
        refinement=made.refinement,
        leg=made.leg,
        series=made.series,
        seq=made.seq,
        attempt=made.attempt,
        started_at=made.at if started else found.started_at,
        ended_at=made.at if made.final else None,
        available_at=None if made.final else found.available_at or made.at,
        error=made.error,
        reason=made.reason,
    )


def _time(moment: datetime | None) -> Timestamp | None:
    if moment is None:
        return None
    time = Timestamp()
    _set(time, moment)
    return time


def _set(time: Timestamp, moment: datetime) -> None:
    since = moment - _EPOCH
    time.seconds, time.nanos = since.days * 86_400 + since.seconds, since.microseconds * 1_000


def _error(error: JobError | None) -> pb.JobError | None:
    if error is None:
        return None
    return pb.JobError(reason=error.reason, message=error.message, retryable=error.retryable)
