"""Where dates and numbers stand on a page, in any print: all of them found once, then looked up by value."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from datetime import date
from decimal import Decimal
from itertools import pairwise

from gleaner_bbox_worker.grounding.index import PageIndex
from gleaner_bbox_worker.grounding.places import Match, Place, Slice
from gleaner_values import DateOrder, DateReading, find_amounts, find_dates, find_numbers


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
        return tuple(
            Slice(word, max(start, begin) - begin, min(end, stop) - begin)
            for begin, stop, word in self._spans
            if begin < end and stop > start
        )


def numbers_of(page: PageIndex) -> dict[Decimal, list[Place]]:
    """Every number and amount of the page by what it may mean."""
    found: dict[Decimal, dict[tuple[Slice, ...], Place]] = defaultdict(dict)
    for cell in page.cells:
        if not any(_has_digit(page, word) for word in cell.words):
            continue
        inner: set[int] = set()
        for slices, values in _readings(page, cell.words):
            if len({piece.word for piece in slices}) > 1 and not _tight(page, slices):
                continue
            inner.update(piece.word for piece in slices if len(slices) > 1)
            _add(found, page, slices, values, 1.0)
        for word in cell.words if len(cell.words) > 1 else ():
            if _has_digit(page, word):
                for slices, values in _readings(page, (word,)):
                    _add(found, page, slices, values, 0.7 if word in inner else 1.0)
    return {value: list(places.values()) for value, places in found.items()}


def dates_of(page: PageIndex) -> list[tuple[DateReading, Place]]:
    """Every date of the page, those that wrap inside a column included."""
    found: dict[tuple[Slice, ...], tuple[DateReading, Place]] = {}
    for lines in ([cell.words for cell in page.cells], _blocks(page)):
        text = Text(page, lines)
        for reading in find_dates(text.text):
            slices = text.slices(reading.start, reading.end)
            if "\n" not in reading.text or _follows(page, slices):
                found.setdefault(slices, (reading, Place(page.number, slices, Match.TYPED)))
    return list(found.values())


def order_of(readings: Iterable[DateReading]) -> DateOrder:
    """The order of day and month that most dates of a document prove."""
    votes = Counter(reading.order for reading in readings)
    day, month = votes[DateOrder.DAY_FIRST], votes[DateOrder.MONTH_FIRST]
    if day == month:
        return DateOrder.UNKNOWN
    return DateOrder.DAY_FIRST if day > month else DateOrder.MONTH_FIRST


def date_fit(reading: DateReading, sought: date, order: DateOrder) -> float:
    """How well a printed date fits a day: 0 not at all, less than 1 by the order the document does not keep."""
    if sought not in reading.values:
        return 0.0
    return 1.0 if order is DateOrder.UNKNOWN or reading.settled(order) == sought else 0.8


def _blocks(page: PageIndex) -> list[Sequence[int]]:
    return [page.cells[cell].words for cell in dict.fromkeys(page.cell_of[word] for word in page.block_order)]


def _readings(page: PageIndex, words: Sequence[int]) -> list[tuple[tuple[Slice, ...], tuple[Decimal, ...]]]:
    text = Text(page, [words])
    readings = [(r.start, r.end, r.values) for r in find_numbers(text.text)]
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
