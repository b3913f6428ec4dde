"""Labels on the page: the known words that tell what stands beside or below them.

A label starts a cell, follows a value that is closed off from it, or is closed itself by a colon. The longest label
wins: `Advertiser Code` is no label of an advertiser.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass
from itertools import zip_longest

from gleaner_worker.extractors.embedded.cells import Cell, Sheet
from gleaner_worker.extractors.embedded.lexicon import KNOWN, Key, Token, tokens

MAX_WORDS = 8
MAX_ALIKE = 200  # looked at, of labels with the same words: a page made to be slow is full of them
_PERCENT = re.compile(r"\(?\d{1,3}(?:[.,]\d{1,3})?\s?%\)?")
_TAIL = re.compile(r"[\s:.#=)*°>\]]*")
_CLOSED = re.compile(r"\s*[)\].]?\s*:")
_BOUNDARY = re.compile(r"[:|•●·;,/(]\s*$|\s[-–]\s$|\d\s*$")
# A sum may be told by its last words: `Takeout total`.
_SUMS = frozenset({"total"})
# What makes another thing of the label before it.
_ATTRIBUTES = frozenset(
    {
        "no",
        "code",
        "name",
        "date",
        "reference",
        "type",
        "external",
        "address",
        "time",
        "terms",
        "method",
        "period",
        "modified",
        "entered",
        "by",
    }
)


@dataclass(frozen=True, slots=True)
class Label:
    """A label in a cell: its key, its offsets with the marks behind it, whether a colon or the cell's end closes it.

    `value_end` is where the next label begins; `size` counts its tokens.
    """

    cell: Cell
    key: Key
    start: int
    end: int
    value_end: int
    closed: bool
    size: int

    @property
    def x0(self) -> float:
        """Left edge of the label itself."""
        return self.cell.x_at(self.start)

    @property
    def x1(self) -> float:
        """Right edge of the label itself."""
        return self.cell.x1 if self.end >= len(self.cell.text) else self.cell.x_at(self.end)

    @property
    def has_value(self) -> bool:
        """Whether something stands behind it in its own cell."""
        return bool(self.cell.text[self.end : self.value_end].strip(" :#.-=|/"))


class Labels:
    """All labels of a document, by cell and by key."""

    def __init__(self, sheet: Sheet, keys: Collection[Key]) -> None:
        self._keys = frozenset(keys)
        self._words = KNOWN | frozenset(word for key in keys for word in key)
        self.of_cell: dict[int, list[Label]] = {}
        self.of_key: dict[Key, list[Label]] = {}
        for cell in sheet.cells:
            for label in self._find(cell):
                self._add(label)
        for cell in sheet.cells:
            for label in self._under_heading(sheet, cell):
                self.of_key.setdefault(label.key, []).append(label)

    def is_label(self, cell: Cell) -> bool:
        """Whether the cell is nothing but labels."""
        found = self.of_cell.get(cell.index, [])
        return bool(found) and found[0].start <= 1 and not any(label.has_value for label in found)

    def starts_with_label(self, cell: Cell) -> bool:
        """Whether the cell begins with a label that a colon or the end of the cell closes."""
        found = self.of_cell.get(cell.index, [])
        return bool(found) and found[0].start <= 1 and (found[0].closed or self.is_label(cell))

    def with_key(self, key: Key) -> list[Label]:
        """The labels of this key, in reading order; of very many the first and the last."""
        found = self.of_key.get(key, [])
        return found if len(found) <= MAX_ALIKE else [*found[: MAX_ALIKE // 2], *found[-MAX_ALIKE // 2 :]]

    def trailing(self, cell: Cell) -> int:
        """Where a label of several words begins that ends the cell, behind a value; the cell's length if none does."""
        found = tokens(cell.text)
        for size in range(min(4, len(found) - 1), 1, -1):
            run = found[-size:]
            if frozenset(token.name for token in run) in self._keys and not cell.text[run[-1].end :].strip(" :#."):
                return run[0].start
        return len(cell.text)

    def _add(self, label: Label) -> None:
        self.of_cell.setdefault(label.cell.index, []).append(label)
        self.of_key.setdefault(label.key, []).append(label)

    def _under_heading(self, sheet: Sheet, cell: Cell) -> list[Label]:
        """`Advertiser | Name: …`: the label at the start of a cell, joined with the heading left of it."""
        found = self.of_cell.get(cell.index)
        if not found or found[0].start > 1 or len(found[0].key) > 1:
            return []
        for left in sheet.left_of(cell)[:1]:
            heads = self.of_cell.get(left.index)
            if heads and len(heads) == 1 and self.is_label(left) and not left.text.rstrip().endswith(":"):
                label = found[0]
                key = label.key | heads[0].key
                return [
                    Label(cell, key, label.start, label.end, label.value_end, label.closed, label.size + heads[0].size)
                ]
        return []

    def _find(self, cell: Cell) -> list[Label]:
        text = _PERCENT.sub(lambda m: " " * len(m.group()), cell.text)
        found = tokens(text)
        labels: list[Label] = []
        at = after_label = 0
        while at < len(found):
            size = self._longest(text, found, at)
            if size and (label := self._label(cell, text, found, at, size, after_label=at == after_label)):
                labels.append(label)
                at += size
                after_label = at
            else:
                at += 1
        return [
            Label(a.cell, a.key, a.start, a.end, b.start if b else len(cell.text), a.closed, a.size)
            for a, b in zip_longest(labels, labels[1:])
        ]

    def _longest(self, text: str, found: list[Token], at: int) -> int:
        """How many tokens from `at` are a label; 0 if none."""
        run = 0
        best = 0
        key: set[str] = set()
        for token in found[at : at + MAX_WORDS]:
            if (
                token.name not in self._words
                or token.name in key
                or (run and ":" in text[found[at + run - 1].end : token.start])
            ):
                break
            run += 1
            key.add(token.name)
            if frozenset(key) in self._keys:
                best = run
        if (
            best
            and best < run
            and found[at + best].name in _ATTRIBUTES
            and not _CLOSED.match(text, found[at + best - 1].end)
        ):
            return 0  # a longer label that nobody knows
        return best

    def _label(
        self, cell: Cell, text: str, found: list[Token], at: int, size: int, *, after_label: bool
    ) -> Label | None:
        start, end = found[at].start, found[at + size - 1].end
        closed = _CLOSED.match(text, end) is not None
        before = text[:start]
        begins = not before.strip(" .-*([#<>'\"/") or _BOUNDARY.search(before) is not None or after_label
        tail = _TAIL.match(text, end)
        stop = tail.end() if tail else end
        key = frozenset(token.name for token in found[at : at + size])
        ends = stop >= len(text.rstrip()) and key & _SUMS and not any(c.isdigit() for c in before)
        # In the middle of words it is the end of a longer label that nobody knows: `Alt Order #:`.
        after_value = closed and any(c.isdigit() for c in before)
        if not (begins or after_value or ends):
            return None
        return Label(
            cell,
            key,
            start,
            stop,
            len(text),
            closed or stop >= len(text.rstrip()),
            size,
        )
