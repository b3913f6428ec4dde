import pytest
from PIL import Image, ImageChops

from gleaner.v1.documents_pb2 import Box
from gleaner.v1.results_pb2 import GROUNDING_STATE_ESTIMATED, DocumentResult, FieldResult
from gleaner_client.overlay import draw, file_stems, label_of, pages_with_boxes
from support.client_messages import a_field, a_result


@pytest.mark.parametrize(
    ("path", "label"),
    [
        ("totals.net_amount", "net_amount"),
        ("lines.items[3].quantity", "quantity[3]"),
        ("seller.address.city", "city"),
        ("lines.notes[2]", "notes[2]"),
        ("alone", "alone"),
    ],
)
def test_a_label_is_the_short_of_its_path(path: str, label: str) -> None:
    assert label_of(path) == label


def test_pages_without_boxes_are_left_out() -> None:
    inner = a_field("g.list[0]", text="a", box=Box(page=3))
    outer = FieldResult(path="g.list", children=[inner])
    document = DocumentResult(fields=[outer, a_field("g.b", text="b", box=Box(page=1)), a_field("g.c")])
    assert pages_with_boxes(document) == [1, 3]


def test_stems_of_pictures_are_unique_and_stay_in_their_folder() -> None:
    assert file_stems(["a/x.pdf", "b/x.pdf", "../..", "ü y.png"]) == ["x-1", "x-2", "document", "ü_y"]


@pytest.mark.parametrize("by_confidence", [False, True])
def test_the_page_is_changed_where_the_value_stands_and_a_legend_follows(by_confidence: bool) -> None:
    [document] = a_result().documents
    page = Image.new("RGB", (600, 800), "white")

    drawn = draw(page, document, 1, by_confidence=by_confidence)

    assert drawn.getpixel((180, 180)) != (255, 255, 255)  # inside 0.2..0.4, 0.2..0.25
    changed = ImageChops.difference(drawn.crop((0, 0, 600, 800)), page).getbbox()
    assert changed is not None and changed[0] > 90 and changed[3] < 240
    assert drawn.height > 800


def test_an_estimated_place_is_drawn_otherwise_than_a_found_one() -> None:
    [document] = a_result().documents
    page = Image.new("RGB", (600, 800), "white")
    found = draw(page, document, 1)
    document.fields[0].provenance.state = GROUNDING_STATE_ESTIMATED
    assert ImageChops.difference(found, draw(page, document, 1)).getbbox() is not None


def test_a_page_with_nothing_on_it_stays_as_it_is() -> None:
    [document] = a_result().documents
    page = Image.new("RGB", (60, 80), "white")
    assert ImageChops.difference(draw(page, document, 2), page).getbbox() is None
