"""The rows of an array: its elements stand below each other in their order, the members of one beside each other.

Each element may stand at any row of the page where some of its values are. The sequence of rows that keeps the order
and holds the most of all elements is found by dynamic programming; then each value takes its place in its own row.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from gleaner_bbox_worker.grounding.places import Place, Rect
from gleaner_bbox_worker.grounding.search import Search
from gleaner_bbox_worker.grounding.wants import Want

_ROWS_AN_ELEMENT = 40


@dataclass(frozen=True, slots=True)
class _Row:
    page: int
    y: float
    worth: float

    @property
    def order(self) -> tuple[int, float]:
        return self.page, self.y


def choose_rows(search: Search, elements: Sequence[Sequence[Want]]) -> dict[Want, list[Place]]:
    """For each value of the elements its places, the one in its element's row first."""
    columns = _columns(search, elements)
    rows = _sequence([_candidates(search, element) for element in elements])
    chosen: dict[Want, list[Place]] = {}
    for number, element in enumerate(elements):
        row = rows[number]
        following = next((other for other in rows[number + 1 :] if other), None)
        for want in element:
            chosen[want] = sorted(
                want.places,
                key=lambda place: (
                    -_belonging(search, place, row, following, columns.get(want.column)),
                    place.key,
                ),
            )
    return chosen


def _line(search: Search, place: Place) -> Rect:
    return search.pages[place.page].cut(place.slices[0])


def _candidates(search: Search, element: Sequence[Want]) -> list[_Row]:
    """The rows where an element may stand, with how much of it stands there: the rarer a value, the more it tells."""
    lines = [
        (place.page, _line(search, place), number, place.fit / (1 + 0.3 * min(len(want.places) - 1, 30)))
        for number, want in enumerate(element)
        for place in want.places
    ]
    found: dict[tuple[int, float], _Row] = {}
    by_page: dict[int, list[tuple[Rect, int, float]]] = defaultdict(list)
    for page, line, number, weight in lines:
        by_page[page].append((line, number, weight))
    for page, entries in by_page.items():
        entries.sort(key=lambda entry: entry[0].middle)
        for at, (line, _, _) in enumerate(entries):
            best: dict[int, float] = {}
            for other, number, weight in entries[max(0, at - 60) : at + 60]:
                drop = (other.middle - line.middle) / max(line.height, 1e-6)
                near = 1.0 if abs(drop) <= 0.6 else 0.6 if -1.8 <= drop <= 3 else 0.0
                if near:
                    best[number] = max(best.get(number, 0.0), near * weight)
            row = _Row(page, line.middle, sum(best.values()))
            known = found.get((page, round(line.middle, 3)))
            if known is None or known.worth < row.worth:
                found[page, round(line.middle, 3)] = row
    strongest = sorted(found.values(), key=lambda row: (-row.worth, row.order))[:_ROWS_AN_ELEMENT]
    return sorted(strongest, key=lambda row: row.order)


def _sequence(candidates: Sequence[list[_Row]]) -> list[_Row | None]:
    """A row for each element, in the elements' order down the pages; None for what is nowhere."""
    rows: list[_Row | None] = [None] * len(candidates)
    present = [number for number, options in enumerate(candidates) if options]
    if not present:
        return rows
    scores = [[row.worth for row in candidates[present[0]]]]
    came: list[list[int]] = [[-1] * len(scores[0])]
    for previous, current in pairwise(present):
        before, options = candidates[previous], candidates[current]
        line, origin = [], []
        for row in options:
            steps = [scores[-1][n] + _step(above, row) for n, above in enumerate(before)]
            best = max(range(len(steps)), key=steps.__getitem__)
            line.append(steps[best] + row.worth)
            origin.append(best)
        scores.append(line)
        came.append(origin)
    at = max(range(len(scores[-1])), key=scores[-1].__getitem__)
    for level in range(len(present) - 1, -1, -1):
        rows[present[level]] = candidates[present[level]][at]
        at = came[level][at]
    return rows


def _step(above: _Row, row: _Row) -> float:
    """What going from one element's row to the next costs: much to go back, a little to go far."""
    if row.order < above.order:
        return -2.0
    if row.order == above.order:
        return -0.5
    if row.page != above.page:
        return -0.1 * (row.page - above.page)
    return -0.2 * (row.y - above.y)


def _columns(search: Search, elements: Sequence[Sequence[Want]]) -> dict[str, tuple[float, float]]:
    """Where the columns are, told by the values that have one place only."""
    edges: dict[str, list[Rect]] = defaultdict(list)
    for element in elements:
        for want in element:
            if len(want.places) == 1:
                edges[want.column].append(_line(search, want.places[0]))
    return {
        column: (_middle([box.x0 for box in boxes]), _middle([box.x1 for box in boxes]))
        for column, boxes in edges.items()
    }


def _middle(numbers: list[float]) -> float:
    return sorted(numbers)[len(numbers) // 2]


def _belonging(
    search: Search, place: Place, row: _Row | None, following: _Row | None, column: tuple[float, float] | None
) -> float:
    """How well a place fits an element's row and a column."""
    box = _line(search, place)
    fit = place.fit
    if column:
        fit += 0.3 if min(abs(box.x0 - column[0]), abs(box.x1 - column[1])) < box.height else 0.0
    if row is None:
        return fit
    if place.page != row.page:
        return fit - 3 - abs(place.page - row.page)
    drop = (box.middle - row.y) / max(box.height, 1e-6)
    if abs(drop) <= 0.6:
        return fit + 2
    ends = following.y - 0.5 * box.height if following and following.page == row.page else 1.0
    inside = drop > 0 and box.middle < ends
    if inside:
        return fit + 1.5 - 0.05 * drop
    return fit - 0.05 * abs(drop)
