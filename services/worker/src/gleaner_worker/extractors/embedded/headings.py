"""Tables by the headings of their columns, which may stand on several lines and share a cell."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from gleaner_worker.extractors.embedded.cells import Cell, Sheet, rows_of
from gleaner_worker.extractors.embedded.labels import Labels
from gleaner_worker.extractors.embedded.lexicon import COLUMNS, KNOWN, Key, key
from gleaner_worker.extractors.embedded.targets import Target

_MOST_LINES = 4
_LEAST_COLUMNS = 3


@dataclass(frozen=True, slots=True)
class Column:
    """A column: what it holds, and the edges of its heading."""

    name: str
    x0: float
    x1: float
    key: Key


@dataclass(frozen=True, slots=True)
class Table:
    """A table: its columns from left to right, the cells under them, and the column of each member of the schema."""

    columns: tuple[Column, ...]
    cells: tuple[Cell, ...]
    column_of_member: dict[str, str]


@dataclass(frozen=True, slots=True)
class _Piece:
    """A piece of a heading: a label, or a cell of known words."""

    text: str
    x0: float
    x1: float
    y0: float
    y1: float


def find_tables(sheet: Sheet, labels: Labels, members: Mapping[str, Target]) -> list[Table]:
    """The tables whose headings name members of the schema, in reading order; one at most on a page."""
    found: list[tuple[int, Table]] = []
    for cells in sheet.by_page.values():
        best = _best_on_page(labels, cells, members)
        if best is not None:
            found.append(best)
    most = max((score for score, _ in found), default=0)
    return [table for score, table in found if score >= most - 1]


def _best_on_page(labels: Labels, cells: Sequence[Cell], members: Mapping[str, Target]) -> tuple[int, Table] | None:
    rows = rows_of(cells)
    best: tuple[int, Table] | None = None
    for index, row in enumerate(rows):
        if not any(_is_heading(labels, cell) for cell in row):
            continue
        band = [row]
        for below in rows[index + 1 : index + _MOST_LINES]:
            gap = min(c.y0 for c in below) - max(c.y1 for c in band[-1])
            if gap > 1.5 * row[0].height or not _mostly_headings(labels, below):
                break
            band.append(below)
        for size in range(1, len(band) + 1):
            table = _table(labels, band[:size], rows[index + size :], members)
            if table is not None:
                score = 2 * len(table.column_of_member) + (1 if len(table.columns) > _LEAST_COLUMNS else 0)
                if (
                    best is None
                    or score > best[0]
                    or (
                        score == best[0]
                        and size > 1
                        and band[0] is row
                        and best[1].cells[:1] != table.cells[:1]
                        and _follows(best[1], table)
                    )
                ):
                    best = score, table
    return best


def _follows(one: Table, other: Table) -> bool:
    """Whether `other` begins on the line below: the same headings, seen with one more line."""
    return set(other.cells) < set(one.cells) and len(one.cells) - len(other.cells) <= 8


def _is_heading(labels: Labels, cell: Cell) -> bool:
    return labels.is_label(cell) or (cell.index in labels.of_cell and not any(c.isdigit() for c in cell.text))


def _mostly_headings(labels: Labels, row: Sequence[Cell]) -> bool:
    if any(cell.amounts or cell.dates for cell in row):
        return False
    known = sum(_is_heading(labels, cell) or all(word in KNOWN for word in key(cell.text)) for cell in row)
    return known * 2 >= len(row)


def _table(
    labels: Labels, band: Sequence[Sequence[Cell]], rest: Sequence[Sequence[Cell]], members: Mapping[str, Target]
) -> Table | None:
    pieces = [piece for row in band for cell in row for piece in _pieces(labels, cell)]
    columns = _named(_merged(pieces))
    mapping: dict[str, str] = {}
    taken: set[str] = set()
    scored = sorted(
        (
            (_fit(wanted, column), -index, name, column)
            for name, wanted in members.items()
            for index, column in enumerate(columns)
        ),
        key=lambda entry: (-entry[0], entry[1]),
    )
    for fit, _, name, column in scored:
        if fit > 0 and name not in mapping and column.name not in taken:
            mapping[name] = column.name
            taken.add(column.name)
    numeric = any(members[name].kind in ("number", "amount") for name in mapping)
    if len(columns) < _LEAST_COLUMNS or len(mapping) < min(2, len(members)) or not numeric:
        return None
    return Table(tuple(columns), tuple(cell for row in rest for cell in row), mapping)


def _pieces(labels: Labels, cell: Cell) -> list[_Piece]:
    found = labels.of_cell.get(cell.index, [])
    if len(found) < 2:
        return [_Piece(cell.text, cell.x0, cell.x1, cell.y0, cell.y1)]
    # Words that nobody knows belong to the label behind them.
    starts = [0, *(label.end for label in found[:-1])]
    stops = [*starts[1:], len(cell.text)]
    return [
        _Piece(
            cell.text[start:stop],
            cell.x_at(start),
            cell.x1 if stop >= len(cell.text) else cell.x_at(len(cell.text[:stop].rstrip()) - 1),
            cell.y0,
            cell.y1,
        )
        for start, stop in zip(starts, stops, strict=True)
    ]


def _merged(pieces: Sequence[_Piece]) -> list[_Piece]:
    """Pieces that stand above each other as one, left to right."""
    merged: list[_Piece] = []
    for piece in sorted(pieces, key=lambda p: (p.y0, p.x0)):
        for index, other in enumerate(merged):
            common = min(piece.x1, other.x1) - max(piece.x0, other.x0)
            apart = _exact(piece.text) and _exact(other.text) and not _exact(_joined(other, piece))
            if common > 0.3 * min(piece.x1 - piece.x0, other.x1 - other.x0) and piece.y0 > other.y0 + 1 and not apart:
                merged[index] = _Piece(
                    _joined(other, piece),
                    min(piece.x0, other.x0),
                    max(piece.x1, other.x1),
                    other.y0,
                    piece.y1,
                )
                break
        else:
            merged.append(piece)
    return sorted(merged, key=lambda p: p.x0)


def _joined(one: _Piece, other: _Piece) -> str:
    return one.text[:-1] + other.text if one.text.endswith("-") else f"{one.text} {other.text}"


def _exact(text: str) -> bool:
    words = key(text)
    return any(words in keys for keys in COLUMNS.values())


def _named(pieces: Sequence[_Piece]) -> list[Column]:
    """The columns by what they hold; a heading that nobody knows keeps a name of its own."""
    columns: list[Column] = []
    taken: dict[str, int] = {}
    for index, piece in enumerate(pieces):
        words = key(piece.text)
        ranked = sorted(((_likeness(words, keys), name) for name, keys in COLUMNS.items()), reverse=True)
        name = ranked[0][1] if ranked and ranked[0][0] > 0 else f"column {index}"
        column = Column(name, piece.x0, piece.x1, words)
        if name in taken:
            # The last amount of a line is its total; of two other columns alike the first counts.
            if name == "net_amount":
                columns[taken[name]] = replace(columns[taken[name]], name=f"column {taken[name]}")
            else:
                column = replace(column, name=f"column {index}")
        taken.setdefault(column.name, index)
        taken[column.name] = index
        columns.append(column)
    return _with_amount(_with_quantity(columns))


def _with_amount(columns: list[Column]) -> list[Column]:
    """What a line costs stands last: a heading at the right that nobody knows is that, if no other one is."""
    if any(column.name in ("net_amount", "gross_amount") for column in columns) or not columns:
        return columns
    last = columns[-1]
    return [*columns[:-1], replace(last, name="net_amount")] if last.name.startswith("column ") else columns


def _with_quantity(columns: list[Column]) -> list[Column]:
    """English invoices call the quantity `amount` too: the first of two, if nothing else is a quantity."""
    names = [column.name for column in columns]
    if "quantity" in names or "net_amount" not in names:
        return columns
    for index, column in enumerate(columns[: names.index("net_amount")]):
        if column.key == frozenset({"amount"}):
            return [
                *columns[:index],
                replace(column, name="quantity", key=frozenset({"quantity"})),
                *columns[index + 1 :],
            ]
    return columns


def _likeness(words: Key, keys: Sequence[Key]) -> float:
    if words in keys:
        return 1.0 + 0.1 * len(words) - 0.001 * keys.index(words)
    inside = max((len(k) / len(words) for k in keys if k < words), default=0.0)
    return 0.5 * inside


def _fit(wanted: Target, column: Column) -> float:
    """How well a column is what a member of the schema asks for."""
    if column.key in wanted.keys:
        return 2.0 * wanted.keys[column.key]
    concept = _column_concept(wanted)
    if concept and column.name == concept:
        return 1.5
    return 0.0


def _column_concept(wanted: Target) -> str:
    names = (key(wanted.field.name), *(key(alias) for alias in wanted.field.aliases))
    for words in names:
        for name, keys in COLUMNS.items():
            if words in keys or words == key(name):
                return name
    return ""
