"""The head of a receipt: the company at the top, and its address below, line by line until the particulars begin."""

import re
from collections.abc import Iterator, Sequence

from gleaner_values import find_dates, fold
from gleaner_worker.extractors.embedded.addresses import is_company
from gleaner_worker.extractors.embedded.candidates import Candidate
from gleaner_worker.extractors.embedded.cells import Cell, Sheet, Span, rows_of
from gleaner_worker.extractors.embedded.lexicon import STREET_WORDS

_MOST_ROWS = 16
_LEGAL = re.compile(
    r"(?<![^\W_])(?:s[db]n\.? ?b[hn]d|sdn|bhd|berhad|s\.?/b|sb|plt|pte\.? ltd|ltd|limited|gmbh|inc|llc|corp|plc|"
    r"b\.?v|n\.?v|s\.?a\.?r?\.?l?|s\.?l\.?u?|s\.?p\.?a|srl|ag|kg|e\.?k)(?![^\W_])\.?(?:\s?\(m\))?",
    re.IGNORECASE,
)
# What ends the head, and what only stands in between.
_ENDS = re.compile(
    r"(?<![^\W_])(?:tel|telephone|telefon|phone|fax|tax invoice|invoice|receipt|bill|date|datum|cashier|table|qty|"
    r"rechnung|quittung|facture|ticket|item|slip|check|chk|e-?mail|www|pay by|order|guest|server|pos|staff|"
    r"carry out|dine in|take ?away|take ?out|goods|thank you)(?![^\W_])|taxinvoice|tel[:.]|@|(?<!\d)0\d{1,3}[- ]\d{6}",
    re.IGNORECASE,
)
_NUMBERS = re.compile(
    r"(?<![^\W_])(?:gst|sst|vat|co\.?|company|reg|regn|roc|brn|id|no|ust|tva|siret|site|branch|outlet|licensee|store|shop)"
    r"(?![^\W_]).{0,22}?[:#]|(?<![^\W_])gst\b|licensee of|^\W*\(?\s*(?:roc|co)\b",
    re.IGNORECASE,
)
_REGISTRATION = re.compile(
    r"^\W*(?:[a-z]{0,3}\d{6,12}\s?-?\s?[a-z]{0,2}|\d{4,6}-[a-z]{1,2}|\d{4,6}[a-z]|[a-z]{2}\d{5,8}-?[a-z]?)\W*$"
    r"|^\W*(?:company|co\.?|gst|sst|roc|reg\.?|regn) (?:no|id|reg|number)\b",
    re.IGNORECASE,
)
_POSTCODE = re.compile(r"(?<!\d)\d{5}(?!\d)")
_HOUSE = re.compile(r"^\W*(?:hq|no|lot|unit|[a-z]{0,2})?[:.]?\s*-{0,2}\d+[\w/&-]*\s*[,.&\s]", re.IGNORECASE)


class Letterhead:
    """The first rows of the first page."""

    def __init__(self, sheet: Sheet) -> None:
        rows = rows_of(sheet.by_page.get(1, []))[:_MOST_ROWS]
        self._rows = list(_head(rows))
        self._company = self._find_company()

    def candidates(self, attribute: str) -> list[Candidate]:
        """The company (`name`) or its address (`address`)."""
        match attribute:
            case "name":
                return [self._company[0]] if self._company else []
            case "address":
                spans = self._address()
                sure = any(_POSTCODE.search(span.text) for span in spans)
                return [Candidate(tuple(spans), 0.85 if sure else 0.65, "letterhead")] if spans else []
        return []

    def _find_company(self) -> tuple[Candidate, int] | None:
        """The company and the row after it: a line with a legal form, else one that names a trade, else the first."""
        legal = next(
            (i for i, c in enumerate(self._rows) if _LEGAL.search(c.text) and not _NUMBERS.match(c.text)), None
        )
        if legal is not None:
            return self._with_line_before(legal), legal + 1
        for index, cell in enumerate(self._rows[:5]):
            if is_company(cell.text) and not _is_address(cell.text):
                return self._unfinished(index, 0.78)
        for index, cell in enumerate(self._rows[:5]):
            if sum(c.isalpha() for c in cell.text) >= 3 and not _is_between(cell.text):
                return self._unfinished(index, 0.68)
        return None

    def _with_line_before(self, index: int) -> Candidate:
        cell = self._rows[index]
        form = _LEGAL.search(cell.text)
        end = len(cell.text)
        if form and any(c.isdigit() for c in cell.text[form.end() :]):
            end = form.end()  # the registration behind it
        spans: tuple[Span, ...] = (Span(cell, 0, end),)
        if form and not any(c.isalpha() for c in cell.text[: form.start()]) and index:
            before = self._rows[index - 1]
            spans = (Span(before, 0, len(before.text)), *spans)
        return Candidate(spans, 0.9, "letterhead")

    def _unfinished(self, index: int, score: float) -> tuple[Candidate, int]:
        """A name without legal form goes on until a registration, if that follows."""
        cell = self._rows[index]
        spans = [Span(cell, 0, len(cell.text))]
        for ahead in (1, 2):
            if index + ahead + 1 < len(self._rows) and _REGISTRATION.match(self._rows[index + ahead + 1].text):
                between = self._rows[index + 1 : index + ahead + 1]
                if all(not any(c.isdigit() for c in b.text) for b in between):
                    spans += [Span(b, 0, len(b.text)) for b in between]
                    return Candidate(tuple(spans), score, "letterhead"), index + ahead + 1
        return Candidate(tuple(spans), score, "letterhead"), index + 1

    def _address(self) -> list[Span]:
        spans: list[Span] = []
        complete = False
        for cell in self._rows[self._company[1] if self._company else 0 :]:
            text = cell.text
            if _is_between(text):
                if complete:
                    break
                continue
            if not spans and not _is_address(text):
                continue
            if complete and any(c.isdigit() for c in text):
                break
            spans.append(Span(cell, 0, len(text)))
            complete = complete or _POSTCODE.search(text) is not None
        return spans


def _head(rows: Sequence[Sequence[Cell]]) -> Iterator[Cell]:
    """The cells of the head in reading order, up to what ends it."""
    seen = 0
    for row in rows:
        text = " ".join(cell.text for cell in row)
        if _ENDS.search(text) or find_dates(text):
            if seen >= 2:
                return
            continue
        seen += 1
        yield from row


def _is_between(text: str) -> bool:
    if _REGISTRATION.match(text):
        return True
    number = _NUMBERS.search(text)
    return number is not None and (number.start() <= 2 or not _POSTCODE.search(text))


def _is_address(text: str) -> bool:
    said = re.findall(r"[^\W\d_]+", fold(text))
    return (
        any(word in STREET_WORDS for word in said)
        or _HOUSE.match(text) is not None
        or _POSTCODE.search(text) is not None
        or text.count(",") >= 2
    )
