"""Where dates and numbers stand on a page, in any print: all of them found once, then looked up by value."""

import re
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from datetime import date
from decimal import Decimal
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

from gleaner_bbox_worker.grounding.index import PageIndex
from gleaner_bbox_worker.grounding.places import Match, Place, Slice
from gleaner_values import DateOrder, DateReading, find_amounts, find_dates, find_numbers, settle_order

DatePlace = tuple[DateReading, Place]

# What makes of a number an amount that only a reader of amounts understands: letters at it, brackets.
_SIGNS = re.compile(r"[^\W\d_]\d|\d[^\W\d_]|\(")


class Text:
    """Words of a page written one after the other, and the way back from characters to words."""

    def __init__(self, page: PageIndex, lines: Iterable[Sequence[int]]) -> None:
        self._spans: list[tuple[int, int, int]] = []
        parts: list[str] = []
        position = 0
        for line in lines:
            for word in line:
                text = page.words[word].text
                self._spans.append((position, position + len(text), word))
                parts += (text, " ")
                position += len(text) + 1
            if parts:
                parts[-1] = "\n"
        self.text = "".join(parts).rstrip()

    def slices(self, start: int, end: int) -> tuple[Slice, ...]:
        """The pieces of words between two positions."""
        found = []
        for begin, stop, word in self._spans[bisect_right(self._spans, (start, -1, -1)) - 1 if start else 0 :]:
            if begin >= end:
                break
            if stop > start:
                found.append(Slice(word, max(start, begin) - begin, min(end, stop) - begin))
        return tuple(found)


class Numbers:
    """The numbers and amounts of a page, by what they may mean; a cell is read when a value may stand in it."""

    def __init__(self, page: PageIndex) -> None:
        self._page = page
        self._cells: dict[int, dict[Decimal, list[Place]]] = {}

    def places(self, sought: Decimal) -> list[Place]:
        """Where the number stands, in any print of it."""
        stream = self._page.reading
        cells = dict.fromkeys(
            self._page.cell_of[word]
            for start, end in stream.runs(_figures(sought))
            for word, _, _ in stream.pieces(start, end)
        )
        return [place for cell in cells for place in self._read(cell).get(sought, ())]

    def _read(self, number: int) -> dict[Decimal, list[Place]]:
        known = self._cells.get(number)
        if known is None:
            known = self._cells[number] = numbers_in(self._page, self._page.cells[number].words)
        return known


def numbers_in(page: PageIndex, words: Sequence[int]) -> dict[Decimal, list[Place]]:
    """The numbers and amounts that words beside each other hold, by what each may mean."""
    found: dict[Decimal, dict[tuple[Slice, ...], Place]] = defaultdict(dict)
    grouped: set[int] = set()
    read: set[int] = set()
    for slices, values in _readings(page, words):
        several = len({piece.word for piece in slices}) > 1
        if several and not _tight(page, slices):
            continue
        (grouped if several else read).update(piece.word for piece in slices)
        _add(found, page, slices, values, 1.0)
    for word in words if len(words) > 1 else ():
        if word not in read and _has_digit(page, word):
            for slices, values in _readings(page, (word,)):
                _add(found, page, slices, values, 0.7 if word in grouped else 1.0)
    return {value: list(places.values()) for value, places in found.items()}


class Dates:
    """The dates of a page; those that wrap from one line to the next only when somebody asks."""

    def __init__(self, page: PageIndex) -> None:
        self._page = page

    @cached_property
    def lines(self) -> list[DatePlace]:
        """Those that stand in the order the page was read in."""
        return self._found([cell.words for cell in self._page.cells])

    @cached_property
    def wrapped(self) -> list[DatePlace]:
        """Those that stand in its columns."""
        return self._found([self._page.cells[cell].words for cell in self._page.block_cells])

    def _found(self, lines: Sequence[Sequence[int]]) -> list[DatePlace]:
        page = self._page
        figures = [any(_has_digit(page, word) for word in line) for line in lines]
        follows = [*figures[1:], False]
        text = Text(
            page, [line for line, has, next_has in zip(lines, figures, follows, strict=True) if has or next_has]
        )
        found = []
        for reading in find_dates(text.text):
            slices = text.slices(reading.start, reading.end)
            if "\n" not in reading.text or _follows(page, slices):
                found.append((reading, Place(page.number, slices, Match.TYPED)))
        return found


