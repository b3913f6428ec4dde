"""Lines of an invoice: columns by their headings, rows by the column that has a number in each of them."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal

from gleaner.v1 import schemas_pb2
from gleaner_values import DecimalMark, find_amounts, find_dates, find_numbers, letters
from gleaner_worker.extractors.embedded.calibration import confidence
from gleaner_worker.extractors.embedded.candidates import Candidate, best_first, is_heading, labelled
from gleaner_worker.extractors.embedded.cells import Cell, Span, rows_of
from gleaner_worker.extractors.embedded.headings import Column, Table, find_tables
from gleaner_worker.extractors.embedded.labels import Labels
from gleaner_worker.extractors.embedded.lexicon import CONCEPTS, Key, tokens
from gleaner_worker.extractors.embedded.readers import pieces
from gleaner_worker.extractors.embedded.search import Search
from gleaner_worker.extractors.embedded.targets import Target, target

Row = dict[str, Candidate]

_SUM_KEYS: frozenset[Key] = frozenset(
    k
    for name in ("line_total", "net_total", "tax_total", "total", "amount_due", "sub_total")
    for k in CONCEPTS[name].keys
)
_SUM_WORDS = frozenset({"total", "net", "gross", "sub", "vat", "tax"})
_ANCHORS = ("quantity", "net_amount", "unit_price", "gross_amount")
_NUMERIC = frozenset({"number", "amount"})
_PARTICULAR = re.compile(r"[^:]{2,30}:|.*\d{5}")  # `Serial no.: 4711`, below the name of the thing
_MOST_ROWS = 500
_AGREES = Decimal("0.02")


def rows_for(
    search: Search, group: schemas_pb2.FieldGroup, field: schemas_pb2.Field
) -> Sequence[Mapping[str, Candidate]]:
    """The elements of an ARRAY, each by the names of its members; by `` where elements are no objects."""
    if field.items.type != schemas_pb2.FIELD_TYPE_OBJECT:
        return [{"": candidate} for candidate in _single_values(search, group, field)]
    members = {member.name: target(member.name, member, ()) for member in field.items.fields}
    rows = [row for table in find_tables(search.sheet, search.labels, members) for row in _rows(search, table, members)]
    return [{name: c.worth(confidence(members[name], c)) for name, c in row.items()} for row in rows[:_MOST_ROWS]]


def _single_values(search: Search, group: schemas_pb2.FieldGroup, field: schemas_pb2.Field) -> list[Candidate]:
    wanted = target(field.name, field.items, (group.name, field.name))
    keys = dict(wanted.keys) | target(field.name, field, (group.name,)).keys
    distinct: dict[str, Candidate] = {}
    for candidate in best_first(labelled(search.sheet, search.labels, keys, wanted.kind, field.items)):
        if candidate.score >= 0.7:
            distinct.setdefault(letters(candidate.text), candidate)
    return sorted(distinct.values(), key=lambda c: (c.cell.index, c.spans[0].start))


def _rows(search: Search, table: Table, members: Mapping[str, Target]) -> list[Row]:
    body = rows_of(table.cells)
    ends = [i for i, row in enumerate(body) if _is_sum(search.labels, row)] + [len(body)]
    sums = ends[0]
    filled = [_by_column(table.columns, row) for row in body]
    anchor = _anchor(table, filled[:sums] or filled)
    if anchor is None:
        return []
    starts = _starts(table, filled, anchor)
    texts = [c.name for c in table.columns if c.name == "description"]
    edges = [_right_edge(s) for i in starts for name in texts for near in filled[i : i + 2] for s in near.get(name, ())]
    right = max(edges, default=0.0)
    last = next((end for end in ends if starts and end > starts[-1]), len(body))
    rows = []
    for start, stop in zip(starts, [*starts[1:], last][: len(starts)], strict=True):
        row = _row(table, filled[start:stop], members, search.conventions.decimal_mark, right)
        # Below the sums only what adds up by itself is a line.
        if row and (start < sums or _agrees(row, table, search.conventions.decimal_mark)):
            rows.append(row)
    return rows


def _starts(table: Table, filled: Sequence[Mapping[str, Sequence[Span]]], anchor: str) -> list[int]:
    """Where lines begin: a number in the anchor's column, and the amount beside or right below it."""
    starts = [i for i, cells in enumerate(filled) if _number_in(cells.get(anchor, ()))]
    names = [column.name for column in table.columns]
    amount = next((name for name in ("net_amount", "gross_amount") if name in names and name != anchor), None)
    if amount is None:
        return starts
    return [i for i in starts if any(_number_in(cells.get(amount, ())) for cells in filled[i : i + 2])]


