"""The words of a document made searchable, once for all its values.

A page is searched as a stream of letters and digits in some order of its words: as it was read, along its rows, or down
its blocks, so that a value that wraps inside a column is one run of characters. The orders beyond the first are made
when a value asks for them.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from gleaner_bbox_worker.grounding.folding import fold, share
from gleaner_bbox_worker.grounding.places import Rect, Slice
from gleaner_documents.pages import Page, TextSource


class Stream:
    """The letters and digits of a page's words in one order."""

    def __init__(self, folded: Sequence[str], order: Sequence[int]) -> None:
        self.words = [word for word in order if folded[word]]
        self.starts: list[int] = []
        position = 0
        for word in self.words:
            self.starts.append(position)
            position += len(folded[word])
        self.text = "".join(folded[word] for word in self.words)

    def runs(self, needle: str) -> Iterator[tuple[int, int]]:
        """Where `needle` occurs, as (start, end), overlapping ones included."""
        start = self.text.find(needle)
        while start >= 0:
            yield start, start + len(needle)
            start = self.text.find(needle, start + 1)

    def pieces(self, start: int, end: int) -> list[tuple[int, int, int]]:
        """The words that a run covers, each with the first and last + 1 of its folded characters."""
        at = bisect_right(self.starts, start) - 1
        found = []
        while at < len(self.words) and self.starts[at] < end:
            begin = self.starts[at]
            stop = self.starts[at + 1] if at + 1 < len(self.starts) else len(self.text)
            found.append((self.words[at], max(start, begin) - begin, min(end, stop) - begin))
            at += 1
        return found


@dataclass(frozen=True, slots=True)
class Cell:
    """Words that one reads as one line, and the box around them."""

    words: tuple[int, ...]
    box: Rect


class PageIndex:
    """A page's words, folded, in cells and rows."""

    def __init__(self, number: int, page: Page) -> None:
        self.number = number
        self.page = page
        self.words = page.words
        self.folded = [fold(word.text) for word in page.words]
        self.aspect = page.width / page.height if page.width > 0 and page.height > 0 else 1.0
        self.rects = [Rect(w.x0 * self.aspect, w.y0, w.x1 * self.aspect, w.y1) for w in page.words]
        self.told: dict[tuple[int, ...], tuple[tuple[str, ...], str]] = {}  # what runs of words say as labels
        self.reading = Stream(self.folded, range(len(self.words)))

    @property
    def recognised(self) -> bool:
        """Whether the words were read from a picture, so that letters may be wrong."""
        return self.page.source is TextSource.OCR

    def cut(self, piece: Slice) -> Rect:
        """The box of a run of characters: cut from the word's box by their share of its width."""
        text, rect = self.words[piece.word].text, self.rects[piece.word]
        if piece.start == 0 and piece.end >= len(text):
            return rect
        width = rect.x1 - rect.x0
        return rect._replace(
            x0=rect.x0 + width * share(text, piece.start),
            x1=rect.x0 + width * share(text, piece.end),
        )

    def lines_of(self, slices: Sequence[Slice]) -> list[Rect]:
        """One box for each printed line, in reading order; what stands far apart on one line has boxes of its own."""
        lines: list[Rect] = []
        for piece in slices:
            rect = self.cut(piece)
            if lines and _continues(lines[-1], rect):
                lines[-1] = lines[-1].joined(rect)
            else:
                lines.append(rect)
        return lines

    def printed(self, slices: Sequence[Slice]) -> str:
        """What stands at the place, words parted by single spaces."""
        return " ".join(self.words[piece.word].text[piece.start : piece.end] for piece in slices)

    @cached_property
    def triples(self) -> frozenset[str]:
        """All runs of three letters or digits."""
        text = self.reading.text
        return frozenset(text[i : i + 3] for i in range(len(text) - 2))

    @cached_property
    def cells(self) -> list[Cell]:
        """The printed lines, columns apart, in reading order."""
        members: dict[int, list[int]] = {}
        for index, found in enumerate(self.words):
            members.setdefault(found.line, []).append(index)
        cells = []
        for words in members.values():
            box = self.rects[words[0]]
            for word in words[1:]:
                box = box.joined(self.rects[word])
            cells.append(Cell(tuple(words), box))
        return cells

    @cached_property
    def cell_of(self) -> dict[int, int]:
        """Which cell a word is in."""
        return {word: number for number, cell in enumerate(self.cells) for word in cell.words}

    @cached_property
    def rows(self) -> list[list[int]]:
        """The cells that stand beside each other, rows from the top, cells from the left."""
        rows: list[list[int]] = []
        boxes: list[Rect] = []
        for number in sorted(range(len(self.cells)), key=lambda n: self.cells[n].box.middle):
            box = self.cells[number].box
            if rows and boxes[-1].y0 <= box.middle <= boxes[-1].y1:
                rows[-1].append(number)
                # The row's band is that of its first cell: a tall neighbour must not swallow the next row.
            else:
                rows.append([number])
                boxes.append(box)
        for row in rows:
            row.sort(key=lambda n: self.cells[n].box.x0)
        return rows

    @cached_property
    def row_of(self) -> dict[int, int]:
        """Which row a cell is in."""
        return {cell: number for number, row in enumerate(self.rows) for cell in row}

    def starting_below(self, word: int, first: Rect) -> int | None:
        """The word on the next line below `word` that begins where `first` does; None if none does."""
        line = self.rects[word]
        row = self.row_of[self.cell_of[word]]
        for cells in self.rows[row + 1 : row + 4]:
            for cell in cells:
                for other in self.cells[cell].words:
                    rect = self.rects[other]
                    if abs(rect.x0 - first.x0) <= 0.6 * first.height and rect.y0 - line.y1 <= 1.2 * line.height:
                        return other
        return None

    @cached_property
    def along_rows(self) -> Stream:
        """The words row by row."""
        return Stream(self.folded, [word for row in self.rows for cell in row for word in self.cells[cell].words])

    @cached_property
    def block_cells(self) -> list[int]:
        """The cells block by block: each followed by the one right below it."""
        return [cell for chain in self._chains() for cell in chain]

    @cached_property
    def down_blocks(self) -> Stream:
        """The words block by block."""
        return Stream(self.folded, [word for cell in self.block_cells for word in self.cells[cell].words])

    def _chains(self) -> list[list[int]]:
        below = {cell: self._below(cell) for cell in range(len(self.cells))}
        follower: dict[int, int] = {}
        taken: set[int] = set()
        for cell, successor in below.items():
            if successor is not None and successor not in taken:
                follower[cell] = successor
                taken.add(successor)
        chains = []
        for cell in range(len(self.cells)):
            if cell in taken:
                continue
            chain = [cell]
            while chain[-1] in follower:
                chain.append(follower[chain[-1]])
            chains.append(chain)
        return chains

    def _below(self, cell: int) -> int | None:
        """The cell right under this one that shares most of its left edge, or None."""
        box = self.cells[cell].box
        for row in self.rows[self.row_of[cell] + 1 : self.row_of[cell] + 4]:
            under = [n for n in row if self.cells[n].box.shared_width(box) > 0]
            if under:
                best = min(under, key=lambda n: abs(self.cells[n].box.x0 - box.x0))
                gap = self.cells[best].box.y0 - box.y1
                return best if gap <= 1.2 * max(box.height, self.cells[best].box.height) else None
        return None


def _continues(line: Rect, rect: Rect) -> bool:
    tall = max(line.height, rect.height)
    return line.beside(rect) and -0.5 * tall <= rect.x0 - line.x1 <= 4 * tall
