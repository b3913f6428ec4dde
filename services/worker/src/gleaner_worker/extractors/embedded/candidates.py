"""Values that stand where a label points: behind it, to its right, below it."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from gleaner.v1 import schemas_pb2
from gleaner_values import currency_of, find_amounts, tidy
from gleaner_worker.extractors.embedded.cells import Cell, Sheet, Span
from gleaner_worker.extractors.embedded.labels import Label, Labels
from gleaner_worker.extractors.embedded.lexicon import KNOWN, Key, tokens
from gleaner_worker.extractors.embedded.readers import pieces

_MOST_BELOW = 6
_UNKNOWN = re.compile(r"[^\W\d_]{4,}")  # words between a label and a value: it may be another thing's
FREE = frozenset({"text", "name"})  # kinds that any text satisfies


@dataclass(frozen=True, slots=True)
class Candidate:
    """A value that may be the field's: its parts, one a line, how good it is, 0..1, and what led there.

    `meaning` is the value where it is not what is printed: `EUR` for a sign.
    """

    spans: tuple[Span, ...]
    score: float
    source: str
    label: Label | None = None
    meaning: str = ""

    @property
    def text(self) -> str:
        """The value as printed, single spaces between lines."""
        return tidy(" ".join(span.text for span in self.spans))

    @property
    def cell(self) -> Cell:
        """Where it begins."""
        return self.spans[0].cell

    def worth(self, score: float) -> "Candidate":
        """The same with another score."""
        return replace(self, score=score)


def labelled(
    sheet: Sheet, labels: Labels, keys: Mapping[Key, float], kind: str, field: schemas_pb2.Field
) -> list[Candidate]:
    """The candidates that labels of these keys lead to, each with its label's weight in its score."""
    return [
        candidate.worth(candidate.score * weight - (_doubt(candidate) if kind == "amount" else 0.0))
        for key, weight in keys.items()
        for label in labels.with_key(key)
        for candidate in _around(sheet, labels, label, kind, field)
    ]


def _doubt(candidate: Candidate) -> float:
    """A sum has cents or a currency; a bare whole number is rather a count."""
    has_cents = any(amount.decimals == 2 or amount.has_currency_sign for amount in find_amounts(candidate.text))
    return 0.0 if has_cents else 0.3


def best_first(candidates: Iterable[Candidate]) -> list[Candidate]:
    """Best score first; among equals what is printed first."""
    return sorted(candidates, key=lambda c: (-round(c.score, 3), c.cell.index, c.spans[0].start))


def _around(sheet: Sheet, labels: Labels, label: Label, kind: str, field: schemas_pb2.Field) -> Iterator[Candidate]:
    in_cell = labels.of_cell.get(label.cell.index, [])
    is_last = not in_cell or label.start >= in_cell[-1].start
    behind = list(_behind(label, kind, field))
    yield from behind
    if is_last and not behind:
        yield from _to_the_right(sheet, labels, label, kind, field)
    if labels.is_label(label.cell) or (kind not in FREE and not behind):
        yield from _below(sheet, labels, label, kind, field)


def _behind(label: Label, kind: str, field: schemas_pb2.Field) -> Iterator[Candidate]:
    """In the label's own cell."""
    region = label.cell.text[label.end : label.value_end]
    score = 1.0 if label.closed else 0.75 if kind in FREE else 0.95
    found = pieces(kind, region, field)
    if kind == "id":  # `Invoice (380) no. R18`: what stands in brackets is an aside
        found.sort(key=lambda piece: region[: piece[0]].rstrip().endswith("("))
    for rank, (start, end) in enumerate(found):
        distance = 0.0 if kind in FREE else min(0.1 * len(_UNKNOWN.findall(region[:start])), 0.3)
        yield _candidate(
            label, label.cell, label.end + start, label.end + end, score - 0.05 * rank - distance, "behind"
        )


def _to_the_right(
    sheet: Sheet, labels: Labels, label: Label, kind: str, field: schemas_pb2.Field
) -> Iterator[Candidate]:
    score = 0.97 if label.closed else 0.95
    rest = label.cell.text[label.end : label.value_end]
    if any(c.isalpha() for c in rest) and not currency_of(rest):
        score -= 0.2  # more words than the label knows: `Total 0% supplies`
    taken = 0
    for rank, cell in enumerate(sheet.right_of(label.cell)):
        if labels.starts_with_label(cell) or (kind in FREE and (rank > 0 and taken)):
            break
        if is_heading(cell) and not label.cell.text.rstrip().endswith(":"):
            break
        far = max(0.0, (cell.x0 - label.cell.x1) / (label.cell.height or 1) - 25) / 100
        end = _value_end(labels, cell)
        if kind in FREE:
            end = min(end, labels.trailing(cell))
        for start, stop in pieces(kind, cell.text[:end], field):
            yield _candidate(label, cell, start, stop, score - 0.05 * taken - min(far, 0.25), "right")
            taken += 1


def _below(sheet: Sheet, labels: Labels, label: Label, kind: str, field: schemas_pb2.Field) -> Iterator[Candidate]:
    cell = label.cell
    slack = cell.height
    left, right = label.x0 - slack, label.x1 + slack
    score = 0.8 if cell.text.rstrip().endswith(":") else 0.92
    if any(
        labels.is_label(other) or is_heading(other) for other in (*sheet.right_of(cell)[:1], *sheet.left_of(cell)[:1])
    ):
        score += 0.02  # one of a row of headings
    taken = 0
    last = cell
    for other in _column(sheet, cell, left, right):
        gap = (other.y0 - last.y1) / (cell.height or 1)
        if gap > 2.5 or taken >= (1 if kind in FREE else _MOST_BELOW):
            break
        if other.index in labels.of_cell and labels.starts_with_label(other) and kind in FREE:
            break
        if labels.is_label(other) or (kind in FREE and is_heading(other)):
            if taken:
                break
            score -= 0.05
            last = other
            continue
        end = _value_end(labels, other)
        begin = _column_start(other, left) if kind in FREE else 0
        for start, stop in pieces(kind, other.text[begin:end], field):
            if kind not in FREE and (other.x_at(start) > right or other.x_at(stop) < left):
                continue
            nearness = 0.0 if gap < 1.2 else 0.08 if gap < 2 else 0.2
            place = min(0.12 * taken, 0.4)
            yield _candidate(label, other, begin + start, begin + stop, score - nearness - place, "below")
        taken += 1
        last = other


def _column_start(cell: Cell, left: float) -> int:
    """Where the words of a column begin that starts at `left`, in a cell that began in the column before."""
    if cell.x0 > left - 3 * cell.height:
        return 0
    return next((at for at in cell.starts if cell.x_at(at) >= left - 0.3 * cell.height), 0)


def _column(sheet: Sheet, cell: Cell, left: float, right: float) -> list[Cell]:
    return [c for c in sheet.under(cell, left, right) if c is not cell]


def is_heading(cell: Cell) -> bool:
    """Whether the cell is made of words that labels are made of, without a digit."""
    if any(c.isdigit() for c in cell.text):
        return False
    found = tokens(cell.text)
    return bool(found) and all(token.name in KNOWN for token in found)


def _value_end(labels: Labels, cell: Cell) -> int:
    """Where the text before the first label inside a cell ends."""
    inside = [label.start for label in labels.of_cell.get(cell.index, ()) if label.closed and label.start > 1]
    return min(inside, default=len(cell.text))


def _candidate(label: Label, cell: Cell, start: int, end: int, score: float, source: str) -> Candidate:
    return Candidate((Span(cell, start, end),), score, source, label)
