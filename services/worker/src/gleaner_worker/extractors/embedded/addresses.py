"""Postal addresses: the line with postal code and city, the street above it, and the block they stand in."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from gleaner_values import find_dates, fold
from gleaner_worker.extractors.embedded.cells import Cell, Sheet, Span
from gleaner_worker.extractors.embedded.labels import Labels
from gleaner_worker.extractors.embedded.lexicon import COMPANY_FORMS, STREET_WORDS

_CITY = r"(?P<city>[^\W\d_][^\d|●•]*?)"
_CODE = r"\d{4} ?[A-Z]{2}(?= )|\d{4,6}|\d{3} \d{2}"
_CITY_LINES = tuple(
    re.compile(form)
    for form in (
        # 1025 RX Amsterdam; D-63571 Gelnhausen; DE 12345 Beispielstadt; 41700 Dos Hermanas; 100-0001 Tokyo
        rf"^(?:[A-Z]{{1,3}}[- ]\s?)?(?P<code>{_CODE})[ ,]+{_CITY}(?:[,|(].*)?$",
        # Austin, TX 78701
        rf"^{_CITY},?\s+[A-Z]{{2}}\.?,?\s+(?P<code>\d{{5}}(?:-\d{{4}})?)(?:,? [A-Z][\w. ]{{1,20}})?$",
        # London SW1B 3BN
        rf"^(?:GB[ -])?{_CITY}[, ]+(?P<code>[A-Z]{{1,2}}\d[A-Z\d]? \d[A-Z]{{2}})$",
        # SW1B 3BN London
        rf"^(?:GB[ -])?(?P<code>[A-Z]{{1,2}}\d[A-Z\d]? \d[A-Z]{{2}})[, ]+{_CITY}$",
        # Mumbai - 400001
        rf"^{_CITY}(?: - |, )(?P<code>\d{{6}})$",
    )
)
_SEPARATOR = re.compile(r"\s+[●•·|‧∙*–—-]\s+|\s*[●•|]\s*|,\s+")
_HOUSE = re.compile(r"\d")
_MAX_LINES = 7
ATTENTION = re.compile(
    r"^(?:z\.? ?hd?\.?|attn|attention|t\.a\.v\.|c/o|att|à l'attention|herr|frau|mr|mrs|m\.|mme)\b", re.IGNORECASE
)
_PARTICULARS = re.compile(
    r"@|www\.|https?:|\b(?:tel|fax|phone|mobil|iban|bic|hrb|hra|ust|vat|tva|btw|siret|kvk|steuer|e-?mail|gln|id)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Address:
    """A postal address with the lines above it, top first; each part is a span or None."""

    lines: tuple[Cell, ...]
    name: Span | None
    street: Span | None
    postcode: Span
    city: Span
    one_line: bool = False

    @property
    def top(self) -> Cell:
        """Where the block begins."""
        return self.lines[0]


def find_addresses(sheet: Sheet, labels: Labels) -> list[Address]:
    """Every address with postal code and city, in reading order."""
    found: list[Address | None] = []
    for cell in sheet.cells:
        if len(cell.text) > 160:
            continue
        if one_line := _in_one_line(cell):
            found.append(one_line)
        elif parts := _city_line(cell, *_after_label(labels, cell)):
            found.append(_block(sheet, labels, cell, *parts))
    return [address for address in found if address is not None]


def looks_like_street(text: str) -> bool:
    """Whether a line may be a street with its number."""
    folded = fold(text)
    words = re.findall(r"[^\W\d_]+\.?|\d+", folded)
    named = any(
        w in STREET_WORDS
        or w.rstrip(".").endswith(("strasse", "str", "straat", "weg", "platz", "allee", "gasse", "laan", "ring"))
        for w in words
    )
    return (named or _HOUSE.search(text) is not None) and any(c.isalpha() for c in text)


def is_company(text: str) -> bool:
    """Whether the text has the word for a kind of company."""
    words = re.sub(r"[.,()]", " ", fold(text)).split()
    joined = re.sub(r"[.,() ]", "", fold(text))
    return any(w in COMPANY_FORMS for w in words[1:]) or joined.endswith(("sdnbhd", "gmbh", "gmbhcokg", "bv"))


def _city_line(cell: Cell, start: int, end: int) -> tuple[Span, Span] | None:
    text = cell.text[start:end]
    if find_dates(text):
        return None
    for form in _CITY_LINES:
        if (match := form.match(text)) and len(match["city"].strip()) >= 2:
            city_end = match.start("city") + len(match["city"].rstrip(" ,-"))
            return cell.span(start + match.start("code"), start + match.end("code")), cell.span(
                start + match.start("city"), start + city_end
            )
    return None


def _after_label(labels: Labels, cell: Cell) -> tuple[int, int]:
    found = labels.of_cell.get(cell.index, [])
    if found and found[0].start <= 1 and found[0].closed and found[0].has_value:
        return found[0].end, found[0].value_end
    return 0, len(cell.text)


def _in_one_line(cell: Cell) -> Address | None:
    """`Bei Spiel GmbH ● Ecke 12 ● 12345 Stadthausen`, as senders print it above the window."""
    parts: list[Span] = []
    at = 0
    for match in (*_SEPARATOR.finditer(cell.text), None):
        end = match.start() if match else len(cell.text)
        if cell.text[at:end].strip():
            parts.append(cell.span(at, end))
        at = match.end() if match else end
    for index, part in enumerate(parts[:6]):
        if index < 1:
            continue
        found = _city_line(cell, part.start, part.end)
        if found and (index >= 2 or looks_like_street(parts[0].text)):
            street = parts[index - 1] if looks_like_street(parts[index - 1].text) else None
            name = parts[0] if index >= 2 else None
            if name is not None and (colon := name.text.rfind(": ")) >= 0:
                name = cell.span(name.start + colon + 2, name.end)
            return Address((cell,), name, street, *found, one_line=True)
    return None


def _block(sheet: Sheet, labels: Labels, cell: Cell, postcode: Span, city: Span) -> Address | None:
    above = list(_lines_above(sheet, labels, cell))
    lines = [c for c in reversed(above) if not ATTENTION.match(c.text)]
    name = _bare(labels, lines[0]) if len(lines) > 1 or (lines and not looks_like_street(lines[0].text)) else None
    under = lines[1:] if name is not None else lines
    street_line = next((c for c in under if looks_like_street(_bare(labels, c).text)), under[-1] if under else None)
    street = _bare(labels, street_line) if street_line is not None else None
    if street is None and len(postcode.text) == 4 and not above:
        return None
    return Address((*reversed(above), cell), name, street, postcode, city)


def _lines_above(sheet: Sheet, labels: Labels, cell: Cell) -> Iterator[Cell]:
    """The lines of the block above `cell`, nearest first."""
    last, gap = cell, 0.0
    page = sheet.by_page[cell.page]
    for step in range(_MAX_LINES):
        reach = max(1.3 * gap, (4.5 if step < 2 else 2.2) * last.height)
        near = [
            c
            for c in page
            if c.middle < last.y0
            and last.y0 - c.y1 < reach
            and _aligned(labels, c, last)
            and c.height < 2.5 * last.height
        ]
        if not near:
            return
        found = max(near, key=lambda c: (c.middle, -abs(c.x0 - last.x0)))
        gap = last.y0 - found.y1
        if gap > 2.2 * last.height and looks_like_street(found.text) is not (step == 0):
            return  # so far above stands at most the street, or over it the name
        if _is_no_address_line(labels, found):
            return
        yield found
        if labels.starts_with_label(found):
            return
        last = found


def _is_no_address_line(labels: Labels, cell: Cell) -> bool:
    if labels.is_label(cell) or find_dates(cell.text) or _in_one_line(cell):
        return True
    if _PARTICULARS.search(cell.text) and any(c.isdigit() or c == "@" for c in cell.text):
        return True
    return ":" in cell.text and not labels.starts_with_label(cell)


def _aligned(labels: Labels, one: Cell, other: Cell) -> bool:
    if labels.starts_with_label(one) and 0 <= other.x0 - one.x0 < 8 * other.height:
        return True
    left = abs(one.x0 - other.x0) < 1.2 * other.height
    centred = abs((one.x0 + one.x1) - (other.x0 + other.x1)) / 2 < 1.0 * other.height
    right = abs(one.x1 - other.x1) < 0.8 * other.height
    return left or centred or right


def _bare(labels: Labels, cell: Cell) -> Span:
    """The text of a cell without a label before it."""
    start, end = _after_label(labels, cell)
    text = cell.text[start:end]
    stripped = text.strip(" ,;")
    begin = start + text.find(stripped)
    return cell.span(begin, begin + len(stripped))
