"""Where a value may stand: runs of characters in words of a page."""

from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple


class Match(IntEnum):
    """How a value was recognised; the better, the smaller."""

    EXACT = 1
    TYPED = 2
    FUZZY = 3


class Slice(NamedTuple):
    """Characters `start` to `end` of a word, by its index on the page."""

    word: int
    start: int
    end: int


class Rect(NamedTuple):
    """A rectangle in units of the page's height on both axes, so that distances compare."""

    x0: float
    y0: float
    x1: float
    y1: float

    @property
    def height(self) -> float:
        """From top to bottom."""
        return self.y1 - self.y0

    @property
    def middle(self) -> float:
        """Half way between top and bottom."""
        return (self.y0 + self.y1) / 2

    def joined(self, other: "Rect") -> "Rect":
        """The smallest rectangle around both."""
        return Rect(min(self.x0, other.x0), min(self.y0, other.y0), max(self.x1, other.x1), max(self.y1, other.y1))

    def beside(self, other: "Rect") -> bool:
        """Whether both stand on one printed line: they share half of the lower one's height."""
        shared = min(self.y1, other.y1) - max(self.y0, other.y0)
        return shared >= 0.5 * min(self.height, other.height)

    def shared_width(self, other: "Rect") -> float:
        """How much of their horizontal extent they share; negative for a gap."""
        return min(self.x1, other.x1) - max(self.x0, other.x0)

    def overlap(self, other: "Rect") -> float:
        """Intersection over union."""
        width = min(self.x1, other.x1) - max(self.x0, other.x0)
        height = min(self.y1, other.y1) - max(self.y0, other.y0)
        if width <= 0 or height <= 0:
            return 0.0
        common = width * height
        union = (self.x1 - self.x0) * self.height + (other.x1 - other.x0) * other.height - common
        return common / union if union > 0 else 0.0


@dataclass(frozen=True, slots=True)
class Place:
    """One place on a page (by its index in the document) where a value stands; `fit` is how well, 0..1."""

    page: int
    slices: tuple[Slice, ...]
    match: Match
    fit: float = 1.0

    @property
    def key(self) -> tuple[int, int, int]:
        """What tells two places apart: page, first word and where in it."""
        first = self.slices[0]
        return self.page, first.word, first.start
