import asyncio

import pytest

from gleaner.v1 import documents_pb2
from gleaner_api.documents import digest_of
from gleaner_api.validation import DocumentCheck, RequestCheck
from gleaner_core.errors import ChildDied, DocumentEncrypted, GleanerError, WorkTimeout
from support.requests import a_field, a_request, a_submit


class Checker:
    """Says of every document what it is told to, and counts."""

    def __init__(self, verdict: int | GleanerError) -> None:
        self.verdict = verdict
        self.asked = 0

    async def check(self, content: bytes, media_type: str = "") -> int:
        self.asked += 1
        if isinstance(self.verdict, GleanerError):
            raise self.verdict
        return self.verdict


def check_of(checker: Checker, *, signs_webhooks: bool = True) -> RequestCheck:
    return RequestCheck(
        DocumentCheck(checker),
        extractors=("embedded", "m"),
        max_pages=10,
        allow_private=False,
        signs_webhooks=signs_webhooks,
    )


DOCUMENT = documents_pb2.InputDocument(name="a", content=b"bytes")
DIGEST = b"d" * 32


@pytest.mark.parametrize("verdict", [3, DocumentEncrypted("wants a password")], ids=["good", "bad"])
async def test_the_same_bytes_are_looked_at_once(verdict: int | GleanerError) -> None:
    checker = Checker(verdict)
    documents = DocumentCheck(checker)
    for _ in range(3):
        try:
            assert await documents.pages(DOCUMENT, DIGEST) == verdict
        except DocumentEncrypted as error:
            assert str(error) == str(verdict)

    assert checker.asked == 1


@pytest.mark.parametrize("error", [ChildDied("x"), WorkTimeout("x")], ids=["died", "too slow"])
async def test_a_document_that_is_too_much_for_a_look_is_let_in(error: GleanerError) -> None:
    checker = Checker(error)
    check = check_of(checker)

    assert await check.of_submit(a_submit(), [DIGEST]) == []
    assert await check.of_submit(a_submit(), [DIGEST]) == []
    assert checker.asked == 1


async def test_pages_are_counted_over_all_documents() -> None:
    request = a_request()
    request.documents.add(name="other", content=b"other")
    [finding] = await check_of(Checker(6)).of_request(request)

    assert (finding.field, finding.reason) == ("request.documents", "TOO_MANY_PAGES")


async def test_names_types_and_extractors_are_ones_that_there_are() -> None:
    request = a_request()
    request.documents.add(name="invoice.pdf", content=b"other", document_type="receipt")
    request.options.extractor = "oracle"
    found = await check_of(Checker(1)).of_request(request)

    assert {(finding.field, finding.reason) for finding in found} == {
        ("request.documents[1].name", "DUPLICATE_NAME"),
        ("request.documents[1].document_type", "UNKNOWN_DOCUMENT_TYPE"),
        ("request.options.extractor", "UNKNOWN_EXTRACTOR"),
    }


async def test_a_synchronous_calls_documents_are_not_looked_at_twice() -> None:
    from gleaner.v1 import extraction_pb2

    checker = Checker(1)

    assert check_of(checker).of_call(extraction_pb2.ExtractRequest(request=a_request())) == []
    assert checker.asked == 0


async def test_a_digest_is_the_same_whichever_way_it_is_made() -> None:
    small, large = b"x" * 10, b"x" * 10**6

    assert [len(await digest_of(content)) for content in (small, large)] == [32, 32]


async def test_a_callback_that_nobody_could_sign_is_refused() -> None:
    asked = a_submit(callback_url="https://example.org/hook")

    assert await check_of(Checker(1)).of_submit(asked, [DIGEST]) == []
    [finding] = await check_of(Checker(1), signs_webhooks=False).of_submit(asked, [DIGEST])
    assert (finding.field, finding.reason) == ("callback_url", "WEBHOOKS_NOT_SIGNED")
    assert await check_of(Checker(1), signs_webhooks=False).of_submit(a_submit(), [DIGEST]) == []


async def test_many_who_bring_the_same_bytes_at_once_wait_for_one_look() -> None:
    checker = Checker(3)
    documents = DocumentCheck(checker)
    looks = [asyncio.create_task(documents.pages(DOCUMENT, DIGEST)) for _ in range(20)]

    assert await asyncio.gather(*looks) == [3] * 20
    assert checker.asked == 1


async def test_a_schema_is_found_good_once_and_bad_each_time() -> None:
    check = check_of(Checker(1))
    good, bad = a_submit(), a_submit(a_field("same"), a_field("same"))
    for _ in range(2):
        assert await check.of_submit(good, [DIGEST]) == []
        [finding] = await check.of_submit(bad, [DIGEST])
        assert (finding.field.endswith("fields[1].name"), finding.reason) == (True, "DUPLICATE_NAME")


async def test_everything_that_is_wrong_is_found_in_what_is_long_too() -> None:
    asked = a_submit(content=b"", request_id="a b", metadata={"k": "\0"})
    asked.request.documents.add(name="\0", content=b"x", media_type="m" * 200)
    asked.request.documents.add(name="no bytes")
    asked.request.schema.document_types[0].name = "\0"
    found = {(finding.field, finding.reason) for finding in await check_of(Checker(1)).of_submit(asked, [DIGEST] * 3)}

    assert found >= {
        ("request_id", "STRING_PATTERN"),
        ('metadata["k"]', "NUL"),
        ("request.documents[0].content", "BYTES_MIN_LEN"),
        ("request.documents[1].name", "NUL"),
        ("request.documents[1].media_type", "STRING_MAX_LEN"),
        ("request.documents[2].source", "REQUIRED"),
        ("request.schema.document_types[0].name", "NUL"),
    }


@pytest.mark.parametrize("size", [10, 10**6], ids=["small", "large"])
async def test_a_schema_that_is_not_there_is_missed(size: int) -> None:
    asked = a_submit(content=b"x" * size)
    assert await check_of(Checker(1)).of_submit(asked, [DIGEST]) == []

    asked.request.ClearField("schema")
    [finding] = await check_of(Checker(1)).of_submit(asked, [DIGEST])
    assert (finding.field, finding.reason) == ("request.schema", "REQUIRED")
