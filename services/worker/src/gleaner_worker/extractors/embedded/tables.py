"""Lines of an invoice: columns by their headings, rows by the column that has a number in each of them."""

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal

from gleaner.v1 import schemas_pb2
from gleaner_values import DecimalMark, find_amounts, find_numbers, letters
from gleaner_worker.extractors.embedded.candidates import Candidate, best_first, labelled
from gleaner_worker.extractors.embedded.cells import Cell, Span, rows_of
from gleaner_worker.extractors.embedded.headings import Column, Table, find_tables
from gleaner_worker.extractors.embedded.labels import Labels
from gleaner_worker.extractors.embedded.lexicon import CONCEPTS, Key
from gleaner_worker.extractors.embedded.readers import pieces
from gleaner_worker.extractors.embedded.search import Search
from gleaner_worker.extractors.embedded.targets import Target, target

Row = dict[str, Candidate]

_SUM_KEYS: frozenset[Key] = frozenset(
    k for name in ("line_total", "net_total", "tax_total", "total", "amount_due", "sub_total") for k in CONCEPTS[name].keys
)
_ANCHORS = ("quantity", "net_amount", "unit_price", "gross_amount")
_NUMERIC = frozenset({"number", "amount"})
_MOST_ROWS = 500
_AGREES = Decimal("0.02")


def rows_for(
    search: Search, group: schemas_pb2.FieldGroup, field: schemas_pb2.Field
) -> Sequence[Mapping[str, Candidate]]:
    """The elements of an ARRAY, each by the names of its members; by `` where elements are no objects."""
    if field.items.type != schemas_pb2.FIELD_TYPE_OBJECT:
        return [{"": candidate} for candidate in _single_values(search, group, field)]
    members = {member.name: target(member.name, member, ()) for member in field.items.fields}
    rows: list[Row] = []
    for table in find_tables(search.sheet, search.labels, members):
        rows += _rows(search, table, members)
    return rows[:_MOST_ROWS]


def _single_values(search: Search, group: schemas_pb2.FieldGroup, field: schemas_pb2.Field) -> list[Candidate]:
    wanted = target(field.name, field.items, (group.name, field.name))
    keys = dict(wanted.keys) | target(field.name, field, (group.name,)).keys
    distinct: dict[str, Candidate] = {}
    for candidate in best_first(labelled(search.sheet, search.labels, keys, wanted.kind, field.items)):
        if candidate.score >= 0.7:
            distinct.setdefault(letters(candidate.text), candidate)
    return sorted(distinct.values(), key=lambda c: (c.cell.index, c.spans[0].start))


def _rows(search: Search, table: Table, members: Mapping[str, Target]) -> list[Row]:
    body = list(_body(search.labels, table))
    filled = [_by_column(table.columns, row) for row in body]
    anchor = _anchor(table, filled)
    if anchor is None:
        return []
    starts = [i for i, cells in enumerate(filled) if _number_in(cells.get(anchor, ()))]
    rows = []
    for start, stop in zip(starts, [*starts[1:], len(filled)], strict=True):
        row = _row(table, filled[start:stop], members, search.conventions.decimal_mark)
        if row:
            rows.append(row)
    return rows


def _body(labels: Labels, table: Table) -> Iterator[list[Cell]]:
    """The printed rows under the headings, up to the sums."""
    for row in rows_of(table.cells):
        first = labels.of_cell.get(row[0].index, [])
        if first and first[0].start <= 1 and first[0].key in _SUM_KEYS and any(c.amounts for c in row):
            return
        if any(
            label.key in _SUM_KEYS and label.start <= 1 and (label.closed or labels.is_label(cell))
            for cell in row[:-1]
            for label in labels.of_cell.get(cell.index, ())[:1]
        ):
            return
        yield row


def _by_column(columns: Sequence[Column], row: Sequence[Cell]) -> dict[str, list[Span]]:
    """The spans of a row by the name of the column they stand in."""
    filled: dict[str, list[Span]] = {}
    for cell in row:
        for span in _parts(columns, cell):
            column = _column_of(columns, cell.x_at(span.start), _right_edge(span))
            if column is not None:
                filled.setdefault(column.name, []).append(span)
    return filled