def _is_sum(labels: Labels, row: Sequence[Cell]) -> bool:
    """Whether a printed row is one of the sums under a table."""
    first = row[0]
    said = {token.name for token in tokens(first.text)}
    if said & _SUM_WORDS and is_heading(first) and any(c.amounts for c in row[1:]):
        return True
    found = labels.of_cell.get(first.index, [])
    if found and found[0].start <= 1 and found[0].key in _SUM_KEYS and any(c.amounts for c in row):
        return True
    return any(
        label.key in _SUM_KEYS and label.start <= 1 and (label.closed or labels.is_label(cell))
        for cell in row[:-1]
        for label in labels.of_cell.get(cell.index, ())[:1]
    )


def _by_column(columns: Sequence[Column], row: Sequence[Cell]) -> dict[str, list[Span]]:
    """The spans of a row by the name of the column they stand in."""
    filled: dict[str, list[Span]] = {}
    for cell in row:
        for span in _parts(columns, cell):
            column = _column_of(columns, cell.x_at(span.start), _right_edge(span))
            filled.setdefault(_by_look(columns, column, span).name, []).append(span)
    return filled


def _by_look(columns: Sequence[Column], column: Column, span: Span) -> Column:
    """Of two columns in the same place, as headings above each other make them, the one that the text looks like."""
    rivals = [
        c
        for c in columns
        if min(c.x1, column.x1) - max(c.x0, column.x0) > 0.5 * min(c.x1 - c.x0, column.x1 - column.x0)
    ]
    if len(rivals) < 2:
        return column
    letters_alone = sum(c.isalpha() for c in span.text) > sum(c.isdigit() for c in span.text) and len(span.text) > 6
    wanted = "description" if letters_alone else "article"
    return next((c for c in rivals if c.name == wanted), column)


def _parts(columns: Sequence[Column], cell: Cell) -> list[Span]:
    """A cell as one span, or with the numbers before its text, and the amounts behind it, as spans of their own."""
    words = [cell.span(at, at + len(word.text)) for at, word in zip(cell.starts, cell.words, strict=True)]
    first = next((i for i, word in enumerate(words) if not _is_number(word.text)), len(words))
    last = len(words)
    while last > first and _is_value(words[last - 1].text):
        last -= 1
    cut = _at_heading(columns, words[first:last])
    text = words[first:last]
    groups = [[word] for word in words[:first]] + [text[:cut], text[cut:]] + [[word] for word in words[last:]]
    spans: list[Span] = []
    for group in groups:
        if not group:
            continue
        span = cell.span(group[0].start, group[-1].end)
        here = _column_of(columns, cell.x_at(span.start), _right_edge(span))
        before = spans[-1] if spans else None
        if before is not None and here is _column_of(columns, cell.x_at(before.start), _right_edge(before)):
            spans[-1] = cell.span(before.start, span.end)
        else:
            spans.append(span)
    return spans


def _at_heading(columns: Sequence[Column], words: Sequence[Span]) -> int:
    """Which of the words begins where the heading of the descriptions does, in a cell that began before; 0 if none."""
    edges = [c.x0 for c in columns if c.name == "description"]
    for index, word in enumerate(words[1:], 1):
        if any(abs(word.cell.x_at(word.start) - edge) < 0.8 * word.cell.height for edge in edges):
            return index
    return 0


def _is_value(word: str) -> bool:
    """Whether a word behind a text is an amount with a fraction, or a date."""
    return bool(find_dates(word)) or (_is_number(word) and any(amount.decimals for amount in find_amounts(word)))


def _is_number(word: str) -> bool:
    return any(c.isdigit() for c in word) and not any(c.isalpha() for c in word)


def _right_edge(span: Span) -> float:
    return span.cell.x1 if span.end >= len(span.cell.text) else span.cell.x_at(max(span.end - 1, span.start))


