"""Amounts of money as they are printed, with their currency where one stands beside them."""

import re
from dataclasses import dataclass
from decimal import Decimal

from gleaner_values.numbers import AFTER, BEFORE, UNSIGNED, DecimalMark, readings, settled
from gleaner_values.text import fold


@dataclass(frozen=True, slots=True)
class AmountReading:
    """A printed amount: where it stands in the text, what it may mean, likeliest first, and its currency.

    The span holds sign, brackets and currency. `currency` is an ISO 4217 code, empty if none stands beside the number
    or the sign is shared by several (`kr`). `decimals` counts the digits printed after the decimal mark, by the
    likeliest reading.
    """

    start: int
    end: int
    text: str
    number: str
    values: tuple[Decimal, ...]
    currency: str
    has_currency_sign: bool

    def settled(self, mark: DecimalMark) -> Decimal:
        """The value by this decimal mark, or the likeliest if nothing is known."""
        return settled(self.number, self.values, mark)

    @property
    def decimals(self) -> int:
        """How many digits stand after the decimal mark."""
        exponent = self.values[0].as_tuple().exponent
        return -exponent if isinstance(exponent, int) and exponent < 0 else 0


@dataclass(frozen=True, slots=True)
class CurrencyReading:
    """A printed currency: where it stands in the text, and its ISO 4217 code."""

    start: int
    end: int
    text: str
    code: str


CODES = frozenset(
    [
        "AED",
        "ARS",
        "AUD",
        "BGN",
        "BRL",
        "CAD",
        "CHF",
        "CLP",
        "CNY",
        "COP",
        "CZK",
        "DKK",
        "EGP",
        "EUR",
        "GBP",
        "HKD",
        "HRK",
        "HUF",
        "IDR",
        "ILS",
        "INR",
        "ISK",
        "JPY",
        "KES",
        "KRW",
        "KWD",
        "MAD",
        "MXN",
        "MYR",
        "NGN",
        "NOK",
        "NZD",
        "PEN",
        "PHP",
        "PKR",
        "PLN",
        "QAR",
        "RON",
        "RSD",
        "RUB",
        "SAR",
        "SEK",
        "SGD",
        "THB",
        "TND",
        "TRY",
        "TWD",
        "UAH",
        "USD",
        "VND",
        "ZAR",
    ]
)
_SIGNS = {
    "€": "EUR", "euro": "EUR", "euros": "EUR", "eur": "EUR", "$": "USD", "us$": "USD", "dollar": "USD",
    "dollars": "USD", "£": "GBP", "pound": "GBP", "pounds": "GBP", "¥": "JPY", "yen": "JPY", "₹": "INR", "rs": "INR",
    "rs.": "INR", "rupees": "INR", "rm": "MYR", "ringgit": "MYR", "fr.": "CHF", "sfr.": "CHF", "sfr": "CHF",
    "franken": "CHF", "zł": "PLN", "zl": "PLN", "kč": "CZK", "kc": "CZK", "ft": "HUF", "r$": "BRL", "c$": "CAD",
    "a$": "AUD", "s$": "SGD", "hk$": "HKD", "nt$": "TWD", "nz$": "NZD", "₺": "TRY", "₽": "RUB", "₩": "KRW", "₫": "VND",
    "฿": "THB", "₪": "ILS", "kr": "", "kr.": "",
}  # fmt: skip
_WORDS = "|".join(
    re.escape(sign)
    for sign in sorted((*_SIGNS, *(c.lower() for c in CODES)), key=len, reverse=True)
    if sign[0].isalpha()
)
_SYMBOLS = "[€$£¥₹₺₽₩₫฿₪]"
_CURRENCY_BEFORE = rf"(?:(?<![^\W\d_])(?:{_WORDS})|{_SYMBOLS})"
_CURRENCY_AFTER = rf"(?:{_SYMBOLS}|(?:{_WORDS})(?![^\W_]))"
_AMOUNT = re.compile(
    rf"(?P<open>\(\s?)?(?P<sign>(?<![\w])[-−–+]\s?)?(?P<before>{_CURRENCY_BEFORE}\s?:?\s?)?(?P<inner>[-−–]\s?)?"
    rf"(?:(?<=[^\W\d_])|{BEFORE})(?P<number>{UNSIGNED}){AFTER}"
    rf"(?P<round>[.,][-–—]{{1,2}})?(?P<trailing>\s?[-−](?![\w-]))?(?P<after>\s?{_CURRENCY_AFTER})?(?P<close>\s?\))?"
    r"(?P<percent>\s?%)?",
    re.IGNORECASE,
)
_CODE = re.compile(rf"(?<![^\W_])(?:{_WORDS})(?![^\W_])|{_SYMBOLS}", re.IGNORECASE)


def find_amounts(text: str) -> list[AmountReading]:
    """Every amount in the text, left to right; not percentages, nor what is part of a date, time or id."""
    return [amount for match in _AMOUNT.finditer(text) if (amount := _read(match))]


def find_currencies(text: str) -> list[CurrencyReading]:
    """Every currency named in the text by code, sign or word; codes of three letters only in capitals."""
    return [
        CurrencyReading(match.start(), match.end(), printed, code)
        for match in _CODE.finditer(text)
        if (printed := match.group())
        and (printed.isupper() or not printed.isalpha() or len(printed) > 3 or printed == text)
        and (code := _code(printed))
    ]


def currency_of(text: str) -> str:
    """The first currency named in the text, as an ISO 4217 code; empty if there is none."""
    return next((found.code for found in find_currencies(text)), "")


def _read(match: re.Match[str]) -> AmountReading | None:
    before, after = (match["before"] or "").strip(" :"), (match["after"] or "").strip()
    number, text, end = match["number"], match.string, match.end()
    preceded = match.start("number") > 0 and text[match.start("number") - 1].isalpha()
    if match["percent"] or (preceded and not before):
        return None
    if not after and end < len(text) and text[end].isalpha() and not re.search(r"[.,]\d\d$", number):
        return None  # `3pcs`, `2nd`; but a tax letter may be glued to an amount: `12.00S`
    negative = (
        any((match[part] or "").strip() in ("-", "−", "–") for part in ("sign", "inner", "trailing"))
        or (match["open"] and match["close"]) is not None
    )
    values = tuple(-v if negative else v for v in readings(number))
    start = match.start("open") if match["open"] and match["close"] else _start(match)
    end = end if match["open"] or not match["close"] else match.start("close")
    return AmountReading(
        start, end, text[start:end], number, values, _code(before) or _code(after), bool(before or after)
    )


def _start(match: re.Match[str]) -> int:
    return min(match.start(part) for part in ("sign", "before", "inner", "number") if match.start(part) >= 0)


def _code(printed: str) -> str:
    if not printed:
        return ""
    upper = printed.upper()
    return upper if upper in CODES else _SIGNS.get(printed.lower(), _SIGNS.get(fold(printed), ""))