def _parts(columns: Sequence[Column], cell: Cell) -> list[Span]:
    """A cell as one span, or as several where its words are numbers that stand in different columns."""
    whole = cell.span(0, len(cell.text))
    if len(cell.words) == 1:
        return [whole]
    spans: list[Span] = []
    last: Column | None = None
    for at, word in zip(cell.starts, cell.words, strict=True):
        span = cell.span(at, at + len(word.text))
        column = _column_of(columns, cell.x_at(at), _right_edge(span))
        standalone = any(c.isdigit() for c in word.text)
        if spans and (column is last or not (standalone or any(c.isdigit() for c in spans[-1].text))):
            spans[-1] = cell.span(spans[-1].start, span.end)
        else:
            spans.append(span)
            last = column
    return spans


def _right_edge(span: Span) -> float:
    return span.cell.x1 if span.end >= len(span.cell.text) else span.cell.x_at(max(span.end - 1, span.start))


def _column_of(columns: Sequence[Column], x0: float, x1: float) -> Column | None:
    best = max(columns, key=lambda c: (min(x1, c.x1) - max(x0, c.x0)))
    overlap = min(x1, best.x1) - max(x0, best.x0)
    if overlap > 0:
        return best
    left = [c for c in columns if c.x0 <= x0]
    if overlap > -20:
        return best
    return left[-1] if left else None


def _anchor(table: Table, filled: Sequence[Mapping[str, Sequence[Span]]]) -> str | None:
    hits = {
        name: sum(_number_in(cells.get(name, ())) for cells in filled)
        for name in _ANCHORS
        if any(c.name == name for c in table.columns)
    }
    most = max(hits.values(), default=0)
    return next((name for name, count in hits.items() if count and count >= 0.7 * most), None)


def _number_in(spans: Sequence[Span]) -> bool:
    return any(find_numbers(span.text) or find_amounts(span.text) for span in spans)


def _row(
    table: Table, lines: Sequence[Mapping[str, Sequence[Span]]], members: Mapping[str, Target], mark: DecimalMark
) -> Row:
    row: Row = {}
    for name, wanted in members.items():
        column = table.column_of_member.get(name)
        if column is None:
            continue
        if wanted.kind in _NUMERIC or wanted.kind == "date":
            found = _first_value(wanted, [span for line in lines for span in line.get(column, ())])
        else:
            found = _text(lines, column)
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


def _text(lines: Sequence[Mapping[str, Sequence[Span]]], column: str) -> Candidate | None:
    """The text of a row's column: its first line, and the next ones where that one plainly goes on."""
    spans: list[Span] = []
    for line in lines[:4]:
        here = [span for span in line.get(column, ()) if any(c.isalpha() for c in span.text)]
        if not here:
            if spans:
                break
            continue
        if spans and not _goes_on(spans[-1], here[0]):
            break
        spans += here
    return Candidate(tuple(spans), 0.75, "table") if spans else None


def _goes_on(span: Span, following: Span) -> bool:
    near = following.cell.y0 - span.cell.y1 < 1.2 * span.cell.height
    text = following.text.lstrip()
    return near and (span.text.rstrip().endswith((",", "-", "&", "/")) or text[:1].islower() or text.startswith("("))


def _weighed(row: Row, table: Table, mark: DecimalMark) -> Row:
    """The row, surer where quantity times price is the amount."""
    values: dict[str, Decimal] = {}
    for name, candidate in row.items():
        if amounts := find_amounts(candidate.text):
            values[table.column_of_member[name]] = amounts[0].settled(mark)
    quantity, price = values.get("quantity"), values.get("unit_price")
    amount = values.get("net_amount", values.get("gross_amount"))
    if quantity is None or price is None or amount is None:
        return row
    agrees = abs(quantity * price - amount) <= _AGREES * max(abs(amount), 1)
    return {name: c.worth(c.score + (0.15 if agrees else -0.1)) for name, c in row.items()}
