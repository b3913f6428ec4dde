from itertools import chain
from pathlib import Path

import pytest

from gleaner_core.errors import Finding, GleanerError, WorkError
from gleaner_rpc.errors_page import as_markdown, work_errors
from gleaner_rpc.status import TABLE, bad_request, status_of

ROOT = Path(__file__).parents[3]


def test_the_printed_table_is_current() -> None:
    assert (ROOT / "docs/errors.md").read_text() == as_markdown(), "python -m gleaner_rpc.errors_page > docs/errors.md"


def test_every_error_has_a_row() -> None:
    def leaves(kind: type) -> list[type]:
        return [kind, *(leaf for leaf in chain.from_iterable(map(leaves, kind.__subclasses__())))]

    ours = [kind for kind in leaves(GleanerError) if kind.__module__ == "gleaner_core.errors"]
    without = {kind for kind in ours if not set(kind.__mro__) & set(TABLE)}

    assert without == {GleanerError}


def test_every_reason_of_a_job_is_printed() -> None:
    printed = as_markdown()

    assert [kind for kind in work_errors() if f"`{kind.reason}`" not in printed] == []
    assert issubclass(next(work_errors()), WorkError)


def test_an_error_without_a_row_tells_nothing() -> None:
    class New(GleanerError):
        pass

    assert "secret" not in str(status_of(New("secret")))


@pytest.mark.parametrize("count", [1, 10, 10_000])
def test_findings_never_outgrow_a_trailer(count: int) -> None:
    bad = bad_request([Finding(f"schema.document_types[{i}]", "REASON", "x" * 1000) for i in range(count)])

    assert bad.ByteSize() < 4096
    if count == 10_000:
        assert bad.field_violations[-1].reason == "MORE"