def _figures(value: Decimal) -> str:
    """The digits that every print of the number has beside each other."""
    whole, _, fraction = f"{abs(value):f}".partition(".")
    return (whole + fraction.rstrip("0")).lstrip("0") or "0"


class KeptOrder(NamedTuple):
    """The order of day and month that a document keeps; `proven` if its own dates leave no doubt."""

    order: DateOrder
    proven: bool


def kept_order(readings: Iterable[DateReading], locales: Sequence[str]) -> KeptOrder:
    """The order that most dates of a document prove; by its locales if they prove none."""
    votes = Counter(reading.order for reading in readings)
    day, month = votes[DateOrder.DAY_FIRST], votes[DateOrder.MONTH_FIRST]
    if day == month:
        return KeptOrder(settle_order((), locales), proven=False)
    return KeptOrder(DateOrder.DAY_FIRST if day > month else DateOrder.MONTH_FIRST, proven=not min(day, month))


def date_fit(reading: DateReading, sought: date, kept: KeptOrder) -> float:
    """How well a printed date fits a day, 0..1: by the document's order, hardly or not at all by the other."""
    if sought not in reading.values:
        return 0.0
    if kept.order is DateOrder.UNKNOWN or reading.settled(kept.order) == sought:
        return 1.0
    return 0.0 if kept.proven else 0.8


def _readings(page: PageIndex, words: Sequence[int]) -> list[tuple[tuple[Slice, ...], tuple[Decimal, ...]]]:
    text = Text(page, [words])
    readings = [(r.start, r.end, r.values) for r in find_numbers(text.text)]
    if _SIGNS.search(text.text):
        readings += [(r.start, r.end, r.values) for r in find_amounts(text.text)]
    return [(text.slices(*_trimmed(text.text, start, end)), values) for start, end, values in readings]


def _trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    """The span without currency signs and brackets around: the box is the number's."""
    while start < end and not (text[start].isdigit() or text[start] in "-−–.,"):
        start += 1
    while end > start and not (text[end - 1].isdigit() or text[end - 1] in "-−–"):
        end -= 1
    return start, end


def _add(
    found: dict[Decimal, dict[tuple[Slice, ...], Place]],
    page: PageIndex,
    slices: tuple[Slice, ...],
    values: tuple[Decimal, ...],
    fit: float,
) -> None:
    if not slices:
        return
    for rank, value in enumerate(values):
        known = found[value].get(slices)
        likely = 1.0 if rank == 0 else 0.9
        place = Place(page.number, slices, Match.TYPED, fit * likely * (0.6 if _padded(page, slices) else 1.0))
        if known is None or known.fit < place.fit:
            found[value][slices] = place


def _padded(page: PageIndex, slices: tuple[Slice, ...]) -> bool:
    """Whether zeros lead it, as in `0815`: rather part of an id than a number."""
    text = page.printed(slices)
    return len(text) > 1 and text[0] == "0" and text[1].isdigit()


def _has_digit(page: PageIndex, word: int) -> bool:
    return any(char.isdigit() for char in page.words[word].text)


def _tight(page: PageIndex, slices: Sequence[Slice]) -> bool:
    """Whether the words of a number stand as close as its groups would."""
    for left, right in pairwise(slices):
        a, b = page.rects[left.word], page.rects[right.word]
        if b.x0 - a.x1 > 0.8 * max(a.height, b.height):
            return False
    return True


def _follows(page: PageIndex, slices: Sequence[Slice]) -> bool:
    """Whether the words stand on one line or on the next one below."""
    for left, right in pairwise(slices):
        a, b = page.rects[left.word], page.rects[right.word]
        if not a.beside(b) and not -0.5 * a.height <= b.y0 - a.y1 <= 1.5 * max(a.height, b.height):
            return False
    return True