def _column_of(columns: Sequence[Column], x0: float, x1: float) -> Column:
    """The column whose heading shares most of the width, or stands nearest."""
    return max(columns, key=lambda c: min(x1, c.x1) - max(x0, c.x0))


def _anchor(table: Table, filled: Sequence[Mapping[str, Sequence[Span]]]) -> str | None:
    present = [name for name in _ANCHORS if any(c.name == name for c in table.columns)]
    hits = {
        name: sum(
            _number_in(cells.get(name, ()))
            and any(_number_in(near.get(other, ())) for near in filled[i : i + 2] for other in present if other != name)
            for i, cells in enumerate(filled)
        )
        for name in present
    }
    most = max(hits.values(), default=0)
    return next((name for name, count in hits.items() if count and count >= 0.7 * most), None)


def _number_in(spans: Sequence[Span]) -> bool:
    return any(find_numbers(span.text) or find_amounts(span.text) for span in spans)


def _row(
    table: Table,
    lines: Sequence[Mapping[str, Sequence[Span]]],
    members: Mapping[str, Target],
    mark: DecimalMark,
    right: float,
) -> Row:
    row: Row = {}
    for name, wanted in members.items():
        column = table.column_of_member.get(name)
        if column is None:
            continue
        if wanted.kind in _NUMERIC or wanted.kind == "date":
            found = _first_value(wanted, [span for line in lines for span in line.get(column, ())])
        else:
            found = _text(lines, column, right)
        if found is not None:
            row[name] = found
    numbers = sum(members[name].kind in _NUMERIC for name in row)
    if not numbers or (len(row) < 2 and len(members) > 2):
        return {}
    return _weighed(row, table, mark)


def _first_value(wanted: Target, spans: Sequence[Span]) -> Candidate | None:
    for span in spans:
        found = pieces(wanted.kind, span.text, wanted.field)
        if found:
            start, end = found[0]
            return Candidate((Span(span.cell, span.start + start, span.start + end),), 0.8, "table")
    return None


def _text(lines: Sequence[Mapping[str, Sequence[Span]]], column: str, right: float) -> Candidate | None:
    """The text of a row's column: its first line, and the next ones where that one plainly goes on."""
    spans: list[Span] = []
    for line in lines[:4]:
        here = [span for span in line.get(column, ()) if any(c.isalpha() for c in span.text)]
        if not here:
            if spans:
                break
            continue
        if spans and not _goes_on(spans[-1], here[0], right):
            break
        spans += here
    return Candidate(tuple(spans), 0.75, "table") if spans else None


def _goes_on(span: Span, following: Span, right: float) -> bool:
    """Whether a text goes on in the line below: it says so, or its next word would not have fitted before `right`."""
    near = following.cell.y0 - span.cell.y1 < 1.2 * span.cell.height
    text = following.text.lstrip()
    first_word = (following.words[0].x1 - following.words[0].x0) / max(span.words[-1].x1 - span.words[0].x0, 1e-6)
    wide = _right_edge(span) + first_word * (_right_edge(span) - span.cell.x_at(span.start)) > right - 1
    tight = wide and following.cell.y0 - span.cell.y1 < 0.9 * span.cell.height and not _PARTICULAR.match(text)
    return near and (
        span.text.rstrip().endswith((",", "-", "&", "/")) or text[:1].islower() or text.startswith("(") or tight
    )


def _weighed(row: Row, table: Table, mark: DecimalMark) -> Row:
    """The row, surer where quantity times price is the amount."""
    agrees = _agrees(row, table, mark)
    if agrees is None:
        return row
    source = "table agreed" if agrees else "table"
    return {name: replace(c, score=c.score + (0.15 if agrees else -0.1), source=source) for name, c in row.items()}


def _agrees(row: Row, table: Table, mark: DecimalMark) -> bool | None:
    """Whether quantity times price is the amount; None if one of them is missing."""
    values: dict[str, Decimal] = {}
    for name, candidate in row.items():
        if amounts := find_amounts(candidate.text):
            values[table.column_of_member[name]] = amounts[0].settled(mark)
    quantity, price = values.get("quantity"), values.get("unit_price")
    amount = values.get("net_amount", values.get("gross_amount"))
    if quantity is None or price is None or amount is None:
        return None
    return abs(quantity * price - amount) <= _AGREES * max(abs(amount), Decimal(1))
