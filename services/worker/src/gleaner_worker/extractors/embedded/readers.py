"""Where a value of some kind stands in a piece of text."""

import re
from collections.abc import Callable, Iterator

from gleaner.v1 import schemas_pb2
from gleaner_values import (
    IdentifierReading,
    find_amounts,
    find_bics,
    find_currencies,
    find_dates,
    find_emails,
    find_ibans,
    find_numbers,
    find_urls,
    find_vat_ids,
    parse,
    read_boolean,
)

Piece = tuple[int, int]

_ID = re.compile(r"(?<![\w.,/-])#?(?:[A-Z]{1,4} (?=\d{3}))?[^\W_][\w./#\-–\\]*")
_TAX_NUMBER = re.compile(
    r"(?<![\w.,])\d{1,5}(?:[ /]\d{1,5}){1,3}(?![\w,])|(?<![\w.,])[\d./-]{8,16}(?![\w,])"
    r"|(?<![\w])[A-Z]{1,3}\d{7,12}[A-Z]?(?!\w)"
)
# What follows a count of days, not an amount: "balance at 30 days".
_TIME = re.compile(
    r"\s*(?:days?|weeks?|months?|Tagen?|Wochen?|Monaten?|jours?|semaines?|mois|dagen|giorni|d[ií]as)\b", re.IGNORECASE
)
_LEAD = re.compile(r"^[\s:#=|*.\-–>)]+")
_PHONE = re.compile(r"(?<![\w])\+?[\d(][\d ()/.\-–]{5,20}\d(?!\w)")


def pieces(kind: str, text: str, field: schemas_pb2.Field) -> list[Piece]:
    """The parts of the text that are values of this kind, from left to right."""
    if kind == "enum":
        return [_stripped(text)] if text.strip() and parse(field, text) is not None else []
    return [piece for piece in _FINDERS.get(kind, _text)(text) if piece[1] > piece[0]]


def _dates(text: str) -> Iterator[Piece]:
    return ((d.start, d.end) for d in find_dates(text))


def _amounts(text: str) -> Iterator[Piece]:
    dates = find_dates(text)
    for amount in find_amounts(text):
        in_date = any(d.start < amount.end and amount.start < d.end for d in dates)
        if not in_date and not _TIME.match(text, amount.end):
            yield amount.start, amount.end


def _numbers(text: str) -> Iterator[Piece]:
    return ((n.start, n.end) for n in find_numbers(text))


def _ids(text: str) -> Iterator[Piece]:
    dates = find_dates(text)
    for match in _ID.finditer(text):
        end = match.start() + len(match.group().rstrip("./-–\\:"))
        token = text[match.start() : end]
        inside_date = any(d.start <= match.start() and end <= d.end for d in dates)
        followed = text[end : end + 2].strip()[:1]
        if any(c.isdigit() for c in token) and not inside_date and followed not in ("%", "€"):
            yield match.start(), end


def _text(text: str) -> Iterator[Piece]:
    start, end = _stripped(text)
    if any(c.isalnum() for c in text[start:end]):
        yield start, end


def _booleans(text: str) -> Iterator[Piece]:
    if read_boolean(text) is not None:
        yield _stripped(text)


def _currencies(text: str) -> Iterator[Piece]:
    return ((c.start, c.end) for c in find_currencies(text))


def _tax_numbers(text: str) -> Iterator[Piece]:
    for match in _TAX_NUMBER.finditer(text):
        if not find_dates(match.group()) and sum(c.isdigit() for c in match.group()) >= 7:
            yield match.span()


def _phones(text: str) -> Iterator[Piece]:
    return (m.span() for m in _PHONE.finditer(text) if sum(c.isdigit() for c in m.group()) >= 7)


def _identifiers(find: Callable[[str], list[IdentifierReading]]) -> Callable[[str], Iterator[Piece]]:
    return lambda text: ((found.start, found.end) for found in find(text))


def _stripped(text: str) -> Piece:
    lead = _LEAD.match(text)
    start = lead.end() if lead else 0
    return start, max(start, len(text.rstrip(" :;,|-–")))


_FINDERS: dict[str, Callable[[str], Iterator[Piece]]] = {
    "date": _dates,
    "amount": _amounts,
    "number": _numbers,
    "id": _ids,
    "currency": _currencies,
    "iban": _identifiers(find_ibans),
    "bic": _identifiers(find_bics),
    "vat_id": _identifiers(find_vat_ids),
    "tax_number": _tax_numbers,
    "email": _identifiers(find_emails),
    "phone": _phones,
    "url": _identifiers(find_urls),
    "boolean": _booleans,
}
