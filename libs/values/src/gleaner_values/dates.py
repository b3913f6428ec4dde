"""Days of the calendar as they are printed: numbers in any order, months by name in six languages.

`03/04/2021` has two readings. A document keeps to one order of day and month, so the order is settled once, from the
dates that leave no doubt (`settle_order`), and then applied to all.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from gleaner_values.text import fold


class DateOrder(StrEnum):
    """Whether day or month comes first in a date made of numbers."""

    DAY_FIRST = "DAY_FIRST"
    MONTH_FIRST = "MONTH_FIRST"
    UNKNOWN = "UNKNOWN"


@dataclass(frozen=True, slots=True)
class DateReading:
    """A printed date: where it stands in the text, and the day it means by either order.

    The two differ only where the print leaves both open; one is None where it is no day of the calendar.
    """

    start: int
    end: int
    text: str
    day_first: date | None
    month_first: date | None

    @property
    def values(self) -> tuple[date, ...]:
        """The possible days, day first before month first."""
        return tuple(dict.fromkeys(day for day in (self.day_first, self.month_first) if day is not None))

    def settled(self, order: DateOrder) -> date:
        """The day by this order, or by the only order that gives one; day first if nothing is known."""
        preferred = self.month_first if order is DateOrder.MONTH_FIRST else self.day_first
        return preferred or self.values[0]

    @property
    def order(self) -> DateOrder:
        """The order this print proves; UNKNOWN if it proves none."""
        if self.day_first == self.month_first:
            return DateOrder.DAY_FIRST if _POINTED.match(self.text) else DateOrder.UNKNOWN
        if self.month_first is None:
            return DateOrder.DAY_FIRST
        return DateOrder.MONTH_FIRST if self.day_first is None else DateOrder.UNKNOWN


_MONTHS = (
    "january jan januar jänner jän janvier janv januari enero ene gennaio gen janeiro",
    "february feb februar feber février févr fév februari febrero febbraio fevereiro",
    "march mar märz mär mrz mars maart mrt marzo março",
    "april apr avril avr abril abr aprile",
    "may mai mei mayo maggio mag maio",
    "june jun juni juin junio giugno giu junho",
    "july jul juli juillet juil julio luglio lug julho",
    "august aug août aou augustus agosto ago",
    "september sept sep septembre septiembre settembre set setembro",
    "october oct oktober okt octobre octubre ottobre ott outubro",
    "november nov novembre noviembre novembro",
    "december dec dezember dez décembre déc diciembre dic dicembre dezembro",
)
_MONTH_OF = {fold(name): number for number, names in enumerate(_MONTHS, 1) for name in names.split()}
_NAMES = sorted({form for names in _MONTHS for name in names.split() for form in (name, fold(name))}, key=len)[::-1]
_MONTH = rf"(?P<month>{'|'.join(_NAMES)})(?![^\W\d_])\.?"
_YEAR = r"(?P<year>(?:1[89]|20|21)\d\d|'?\d\d)"
_DAY = r"(?P<day>[0-3]?\d)(?:\s?(?:st|nd|rd|th|er|ste|de|e|º|°)(?![^\W\d_]))?"
_GAP = r"(?:\s?[-./,]\s?|\s{0,2})"
# After the year: no further digit, but a clock may be glued to it by a poor reading (`25/12/201820:13`).
_END = r"(?:(?!\d)|(?=[0-2]\d:[0-5]\d))"

# Nobody prints the month first with full stops between.
_POINTED = re.compile(r"\d\d?\s?\.\s?\d\d?\s?\.\s?\d")

_FORMS = tuple(
    re.compile(form, re.IGNORECASE)
    for form in (
        rf"(?<!\d)(?P<year>(?:1[89]|20|21)\d\d)\s?(?P<sep>[-./])\s?(?P<m>\d\d?)\s?(?P=sep)\s?(?P<d>\d\d?){_END}",
        rf"(?<!\d)(?P<a>\d\d?)\s?(?P<sep>[-./])\s?(?P<b>\d\d?)\s?(?P=sep)\s?(?P<year>(?:1[89]|20|21)\d\d|\d\d){_END}",
        r"(?<![\d./-])(?<!\d )(?P<a>\d\d) (?P<b>\d\d) (?P<year>(?:19|20)\d\d)(?! ?\d)(?![./-]\d)",
        rf"(?<!\d){_DAY}{_GAP}(?:(?:(?:day\s)?of|de|d'|di)\s)?{_MONTH}{_GAP}(?:(?:de|del|of)\s)?{_YEAR}{_END}",
        rf"(?<![^\W_]){_MONTH}{_GAP}{_DAY}{_GAP}{_YEAR}{_END}",
        rf"(?<!\d)(?P<year>(?:19|20)\d\d){_GAP}{_MONTH}{_GAP}{_DAY}(?!\d)",
        r"(?P<year>\d{4})\s?年\s?(?P<m>\d\d?)\s?月\s?(?P<d>\d\d?)\s?日",
        r"(?<![\w./-])(?P<year>(?:19|20)\d\d)(?P<m>0[1-9]|1[0-2])(?P<d>0[1-9]|[12]\d|3[01])(?![\w/-])(?!\.\d)",
    )
)

_THREE_DIGITS = re.compile(r"\d\D*\d\D*\d")


def find_dates(text: str) -> list[DateReading]:
    """Every date printed in the text, left to right, none overlapping another."""
    if not _THREE_DIGITS.search(text):  # `1 May 5` has no year; a date without three digits does not exist
        return []
    found = [reading for form in _FORMS for match in form.finditer(text) if (reading := _read(match))]
    found.sort(key=lambda r: (r.start, -r.end))
    kept: list[DateReading] = []
    for reading in found:
        if not kept or reading.start >= kept[-1].end:
            kept.append(reading)
    return kept


def settle_order(texts: Iterable[str], locales: Iterable[str] = ()) -> DateOrder:
    """The order of day and month in a document: by its dates that leave no doubt, else by its locales."""
    votes = {DateOrder.DAY_FIRST: 0, DateOrder.MONTH_FIRST: 0}
    for text in texts:
        for reading in find_dates(text):
            if reading.order in votes:
                votes[reading.order] += 1
    if votes[DateOrder.DAY_FIRST] != votes[DateOrder.MONTH_FIRST]:
        return max(votes, key=lambda order: votes[order])
    for locale in locales:
        return DateOrder.MONTH_FIRST if locale.lower() in ("en-us", "en-ph") else DateOrder.DAY_FIRST
    return DateOrder.UNKNOWN


def _read(match: re.Match[str]) -> DateReading | None:
    groups = match.groupdict()
    year = _year(groups["year"])
    if "a" in groups:
        separator = groups.get("sep", " ")
        if _is_part_of_longer_number(match, separator):
            return None
        a, b = int(groups["a"]), int(groups["b"])
        day_first = _day(year, b, a)
        pointed = day_first is not None and _POINTED.match(match.group())
        month_first = day_first if pointed else _day(year, a, b)
    else:
        month = int(groups["m"]) if "m" in groups else _MONTH_OF[fold(groups["month"])]
        day_first = month_first = _day(year, month, int(groups["d"] if "d" in groups else groups["day"]))
    if day_first is None and month_first is None:
        return None
    return DateReading(match.start(), match.end(), match.group(), day_first, month_first)


def _is_part_of_longer_number(match: re.Match[str], separator: str) -> bool:
    text, start, end = match.string, match.start(), match.end()
    before = start >= 2 and text[start - 1] == separator and text[start - 2].isdigit()
    after = end + 1 < len(text) and text[end] == separator and text[end + 1].isdigit()
    return before or after


def _year(printed: str) -> int:
    digits = printed.lstrip("'")
    if len(digits) == 4:
        return int(digits)
    return int(digits) + (2000 if int(digits) < 70 else 1900)


def _day(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None
