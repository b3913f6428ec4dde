import asyncio
from collections.abc import Awaitable, Callable

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2

from gleaner.v1 import jobs_pb2 as pb
from support.api import Api
from support.grpc_errors import fields, refused
from support.pdf_bytes import a_pdf, text
from support.requests import PDF, a_field, a_submit

Code = grpc.StatusCode
Submit = Callable[..., Awaitable[list[pb.BatchSubmitJobsResult]]]


@pytest.fixture
def batch(api: Api) -> Submit:
    async def submit(*requests: pb.SubmitJobRequest) -> list[pb.BatchSubmitJobsResult]:
        answer = await api.stub.BatchSubmitJobs(pb.BatchSubmitJobsRequest(requests=requests))
        return list(answer.results)

    return submit


def violations(error: status_pb2.Status) -> dict[str, str]:
    """What was wrong with a request of the batch: reason by field."""
    for packed in error.details:
        bad = error_details_pb2.BadRequest()
        if packed.Unpack(bad):
            return {violation.field: violation.reason for violation in bad.field_violations}
    return {}


async def test_a_thousand_jobs_are_stored_in_their_order(api: Api, batch: Submit) -> None:
    results = await batch(*(a_submit(request_id=f"thousand-{n}", correlation_id=str(n)) for n in range(1000)))

    assert [result.job.correlation_id for result in results] == [str(n) for n in range(1000)]
    assert len({result.job.name for result in results}) == 1000
    assert (await api.stub.GetJob(pb.GetJobRequest(name=results[999].job.name))).job == results[999].job


async def test_what_is_wrong_with_one_hinders_no_other(batch: Submit) -> None:
    bad_schema = a_submit(a_field("same"), a_field("same"))
    good, wrong, broken, last = await batch(
        a_submit(), bad_schema, a_submit(content=b"%PDF-1.4 nothing else"), a_submit(content=a_pdf(text(1, 1, "other")))
    )

    assert [one.WhichOneof("outcome") for one in (good, wrong, broken, last)] == ["job", "error", "error", "job"]
    for refusal in (wrong.error, broken.error):
        assert refusal.code == Code.INVALID_ARGUMENT.value[0]
    assert "DUPLICATE_NAME" in violations(wrong.error).values()
    assert set(violations(broken.error)) == {"request.documents[0].content"}


async def test_the_same_batch_again_makes_no_other_jobs(batch: Submit) -> None:
    requests = [a_submit(request_id=f"again-{n}") for n in range(10)]
    first, second = await asyncio.gather(batch(*requests), batch(*requests))
    third = await batch(*requests)

    assert [one.job.name for one in first] == [one.job.name for one in second] == [one.job.name for one in third]


async def test_a_request_id_twice_in_a_batch_is_one_job_and_for_another_request_refused(batch: Submit) -> None:
    results = await batch(
        a_submit(request_id="twice"), a_submit(request_id="twice"), a_submit(request_id="twice", metadata={"k": "v"})
    )
    made = {result.job.name for result in results if result.HasField("job")}
    refusals = [result.error.code for result in results if result.HasField("error")]

    assert len(made) == 1
    assert refusals in ([Code.ALREADY_EXISTS.value[0]], [Code.ALREADY_EXISTS.value[0]] * 2)  # whoever came first


async def test_none_and_too_many_are_refused_as_a_call(api: Api) -> None:
    none = await refused(api.stub.BatchSubmitJobs(pb.BatchSubmitJobsRequest()))
    many = pb.BatchSubmitJobsRequest(requests=[pb.SubmitJobRequest()] * 1001)
    too_many = await refused(api.stub.BatchSubmitJobs(many))

    assert fields(none) == {"requests": "REPEATED_MIN_ITEMS"}
    assert fields(too_many) == {"requests": "REPEATED_MAX_ITEMS"}


async def test_a_document_that_many_bring_is_stored_once(api: Api, batch: Submit) -> None:
    content = PDF + b"% a document of its own\n"
    results = await batch(*(a_submit(content=content) for _ in range(50)))
    rows = await api.jobs._database.fetch(
        """SELECT count(DISTINCT documents.digest) AS documents, count(*) AS links
        FROM documents JOIN job_documents USING (tenant_id, digest) WHERE documents.size = $1""",
        len(content),
    )

    assert all(result.HasField("job") for result in results)
    assert (rows[0]["documents"], rows[0]["links"]) == (1, 50)


async def test_a_document_that_was_removed_is_stored_again(api: Api, batch: Submit) -> None:
    """The api remembers what it has stored: here that has gone in the meantime, as after a restore of the database."""
    content = PDF + b"% a document that goes\n"
    [first] = await batch(a_submit(content=content))
    await api.stub.CancelJob(pb.CancelJobRequest(name=first.job.name, allow_running=True))
    await api.stub.DeleteJob(pb.DeleteJobRequest(name=first.job.name))
    await api.jobs._database.execute("DELETE FROM documents WHERE size = $1", len(content))

    results = await batch(a_submit(), a_submit(content=content), a_submit(content=content))

    assert all(result.HasField("job") for result in results), results
