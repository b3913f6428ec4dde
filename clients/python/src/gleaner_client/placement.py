"""Where boxes and their labels go on a picture of a page, in pixels."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from gleaner.v1.documents_pb2 import Box

_ROWS_AWAY = 6  # how many label heights a label may be from its box
_COVERED_WEIGHT = 5.0  # to hide a pixel of a box or a label is as bad as to hide so many of other print
_AWAY_WEIGHT = 0.05  # a row farther away is as bad as to hide print on this share of a label


class Rect(NamedTuple):
    """A rectangle in pixels, 0,0 the top left."""

    x0: float
    y0: float
    x1: float
    y1: float

    def moved_to(self, x: float, y: float) -> "Rect":
        """The same size, with its top left at x, y."""
        return Rect(x, y, x + self.x1 - self.x0, y + self.y1 - self.y0)

    def grown(self, by: float) -> "Rect":
        """Larger on all sides."""
        return Rect(self.x0 - by, self.y0 - by, self.x1 + by, self.y1 + by)

    def overlap(self, other: "Rect") -> float:
        """The area that both cover."""
        width = min(self.x1, other.x1) - max(self.x0, other.x0)
        height = min(self.y1, other.y1) - max(self.y0, other.y0)
        return max(0.0, width) * max(0.0, height)

    def within(self, canvas: "Rect") -> bool:
        """Whether all of it lies on the canvas."""
        return self.x0 >= canvas.x0 and self.y0 >= canvas.y0 and self.x1 <= canvas.x1 and self.y1 <= canvas.y1


Ink = Callable[[Rect], float]


def on_picture(box: Box, width: int, height: int) -> Rect:
    """A box in pixels of a picture of its page, at least one pixel large and never outside."""
    x0, y0 = _clamped(box.x0) * width, _clamped(box.y0) * height
    x1, y1 = _clamped(box.x1) * width, _clamped(box.y1) * height
    return Rect(
        min(x0, width - 1), min(y0, height - 1), max(x1, min(x0, width - 1) + 1), max(y1, min(y0, height - 1) + 1)
    )


def place_label(label: Rect, box: Rect, canvas: Rect, taken: Sequence[Rect], ink: Ink = lambda rect: 0.0) -> Rect:
    """Where a label of this size goes: near its box, over nothing taken and no print; else where it hides least.

    `ink` tells the area of a rectangle that is printed on.
    """
    best, least = label.moved_to(box.x0, box.y1), float("inf")
    away = _AWAY_WEIGHT * (label.x1 - label.x0) * (label.y1 - label.y0)
    for row, spot in _spots(label, box):
        if row * away >= least:
            break
        if not spot.within(canvas):
            continue
        cost = row * away + _COVERED_WEIGHT * sum(spot.overlap(other) for other in taken) + ink(spot)
        if cost < least:
            best, least = spot, cost
    return best


def _spots(label: Rect, box: Rect) -> Iterator[tuple[int, Rect]]:
    """Spots by how well they are read, and how many rows away: above, below, beside, then farther."""
    width, height = label.x1 - label.x0, label.y1 - label.y0
    for row in range(_ROWS_AWAY):
        above, below = box.y0 - (row + 1) * height, box.y1 + row * height
        for x in (box.x0, box.x1 - width, box.x0 - width / 2):
            yield row, label.moved_to(x, above)
            yield row, label.moved_to(x, below)
        middle = (box.y0 + box.y1 - height) / 2
        for y in (middle - row * height, middle + row * height):
            yield row, label.moved_to(box.x1 + 2 + row * height, y)
            yield row, label.moved_to(box.x0 - width - 2 - row * height, y)


def _clamped(share: float) -> float:
    return min(1.0, max(0.0, share))
