"""Messages that tests of the client are made of."""

from gleaner.v1 import jobs_pb2, results_pb2, schemas_pb2, webhooks_pb2
from gleaner.v1.documents_pb2 import Box, Page

JOB = "jobs/01890a5d-ac96-774b-bcce-b302099a8057"
DELIVERY = "deliveries/01890a5d-ac96-774b-bcce-b302099a8059~callback"
ENDPOINT = "endpoints/01890a5d-ac96-774b-bcce-b302099a8058"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def a_schema() -> schemas_pb2.Schema:
    field = schemas_pb2.Field(name="number", type=schemas_pb2.FIELD_TYPE_STRING)
    group = schemas_pb2.FieldGroup(name="head", fields=[field])
    return schemas_pb2.Schema(document_types=[schemas_pb2.DocumentType(name="invoice", field_groups=[group])])


def a_job(state: str = "QUEUED", *, seq: int = 1, refinement: str = "", reason: str = "") -> jobs_pb2.Job:
    job = jobs_pb2.Job(
        name=JOB,
        state=jobs_pb2.JobState.Value(f"JOB_STATE_{state}"),
        refinement=jobs_pb2.RefinementState.Value(f"REFINEMENT_STATE_{refinement or 'UNSPECIFIED'}"),
        seq=seq,
        documents=["invoice.png"],
    )
    if reason:
        job.error.CopyFrom(jobs_pb2.JobError(reason=reason, message="the document wants a password"))
    return job


def as_it_is(job: jobs_pb2.Job) -> jobs_pb2.WatchJobResponse:
    return jobs_pb2.WatchJobResponse(job=job)


def a_move(kind: str, job: jobs_pb2.Job, *, final: bool = False) -> jobs_pb2.WatchJobResponse:
    return jobs_pb2.WatchJobResponse(job=job, event=jobs_pb2.JobEvent(type=kind, seq=job.seq, final=final))


def a_field(path: str, *, text: str = "", box: Box | None = None, confidence: float = 0.9) -> results_pb2.FieldResult:
    field = results_pb2.FieldResult(path=path, raw_text=text, confidence=confidence)
    if text:
        field.value.text = text
    if box:
        field.provenance.state = results_pb2.GROUNDING_STATE_GROUNDED
        field.provenance.boxes.append(box)
    return field


def a_result(name: str = "invoice.png") -> results_pb2.ExtractionResult:
    box = Box(page=1, x0=0.2, y0=0.2, x1=0.4, y1=0.25)
    document = results_pb2.DocumentResult(
        document=name,
        document_type="invoice",
        pages=[Page(number=1, width=600, height=800)],
        fields=[a_field("head.number", text="R-17", box=box), a_field("head.date")],
    )
    return results_pb2.ExtractionResult(documents=[document], extractor="embedded")


def an_answer(state: str = "SUCCEEDED", *, seq: int = 5, refinement: str = "") -> jobs_pb2.GetJobResultResponse:
    return jobs_pb2.GetJobResultResponse(job=a_job(state, seq=seq, refinement=refinement), result=a_result())


def a_delivery(
    state: "webhooks_pb2.DeliveryState.ValueType" = webhooks_pb2.DELIVERY_STATE_DEAD,
) -> webhooks_pb2.Delivery:
    return webhooks_pb2.Delivery(
        name=DELIVERY,
        job=JOB,
        type="job.failed",
        url="https://example.org/hook",
        state=state,
        attempt=5,
        last_error="TIMED_OUT",
    )


def an_endpoint(*, disabled: bool = False) -> webhooks_pb2.Endpoint:
    return webhooks_pb2.Endpoint(
        name=ENDPOINT,
        url="https://example.org/hook",
        event_types=["job.failed", "job.succeeded"],
        description="billing",
        disabled=disabled,
        secret_count=1,
    )
