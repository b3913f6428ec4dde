import asyncio
from collections.abc import Awaitable

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration

from gleaner.v1 import extraction_pb2, schemas_pb2
from gleaner.v1 import jobs_pb2 as pb
from support import pdf_bytes
from support.api import Api
from support.grpc_errors import fields, reason, refused
from support.requests import PDF, a_field, a_request, a_schema, a_submit

Code = grpc.StatusCode
FIELD = "request.schema.document_types[0].field_groups[0].fields"

SCHEMA_ALONE = extraction_pb2.ExtractionRequest(schema=a_schema())
OF_NO_TYPE = schemas_pb2.Field.FromString(a_field().SerializeToString() + b"\x18\x63")  # type = 99

BAD: list[tuple[str, pb.SubmitJobRequest, dict[str, str]]] = [
    ("nothing", pb.SubmitJobRequest(), {"request": "REQUIRED", "request.documents": "REQUIRED"}),
    (
        "no documents",
        pb.SubmitJobRequest(request=extraction_pb2.ExtractionRequest(schema=a_schema())),
        {"request.documents": "REQUIRED"},
    ),
    ("empty document", a_submit(content=b""), {"request.documents[0].content": "BYTES_MIN_LEN"}),
    ("unsupported", a_submit(content=b"plain text"), {"request.documents[0].content": "DOCUMENT_UNSUPPORTED"}),
    ("damaged", a_submit(content=b"%PDF-1.7 and no more"), {"request.documents[0].content": "DOCUMENT_DAMAGED"}),
    (
        "encrypted",
        a_submit(content=pdf_bytes.an_encrypted_pdf()),
        {"request.documents[0].content": "DOCUMENT_ENCRYPTED"},
    ),
    ("no field's name", a_submit(a_field(name="")), {f"{FIELD}[0].name": "STRING_PATTERN"}),
    ("two fields of a name", a_submit(a_field(), a_field()), {f"{FIELD}[1].name": "DUPLICATE_NAME"}),
    ("unknown type", a_submit(OF_NO_TYPE), {f"{FIELD}[0].type": "ENUM_DEFINED_ONLY"}),
    ("no type", a_submit(a_field(type=schemas_pb2.FIELD_TYPE_UNSPECIFIED)), {f"{FIELD}[0].type": "ENUM_NOT_IN"}),
    ("NUL", a_submit(a_field(description="a\0b")), {f"{FIELD}[0].description": "NUL"}),
    ("overlong key", a_submit(request_id="x" * 256), {"request_id": "STRING_MAX_LEN"}),
    ("key with a space", a_submit(request_id="a b"), {"request_id": "STRING_PATTERN"}),
    ("private callback", a_submit(callback_url="http://127.0.0.1/hook"), {"callback_url": "BAD_URL"}),
    ("callback that is no URL", a_submit(callback_url="gopher://x.org"), {"callback_url": "BAD_URL"}),
    (
        "unknown extractor",
        a_submit(options=extraction_pb2.ExtractionOptions(extractor="oracle")),
        {"request.options.extractor": "UNKNOWN_EXTRACTOR"},
    ),
    (
        "two things at once",
        a_submit(a_field(), a_field(), content=b"plain text", request_id="a b", callback_url="ftp://x"),
        {
            f"{FIELD}[1].name": "DUPLICATE_NAME",
            "request.documents[0].content": "DOCUMENT_UNSUPPORTED",
            "request_id": "STRING_PATTERN",
            "callback_url": "BAD_URL",
        },
    ),
]


@pytest.mark.parametrize(("request_", "findings"), [row[1:] for row in BAD], ids=[row[0] for row in BAD])
async def test_a_bad_submit_is_told_all_that_is_wrong_and_stores_nothing(
    api: Api, request_: pb.SubmitJobRequest, findings: dict[str, str]
) -> None:
    answer = await refused(api.stub.SubmitJob(request_))

    assert (answer.code(), reason(answer)) == (Code.INVALID_ARGUMENT, "INVALID_REQUEST")
    assert fields(answer) == findings
    assert not (await api.stub.ListJobs(pb.ListJobsRequest())).jobs


