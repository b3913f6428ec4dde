from hypothesis import given
from hypothesis import strategies as st

from gleaner.v1.documents_pb2 import Box
from gleaner_client.placement import Rect, on_picture, place_label

CANVAS = Rect(0, 0, 600, 800)
LABEL = Rect(0, 0, 80, 16)
share = st.floats(-0.5, 1.5)


def test_a_box_is_scaled_to_its_picture() -> None:
    assert on_picture(Box(x0=0.25, y0=0.5, x1=0.5, y1=0.75), 600, 800) == Rect(150, 400, 300, 600)


@given(share, share, share, share)
def test_a_box_is_never_outside_nor_empty(x0: float, y0: float, x1: float, y1: float) -> None:
    rect = on_picture(Box(x0=min(x0, x1), y0=min(y0, y1), x1=max(x0, x1), y1=max(y0, y1)), 600, 800)
    assert rect.within(CANVAS)
    almost = 1 - 1e-9  # x0 + 1 - x0 is not quite 1 for every x0
    assert rect.x1 - rect.x0 >= almost and rect.y1 - rect.y0 >= almost


def test_a_label_stands_above_its_box_if_nothing_is_there() -> None:
    box = Rect(100, 100, 200, 120)
    assert place_label(LABEL, box, CANVAS, [box]) == Rect(100, 84, 180, 100)


def test_a_label_at_the_top_goes_below() -> None:
    assert place_label(LABEL, Rect(100, 4, 200, 20), CANVAS, []) == Rect(100, 20, 180, 36)


@given(st.integers(0, 500), st.integers(0, 780), st.integers(1, 100))
def test_a_label_stays_on_the_page(x: int, y: int, width: int) -> None:
    assert place_label(LABEL, Rect(x, y, x + width, y + 20), CANVAS, []).within(CANVAS)


def test_labels_of_a_column_cover_neither_each_other_nor_the_boxes() -> None:
    boxes = [Rect(100, 100 + 20 * row, 160, 115 + 20 * row) for row in range(10)]
    taken = list(boxes)
    for box in boxes:
        spot = place_label(LABEL, box, CANVAS, taken)
        assert not any(spot.overlap(other) for other in taken)
        taken.append(spot)
