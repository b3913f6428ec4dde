import io

import pytest
from rich.console import Console

from gleaner.v1 import results_pb2 as pb
from gleaner.v1.documents_pb2 import Box
from gleaner_client import printing
from support.client_messages import JOB, a_field, a_job, a_result


def printed(*parts: object) -> str:
    console = Console(file=io.StringIO(), width=160, color_system=None)
    for part in parts:
        console.print(part)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_result_s_table_has_a_row_for_each_value_and_what_is_wrong_with_it() -> None:
    result = a_result()
    broken = a_field("head.vat", text="DE1", box=Box(page=2))
    broken.validations.add(rule="format", message="the check digit is wrong")
    result.documents[0].fields.append(broken)
    result.problems.add(reason="OCR_PAGE_FAILED", message="a page could not be read", document="invoice.png", page=2)

    text = printed(*printing.result_tables(result))

    assert "invoice.png: invoice, 1 page" in text
    assert "R-17" in text and "not found" in text
    assert "format: the check digit is wrong" in text
    assert "a page could not be read (invoice.png, page 2) [OCR_PAGE_FAILED]" in text


def test_what_a_document_says_cannot_steer_the_terminal() -> None:
    result = a_result()
    result.documents[0].fields[0].value.text = "\x1b[2J[bold]x[/bold]\x07\nnext"
    text = printed(*printing.result_tables(result))
    assert "\x1b" not in text and "\x07" not in text
    assert "[bold]x[/bold] next" in text


@pytest.mark.parametrize(
    ("state", "boxes", "said"),
    [
        (pb.GROUNDING_STATE_GROUNDED, [Box(page=2)], "p. 2"),
        (pb.GROUNDING_STATE_ESTIMATED, [Box(page=2)], "~p. 2"),
        (pb.GROUNDING_STATE_NOT_FOUND, [], "on no page"),
        (pb.GROUNDING_STATE_UNSPECIFIED, [], ""),
    ],
)
def test_a_place_says_how_well_it_is_known(state: pb.GroundingState.ValueType, boxes: list[Box], said: str) -> None:
    assert printing.place_text(pb.Provenance(state=state, boxes=boxes)) == said


def test_a_job_s_table_leaves_out_what_is_not_there() -> None:
    text = printed(printing.job_table(a_job("FAILED", reason="DOCUMENT_ENCRYPTED")))
    assert JOB in text and "[DOCUMENT_ENCRYPTED]" in text
    assert "callback" not in text and "start time" not in text


def test_json_has_the_protos_names_and_keeps_letters() -> None:
    assert '"cancel_reason": "für später"' in printing.as_json(type(a_job())(cancel_reason="für später"))