async def test_validate_says_the_same_without_running_anything(api: Api) -> None:
    good = await api.extraction.ValidateRequest(extraction_pb2.ValidateRequestRequest(request=a_request()))
    schema_alone = await api.extraction.ValidateRequest(
        extraction_pb2.ValidateRequestRequest(request=extraction_pb2.ExtractionRequest(schema=a_schema()))
    )
    bad = await api.extraction.ValidateRequest(
        extraction_pb2.ValidateRequestRequest(request=a_request(a_field(name="\0"), a_field(), content=b"x"))
    )

    assert good.valid
    assert schema_alone.valid
    assert not bad.valid
    assert {(finding.field, finding.reason) for finding in bad.findings} == {
        (f"{FIELD}[0].name", "STRING_PATTERN"),
        (f"{FIELD}[0].name", "NUL"),
        ("request.documents[0].content", "DOCUMENT_UNSUPPORTED"),
    }


async def test_validate_lists_more_findings_than_fit_into_an_error(api: Api) -> None:
    many = [a_field(name="same") for _ in range(150)]
    told = await api.extraction.ValidateRequest(extraction_pb2.ValidateRequestRequest(request=a_request(*many)))
    answer = await refused(api.stub.SubmitJob(a_submit(*many)))

    assert len(told.findings) == 149
    assert fields(answer)[""] == "MORE"


async def test_a_synchronous_call_is_checked_too(api: Api) -> None:
    untyped = a_request(a_field(type=schemas_pb2.FIELD_TYPE_UNSPECIFIED))
    answer = await refused(api.extraction.Extract(extraction_pb2.ExtractRequest(request=untyped)))

    assert fields(answer) == {f"{FIELD}[0].type": "ENUM_NOT_IN"}


async def test_without_workers_a_synchronous_call_is_unavailable(api: Api) -> None:
    answer = await refused(api.extraction.Extract(extraction_pb2.ExtractRequest(request=a_request())))

    assert (answer.code(), reason(answer)) == (Code.UNAVAILABLE, "SERVICE_UNAVAILABLE")


@pytest.mark.parametrize("name", ["", "jobs/1", "jobs/01890000-0000-7000-8000-00000000000Z", "tenants/x/jobs/1", "\0"])
async def test_a_malformed_name_is_an_invalid_argument_everywhere(api: Api, name: str) -> None:
    calls: list[Awaitable[object]] = [
        api.stub.GetJob(pb.GetJobRequest(name=name)),
        api.stub.CancelJob(pb.CancelJobRequest(name=name)),
        api.stub.GetJobResult(pb.GetJobResultRequest(name=name)),
        api.stub.WatchJob(pb.WatchJobRequest(name=name)).read(),
    ]

    for call in calls:
        answer = await refused(call)
        assert answer.code() is Code.INVALID_ARGUMENT
        assert "name" in fields(answer)


async def test_a_document_beyond_32_mib_and_a_message_beyond_40_are_told_apart(api: Api) -> None:
    document = await refused(api.stub.SubmitJob(a_submit(content=PDF + b"\n" * (33 * 2**20))))
    message = await refused(api.stub.SubmitJob(a_submit(content=PDF + b"\n" * (41 * 2**20))))

    assert document.code() is Code.INVALID_ARGUMENT
    assert set(fields(document)) == {"request.documents[0].content"}
    assert message.code() is Code.RESOURCE_EXHAUSTED


async def test_a_deadline_ends_a_wait_in_the_server_and_a_hang_up_does_too(api: Api) -> None:
    job = await api.submitted()
    wait = pb.GetJobResultRequest(name=job.name, wait_timeout=Duration(seconds=60))
    late = await refused(api.stub.GetJobResult(wait, timeout=0.2))
    call = api.stub.GetJobResult(wait)
    asyncio.get_running_loop().call_later(0.1, call.cancel)
    with pytest.raises(asyncio.CancelledError):
        await call

    assert late.code() is Code.DEADLINE_EXCEEDED
    await api.stub.CancelJob(pb.CancelJobRequest(name=job.name))
    with pytest.raises(grpc.aio.AioRpcError, match="CANCELLED"):
        await api.stub.GetJobResult(wait)


@pytest.mark.parametrize("page_size", [-1, 1001])
async def test_a_page_has_at_most_a_thousand(api: Api, page_size: int) -> None:
    answer = await refused(api.stub.ListJobs(pb.ListJobsRequest(page_size=page_size)))

    assert set(fields(answer)) == {"page_size"}
