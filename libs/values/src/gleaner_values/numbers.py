"""Decimal numbers as they are printed, with points, commas, spaces or apostrophes between.

`1.234` has two readings. A document keeps to one decimal mark, settled once (`settle_mark`) from the numbers that
leave no doubt.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum


class DecimalMark(StrEnum):
    """What separates the fraction."""

    POINT = "."
    COMMA = ","
    UNKNOWN = ""


@dataclass(frozen=True, slots=True)
class NumberReading:
    """A printed number: where it stands in the text, and what it may mean, likeliest first."""

    start: int
    end: int
    text: str
    values: tuple[Decimal, ...]

    def settled(self, mark: DecimalMark) -> Decimal:
        """The value by this decimal mark, or the likeliest if nothing is known."""
        return settled(self.text, self.values, mark)


_SPACE = " \u00a0\u202f\u2009"
# Grouped by thousands, by lakhs, or not at all; with a fraction or without.
UNSIGNED = (
    rf"(?:\d{{1,3}}(?:(?P<group>[.,'’{_SPACE}])\d{{3}})(?:(?P=group)\d{{3}})*(?!\d)(?:(?!(?P=group))[.,]\d{{1,4}})?"
    r"|\d{1,2}(?:,\d\d)+,\d{3}(?:\.\d{1,4})?"
    r"|\d+(?:[.,]\d+)?"
    r"|(?<!\d)[.,]\d{1,4})"
)
BEFORE = r"(?<![^\W_])(?<!\d[.,:/'-])(?<![.,]\d)"
# A number ends where no digit follows, and no mark that joins it to one: dates, clocks and ids are none.
AFTER = r"(?!\d)(?![.,:/'’-]\d)"
_NUMBER = re.compile(
    rf"{BEFORE}(?P<sign>[-−–+]\s?)?(?P<number>{UNSIGNED}){AFTER}(?P<trailing>\s?-(?![\w-]))?(?![^\W\d_])"
)
_DIGITS = re.compile(r"\D+")


def find_numbers(text: str) -> list[NumberReading]:
    """Every number that stands by itself in the text, left to right; not those that are part of a date, time or id."""
    return [
        NumberReading(m.start(), m.end(), m.group(), _signed(readings(m["number"]), negative=_is_negative(m)))
        for m in _NUMBER.finditer(text)
    ]


def settle_mark(texts: Iterable[str]) -> DecimalMark:
    """The decimal mark of a document, by its numbers that leave no doubt; UNKNOWN if they disagree evenly."""
    votes = {DecimalMark.POINT: 0, DecimalMark.COMMA: 0}
    for text in texts:
        for number in find_numbers(text):
            mark = mark_of(number.text)
            if mark is not DecimalMark.UNKNOWN:
                votes[mark] += 1
    if votes[DecimalMark.POINT] == votes[DecimalMark.COMMA]:
        return DecimalMark.UNKNOWN
    return max(votes, key=lambda mark: votes[mark])


def mark_of(printed: str) -> DecimalMark:
    """The decimal mark this print proves; UNKNOWN if it proves none."""
    marks = [c for c in printed if c in ".,"]
    if not marks:
        return DecimalMark.UNKNOWN
    last = marks[-1]
    if len(set(marks)) == 2:
        return DecimalMark(last)
    if len(marks) > 1:  # only thousands
        return DecimalMark.COMMA if last == "." else DecimalMark.POINT
    whole, _, fraction = printed.rpartition(last)
    if len(_DIGITS.sub("", fraction)) == 3 and 0 < len(_DIGITS.sub("", whole)) <= 3:
        return DecimalMark.UNKNOWN
    return DecimalMark(last)


def readings(number: str) -> tuple[Decimal, ...]:
    """What an unsigned printed number may mean, likeliest first."""
    mark = mark_of(number)
    digits = _DIGITS.sub("", number)
    if mark is not DecimalMark.UNKNOWN:
        _, found, fraction = number.rpartition(mark)
        return (_decimal(digits, len(_DIGITS.sub("", fraction)) if found else 0),)
    if "." not in number and "," not in number:
        return (Decimal(digits),)
    as_whole, as_fraction = Decimal(digits), _decimal(digits, 3)
    return (as_fraction, as_whole) if digits.startswith("0") else (as_whole, as_fraction)


def settled(printed: str, values: tuple[Decimal, ...], mark: DecimalMark) -> Decimal:
    """The reading among `values` that fits a document's decimal mark."""
    if len(values) == 1 or mark is DecimalMark.UNKNOWN:
        return values[0]
    fractions = sorted(values, key=lambda value: value.as_tuple().exponent)
    return fractions[0] if mark in printed else fractions[-1]


def canonical(value: Decimal) -> str:
    """The number with the digits it has, never with an exponent: `-1234.50`."""
    return f"{value:f}"


def _decimal(digits: str, fraction: int) -> Decimal:
    return Decimal(digits).scaleb(-fraction) if fraction else Decimal(digits)


def _is_negative(match: re.Match[str]) -> bool:
    return (match["sign"] or "").strip() in ("-", "−", "–") or bool(match["trailing"])


def _signed(values: tuple[Decimal, ...], *, negative: bool) -> tuple[Decimal, ...]:
    return tuple(-value for value in values) if negative else values
