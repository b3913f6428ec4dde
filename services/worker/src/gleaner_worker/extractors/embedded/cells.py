"""Pages as cells: a cell is words that one reads as one, on one printed line. Neighbours are found by geometry.

Lengths are in points (pixels for an image), so that across and down compare.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import groupby, islice

from gleaner_documents.pages import Page, ReadDocument, Word
from gleaner_values import AmountReading, DateReading, find_amounts, find_dates, fold, letters

MAX_CELLS = 4000  # of a page, and
MAX_WORDS = 500  # of a cell: ten times what a dense page has


@dataclass(frozen=True)
class Cell:
    """Words of one line; `index` is its place in the reading order of the document."""

    page: int
    index: int
    words: tuple[Word, ...]
    x0: float
    y0: float
    x1: float
    y1: float
    starts: tuple[int, ...] = field(repr=False)

    @cached_property
    def text(self) -> str:
        """The words with single spaces between."""
        return " ".join(word.text for word in self.words)

    @cached_property
    def folded(self) -> str:
        """The text without case and accents."""
        return fold(self.text)

    @cached_property
    def letters(self) -> str:
        """The letters and digits of the text alone."""
        return letters(self.text)

    @cached_property
    def amounts(self) -> list[AmountReading]:
        """The amounts in the text."""
        return find_amounts(self.text)

    @cached_property
    def dates(self) -> list[DateReading]:
        """The dates in the text."""
        return find_dates(self.text)

    @property
    def height(self) -> float:
        """How tall the line is."""
        return self.y1 - self.y0

    @property
    def middle(self) -> float:
        """Half way down the line."""
        return (self.y0 + self.y1) / 2

    def span(self, start: int, end: int) -> "Span":
        """The part of the text between two offsets."""
        return Span(self, start, end)

    def x_at(self, offset: int) -> float:
        """Where on the page the character at `offset` begins, by the width of its word."""
        for word_start, word in zip(reversed(self.starts), reversed(self.words), strict=True):
            if offset >= word_start:
                share = min((offset - word_start) / max(len(word.text), 1), 1.0)
                scale = (self.x1 - self.x0) / max(self.words[-1].x1 - self.words[0].x0, 1e-9)
                at = word.x0 + share * (word.x1 - word.x0)
                return self.x0 + (at - self.words[0].x0) * scale
        return self.x0


@dataclass(frozen=True, slots=True)
class Span:
    """Part of a cell's text, by offsets."""

    cell: Cell
    start: int
    end: int

    @property
    def text(self) -> str:
        """What is printed there."""
        return self.cell.text[self.start : self.end]

    @property
    def words(self) -> list[Word]:
        """The words it touches."""
        return [
            word
            for at, word in zip(self.cell.starts, self.cell.words, strict=True)
            if at < self.end and at + len(word.text) > self.start
        ]


class Sheet:
    """All cells of a document, and who stands beside whom."""

    def __init__(self, document: ReadDocument) -> None:
        self.cells: tuple[Cell, ...] = tuple(_cells(document.pages))
        self.by_page: dict[int, list[Cell]] = {}
        for cell in self.cells:
            self.by_page.setdefault(cell.page, []).append(cell)
        self._rows: dict[int, list[Cell]] = {}

    @property
    def texts(self) -> list[str]:
        """The texts of all cells."""
        return [cell.text for cell in self.cells]

    def row(self, cell: Cell) -> list[Cell]:
        """The cells on the same printed line as `cell`, itself included, from left to right."""
        if cell.index not in self._rows:
            self._rows[cell.index] = sorted(
                (other for other in self.by_page[cell.page] if same_row(cell, other)), key=lambda c: c.x0
            )
        return self._rows[cell.index]

    def right_of(self, cell: Cell) -> list[Cell]:
        """The cells to the right on the same line, nearest first."""
        return [other for other in self.row(cell) if other is not cell and other.x0 >= cell.x1 - 0.3 * cell.height]

    def left_of(self, cell: Cell) -> list[Cell]:
        """The cells to the left on the same line, nearest first."""
        return [c for c in reversed(self.row(cell)) if c is not cell and c.x1 <= cell.x0 + 0.3 * cell.height]

    def under(self, cell: Cell, left: float, right: float, reach: float = 9.0) -> list[Cell]:
        """The cells below `cell` between two edges, nearest first, at most `reach` lines further down."""
        deepest = cell.y1 + reach * cell.height
        found = [
            other
            for other in self.by_page[cell.page]
            if other.middle > cell.y1 and other.y0 < deepest and other.x0 < right and other.x1 > left
        ]
        return sorted(found, key=lambda c: (c.middle, c.x0))


def same_row(one: Cell, other: Cell) -> bool:
    """Whether two cells stand on one printed line: they share half of the lower one's height."""
    common = min(one.y1, other.y1) - max(one.y0, other.y0)
    return common >= 0.5 * min(one.height, other.height)


def rows_of(cells: Sequence[Cell]) -> list[list[Cell]]:
    """Cells of one page as printed rows, top to bottom, each from left to right."""
    rows: list[list[Cell]] = []
    for cell in sorted(cells, key=lambda c: (c.page, c.middle)):
        if rows and rows[-1][0].page == cell.page and same_row(rows[-1][0], cell):
            rows[-1].append(cell)
        else:
            rows.append([cell])
    return [sorted(row, key=lambda c: c.x0) for row in rows]


def _cells(pages: Sequence[Page]) -> Iterator[Cell]:
    index = 0
    for page in pages:
        first = index
        width, height = page.width or 1.0, page.height or 1.0
        for _, group in groupby(page.words, key=lambda word: word.line):
            words = tuple(islice(group, MAX_WORDS))
            if index - first >= MAX_CELLS:
                break
            starts, at = [], 0
            for word in words:
                starts.append(at)
                at += len(word.text) + 1
            yield Cell(
                page.number,
                index,
                words,
                min(w.x0 for w in words) * width,
                min(w.y0 for w in words) * height,
                max(w.x1 for w in words) * width,
                max(w.y1 for w in words) * height,
                tuple(starts),
            )
            index += 1
