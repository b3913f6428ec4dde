"""The rows of an array: its elements stand below each other in their order, the members of one beside each other.

Each element may stand at any row of a page where some of its values are. The sequence of rows that keeps the order and
holds the most of all elements is found by dynamic programming; then each value takes its place in its own row.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from heapq import nsmallest
from itertools import accumulate

from gleaner_bbox_worker.grounding.places import Place, Rect
from gleaner_bbox_worker.grounding.search import Search
from gleaner_bbox_worker.grounding.wants import Want

_NEAR = {0: 1.0, -1: 0.6, -2: 0.6, 1: 0.6}  # rows from a value's own at which its element may stand, and for how much
_BACK = 2.0  # what it costs to stand above the element before; beside it
_BESIDE = 0.5
_APART = 0.2  # a page farther down
_IN_ROW = 2.0
_MOST = 21  # the place and twenty others

# Rows are numbered through the document, from the top of its first page.
Path = dict[int, tuple[float, int]]
"""For each row an element may stand at: the worth of the best sequence that ends there, and the row before."""


def choose_rows(search: Search, elements: Sequence[Sequence[Want]]) -> dict[Want, list[Place]]:
    """For each value of the elements its places, the one in its element's row first."""
    table = _Table(search)
    columns = _columns(table, elements)
    rows = _sequence([table.worth(element) for element in elements], table)
    chosen: dict[Want, list[Place]] = {}
    following: int | None = None
    for element, row in zip(reversed(elements), reversed(rows), strict=True):
        for want in element:
            chosen[want] = _ranked(table, want, row, following, columns.get(want.column))
        following = row if row is not None else following
    return chosen


class _Table:
    """The rows of a document, and where a value stands among them."""

    def __init__(self, search: Search) -> None:
        self._search = search
        self._first = [0, *accumulate(len(page.rows) for page in search.pages)]
        self.heights = [
            page.number + page.cells[row[0]].box.middle for page in search.pages for row in page.rows
        ]  # how far down each row stands, in pages
        self._known: dict[bytes, dict[int, float]] = {}

    def row(self, place: Place) -> int:
        """The row a place begins in."""
        page = self._search.pages[place.page]
        return self._first[place.page] + page.row_of[page.cell_of[place.slices[0].word]]

    def line(self, place: Place) -> Rect:
        """The box of the first piece of a place."""
        return self._search.pages[place.page].cut(place.slices[0])

    def worth(self, element: Sequence[Want]) -> dict[int, float]:
        """How much of an element stands at each row: the rarer a value, the more it tells."""
        found: dict[int, float] = defaultdict(float)
        for want in element:
            for row, near in self._near(want).items():
                found[row] += near
        return found

    def _near(self, want: Want) -> dict[int, float]:
        value = want.result.value.SerializeToString(deterministic=True)
        known = self._known.get(value)
        if known is None:
            known = self._known[value] = {}
            rarity = 1 / (1 + 0.3 * min(len(want.places) - 1, 30))
            for place in want.places:
                row = self.row(place)
                for step, near in _NEAR.items():
                    if 0 <= row + step < len(self.heights):
                        known[row + step] = max(known.get(row + step, 0.0), near * place.fit * rarity)
        return known


def _sequence(worths: Sequence[Mapping[int, float]], table: _Table) -> list[int | None]:
    """A row for each element, in the elements' order down the pages; None for what is nowhere."""
    rows: list[int | None] = [None] * len(worths)
    present = [number for number, worth in enumerate(worths) if worth]
    paths: list[Path] = []
    for number in present:
        paths.append(_continued(paths[-1] if paths else None, worths[number], table.heights))
    if not paths:
        return rows
    at = max(paths[-1], key=lambda row: (paths[-1][row][0], -row))
    for number, path in zip(reversed(present), reversed(paths), strict=True):
        rows[number] = at
        at = path[at][1]
    return rows


def _continued(before: Path | None, worth: Mapping[int, float], heights: Sequence[float]) -> Path:
    """The best sequences that go on with an element that is worth so much at each row."""
    if before is None:
        return {row: (value, row) for row, value in worth.items()}
    earlier = sorted(before)
    anywhere = max(earlier, key=lambda row: (before[row][0], -row))
    path: Path = {}
    above: int | None = None  # the best row above to come from, by its worth as seen from below
    at = 0
    for row in sorted(worth):
        while at < len(earlier) and earlier[at] < row:
            if above is None or _seen(before, earlier[at], heights) >= _seen(before, above, heights):
                above = earlier[at]
            at += 1
        steps = [(before[anywhere][0] - _BACK, anywhere)]
        if above is not None:
            steps.append((_seen(before, above, heights) - _APART * heights[row], above))
        if row in before:
            steps.append((before[row][0] - _BESIDE, row))
        value, origin = max(steps)
        path[row] = (value + worth[row], origin)
    return path


def _seen(path: Path, row: int, heights: Sequence[float]) -> float:
    return path[row][0] + _APART * heights[row]


def _columns(table: _Table, elements: Sequence[Sequence[Want]]) -> dict[str, tuple[float, float]]:
    """Where the columns are, told by the values that have one place only."""
    edges: dict[str, list[Rect]] = defaultdict(list)
    for element in elements:
        for want in element:
            if len(want.places) == 1:
                edges[want.column].append(table.line(want.places[0]))
    return {
        column: (_middle([box.x0 for box in boxes]), _middle([box.x1 for box in boxes]))
        for column, boxes in edges.items()
    }


def _middle(numbers: list[float]) -> float:
    return sorted(numbers)[len(numbers) // 2]


def _ranked(
    table: _Table, want: Want, row: int | None, following: int | None, column: tuple[float, float] | None
) -> list[Place]:
    """The places of a value, those of its element's row first, then those of its column."""
    scored = [(-_belonging(table, place, row, following, column), place.key, place) for place in want.places]
    if want.needs_label:
        # What is no proof by itself, a `yes` or one of a few words, must stand in the row.
        scored = [entry for entry in scored if -entry[0] > _IN_ROW]
    return [place for _, _, place in nsmallest(_MOST, scored, key=lambda entry: entry[:2])]


def _belonging(
    table: _Table, place: Place, row: int | None, following: int | None, column: tuple[float, float] | None
) -> float:
    """How well a place fits an element's row and a column."""
    fit = place.fit
    if column:
        box = table.line(place)
        fit += 0.3 if min(abs(box.x0 - column[0]), abs(box.x1 - column[1])) < box.height else 0.0
    if row is None:
        return fit
    below = table.row(place) - row
    if below == 0:
        return fit + 2
    if below > 0 and (following is None or following <= row or below < following - row):
        return fit + 1.5 - 0.05 * below
    return fit - min(0.05 * abs(below), 3.0)
