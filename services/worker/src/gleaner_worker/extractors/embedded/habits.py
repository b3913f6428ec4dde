"""What documents do without a label: a date at the top, `please pay until …`, a last row that sums up the others."""

import re
from collections.abc import Sequence
from decimal import Decimal

from gleaner_values import DecimalMark, find_amounts, words
from gleaner_worker.extractors.embedded.candidates import Candidate
from gleaner_worker.extractors.embedded.cells import Cell, Sheet, Span
from gleaner_worker.extractors.embedded.labels import Label
from gleaner_worker.extractors.embedded.lexicon import PAYMENT_WORDS, UNTIL_WORDS

_PLACE_AND_DATE = re.compile(r"^[^\W\d_][^\d,]{1,30}, ?(?:den|le|the)?\s*$", re.IGNORECASE)


def bare_dates(sheet: Sheet) -> list[Candidate]:
    """Dates without a label, the one after a place (`Berlin, den …`) before those that merely stand at the top."""
    found = []
    for cell in sheet.cells:
        for rank, date in enumerate(cell.dates[:2]):
            before = cell.text[: date.start]
            left = sheet.left_of(cell)[:1] if not before.strip() else []
            led_by_place = _PLACE_AND_DATE.match(before or (left[0].text if left else ""))
            score = 0.84 if led_by_place else 0.58 if _is_alone(cell, date.start, date.end) else 0.52
            depth = min(cell.index / max(len(sheet.cells), 1), 1.0)
            found.append(Candidate((Span(cell, date.start, date.end),), score - 0.1 * depth - 0.02 * rank, "bare"))
    return found


def bare_ranges(sheet: Sheet) -> list[Candidate]:
    """Two days with nothing but a dash between them, wherever they stand."""
    found = []
    for cell in sheet.cells:
        if len(cell.dates) == 2 and _is_alone(cell, cell.dates[0].start, cell.dates[1].end):
            depth = min(cell.index / max(len(sheet.cells), 1), 1.0)
            found += [Candidate((Span(cell, d.start, d.end),), 0.62 - 0.1 * depth, "bare") for d in cell.dates]
    return found


def until_dates(sheet: Sheet) -> list[Candidate]:
    """The day in a sentence that asks for payment until then."""
    found = []
    for cell in sheet.cells:
        if not cell.dates:
            continue
        said = set(words(cell.text))
        if said & PAYMENT_WORDS and said & UNTIL_WORDS:
            date = cell.dates[-1]
            found.append(Candidate((Span(cell, date.start, date.end),), 0.8, "sentence"))
    return found


def sums_of_columns(found: Sequence[Candidate], mark: DecimalMark) -> list[Candidate]:
    """The candidates, with the one preferred that is the sum of those above it in the same column."""
    by_label: dict[Label, list[Candidate]] = {}
    for candidate in found:
        if candidate.source == "below" and candidate.label is not None:
            by_label.setdefault(candidate.label, []).append(candidate)
    sums: dict[Span, float] = {}
    for group in by_label.values():
        ordered = sorted(group, key=lambda c: c.cell.index)
        best = max(c.score for c in ordered)
        total = Decimal(0)
        for candidate in ordered:
            amount = _amount(candidate, mark)
            if amount is None:
                continue
            if total and amount == total:
                sums[candidate.spans[0]] = best + 0.04
            total += amount
    return [c.worth(max(c.score, sums.get(c.spans[0], 0.0))) for c in found]


def _amount(candidate: Candidate, mark: DecimalMark) -> Decimal | None:
    amounts = find_amounts(candidate.text)
    return amounts[0].settled(mark) if amounts else None


def _is_alone(cell: Cell, start: int, end: int) -> bool:
    rest = cell.text[:start] + cell.text[end:]
    return sum(c.isalnum() for c in rest) <= 10
