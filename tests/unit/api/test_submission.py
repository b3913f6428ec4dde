import pytest

from gleaner.internal.v1 import stored_pb2
from gleaner_api.patience import patiently
from gleaner_api.submission import new_job
from gleaner_core.errors import Unavailable
from support.requests import a_field, a_submit

DIGEST = b"d" * 32


def fingerprint(digest: bytes = DIGEST, **rest: object) -> bytes:
    return new_job("default", a_submit(**rest), [digest]).fingerprint  # type: ignore[arg-type]


def test_the_same_request_has_the_same_fingerprint_whatever_its_id() -> None:
    metadata = {f"k{i}": "v" for i in range(20)}
    backwards = dict(reversed(metadata.items()))

    assert fingerprint(metadata=metadata) == fingerprint(metadata=backwards, request_id="another")


def test_whatever_differs_makes_another_fingerprint() -> None:
    variants = [
        fingerprint(),
        fingerprint(b"e" * 32),
        fingerprint(metadata={"a": "b"}),
        fingerprint(correlation_id="c"),
        fingerprint(callback_url="https://example.com"),
        new_job("default", a_submit(a_field("other")), [DIGEST]).fingerprint,
    ]

    assert len(set(variants)) == len(variants)


def test_bytes_are_stored_by_digest_and_linked_once() -> None:
    request = a_submit()
    request.request.documents.add(name="copy.pdf", content=request.request.documents[0].content)
    job = new_job("default", request, [DIGEST, DIGEST])
    stored = stored_pb2.StoredRequest.FromString(job.request)

    assert [(d.name, d.sha256) for d in stored.documents] == [("invoice.pdf", DIGEST), ("copy.pdf", DIGEST)]
    assert job.digests == (DIGEST,)
    assert len(job.request) < 200


def test_an_empty_request_id_is_none() -> None:
    assert new_job("default", a_submit(), [DIGEST]).request_key is None
    assert new_job("default", a_submit(request_id="r"), [DIGEST]).request_key == "r"


async def test_a_silent_database_is_asked_a_few_times_and_no_more() -> None:
    asked = 0

    async def silent() -> None:
        nonlocal asked
        asked += 1
        raise Unavailable

    with pytest.raises(Unavailable):
        await patiently(silent)
    assert asked == 4


async def test_the_answer_of_a_database_that_came_back_is_the_answer() -> None:
    answers = iter([Unavailable(), Unavailable()])

    async def asked() -> str:
        for error in answers:
            raise error
        return "there"

    assert await patiently(asked) == "there"
