"""Identifiers with a form of their own: bank accounts, VAT numbers, addresses of mail and web, cards.

A reading says whether its check digits hold; a wrong one is kept, for a printed id is what the document says, and the
reader of a scan errs.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

import phonenumbers
from stdnum import bic, iban, luhn
from stdnum.ch import uid
from stdnum.eu import vat
from stdnum.gb import vat as gb_vat


@dataclass(frozen=True, slots=True)
class IdentifierReading:
    """A printed identifier: where it stands, its compact form, and whether its check digits hold."""

    start: int
    end: int
    text: str
    value: str
    valid: bool


# Lengths of the ISO 13616 registry.
_IBAN_LENGTHS = {
    "AD": 24, "AE": 23, "AL": 28, "AT": 20, "BA": 20, "BE": 16, "BG": 22, "BR": 29, "CH": 21, "CY": 28, "CZ": 24,
    "DE": 22, "DK": 18, "EE": 20, "ES": 24, "FI": 18, "FO": 18, "FR": 27, "GB": 22, "GE": 22, "GI": 23, "GL": 18,
    "GR": 27, "HR": 21, "HU": 28, "IE": 22, "IL": 23, "IS": 26, "IT": 27, "LI": 21, "LT": 20, "LU": 20, "LV": 21,
    "MC": 27, "MD": 24, "ME": 22, "MK": 19, "MT": 31, "NL": 18, "NO": 15, "PL": 28, "PT": 25, "RO": 24, "RS": 22,
    "SA": 24, "SE": 24, "SI": 19, "SK": 24, "SM": 27, "TN": 24, "TR": 26, "UA": 29,
}  # fmt: skip
# Body of a VAT number by the country that prefixes it, spaces and points left out.
_VAT_BODIES = {
    "AT": r"U\d{8}", "BE": r"[01]?\d{9}", "BG": r"\d{9,10}", "CY": r"\d{8}[A-Z]", "CZ": r"\d{8,10}", "DE": r"\d{9}",
    "DK": r"\d{8}", "EE": r"\d{9}", "EL": r"\d{9}", "ES": r"[A-Z0-9]\d{7}[A-Z0-9]", "FI": r"\d{8}",
    "FR": r"[A-HJ-NP-Z0-9]{2}\d{9}", "GB": r"(?:\d{9}|\d{12}|GD\d{3}|HA\d{3})", "HR": r"\d{11}", "HU": r"\d{8}",
    "IE": r"(?:\d{7}[A-W][A-I]?|\d[A-Z]\d{5}[A-W])", "IT": r"\d{11}", "LT": r"(?:\d{9}|\d{12})", "LU": r"\d{8}",
    "LV": r"\d{11}", "MT": r"\d{8}", "NL": r"\d{9}B\d\d", "PL": r"\d{10}", "PT": r"\d{9}", "RO": r"\d{2,10}",
    "SE": r"\d{12}", "SI": r"\d{8}", "SK": r"\d{10}", "CHE": r"\d{9}(?:MWST|TVA|IVA)?",
}  # fmt: skip
_VAT_BODY = {country: re.compile(body) for country, body in _VAT_BODIES.items()}
_IBAN = re.compile(r"(?<![A-Za-z0-9])([A-Z]{2}) ?\d\d(?: ?[A-Z0-9]){8,30}")
_VAT = re.compile(rf"(?<![A-Za-z0-9])({'|'.join(_VAT_BODIES)})(?=[ .-]?[A-Z0-9])(?:[ .-]?[A-Z0-9]){{4,16}}")
_BIC = re.compile(r"(?<![A-Za-z0-9])[A-Z]{6}[A-Z0-9]{2}(?:[A-Z0-9]{3})?(?![A-Za-z0-9])")
_EMAIL = re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@(?:[\w-]{1,63}\.){1,8}[A-Za-z]{2,24}(?![\w-])")
_URL = re.compile(r"(?<![\w.@])(?:https?://|www\.)[^\s<>\"'()]{3,2000}", re.IGNORECASE)
_CARD = re.compile(r"(?<![\d-])\d(?:[ -]?\d){11,18}(?![\d-])")
_GAPS = re.compile(r"[\s.\-]+")


def find_ibans(text: str) -> list[IdentifierReading]:
    """Bank accounts in the text. One ends where its country's length is reached, whatever stands behind it."""
    return [reading for match in _IBAN.finditer(text) if (reading := _iban(match))]


def find_vat_ids(text: str) -> list[IdentifierReading]:
    """VAT numbers with the prefix of a European country, spaced or not."""
    return [reading for match in _VAT.finditer(text) if (reading := _vat(match))]


def find_bics(text: str) -> list[IdentifierReading]:
    """Business identifier codes, in capitals; `valid` if the country is one."""
    return [_plain(m, m.group(), bool(bic.is_valid(m.group()))) for m in _BIC.finditer(text)]


def find_emails(text: str) -> list[IdentifierReading]:
    """Mail addresses."""
    return [_plain(m, m.group(), True) for m in _EMAIL.finditer(text)]


def find_urls(text: str) -> list[IdentifierReading]:
    """Web addresses, with a scheme or beginning with `www.`."""
    return [
        IdentifierReading(m.start(), m.start() + len(url), url, url, True)
        for m in _URL.finditer(text)
        if (url := m.group().rstrip(".,;:!?"))
    ]


def find_cards(text: str) -> list[IdentifierReading]:
    """Payment card numbers: 12 to 19 digits; `valid` by the Luhn digit."""
    cards = []
    for match in _CARD.finditer(text):
        digits = _GAPS.sub("", match.group())
        cards.append(_plain(match, digits, bool(luhn.is_valid(digits))))
    return cards


def find_phones(text: str, region: str | None = None) -> list[IdentifierReading]:
    """Telephone numbers, in E.164; national ones need the ISO 3166 `region` they are printed in."""
    leniency = phonenumbers.Leniency.POSSIBLE if region else phonenumbers.Leniency.VALID
    return [
        IdentifierReading(
            m.start,
            m.end,
            m.raw_string,
            phonenumbers.format_number(m.number, phonenumbers.PhoneNumberFormat.E164),
            phonenumbers.is_valid_number(m.number),
        )
        for m in phonenumbers.PhoneNumberMatcher(text, region, leniency=leniency)
    ]


def is_iban(text: str) -> bool:
    """Whether the whole text is an IBAN whose check digits hold (ISO 7064 mod 97-10)."""
    compact = _GAPS.sub("", text).upper()
    return _IBAN_LENGTHS.get(compact[:2]) == len(compact) and bool(iban.is_valid(compact, check_country=False))


def is_bic(text: str) -> bool:
    """Whether the whole text is a business identifier code."""
    return bool(bic.is_valid(text.strip()))


def is_vat_id(text: str) -> bool:
    """Whether the whole text is a VAT number whose check digits hold."""
    compact = _GAPS.sub("", text).upper()
    checks: list[Callable[[str], bool]] = [vat.is_valid]
    if compact.startswith("GB"):
        checks = [lambda value: gb_vat.is_valid(value[2:])]
    elif compact.startswith("CHE"):
        checks = [lambda value: uid.is_valid(value[:12])]
    return any(check(compact) for check in checks)


def is_email(text: str) -> bool:
    """Whether the whole text is a mail address."""
    return _EMAIL.fullmatch(text.strip()) is not None


def is_url(text: str) -> bool:
    """Whether the whole text is an http or https address."""
    return _URL.fullmatch(text.strip()) is not None


def is_phone(text: str, region: str | None = None) -> bool:
    """Whether the whole text is a possible telephone number; without region or `+`, one of 5 to 15 digits."""
    try:
        return bool(phonenumbers.is_possible_number(phonenumbers.parse(text, region)))
    except phonenumbers.NumberParseException:
        digits = re.sub(r"[\s()/.\-]", "", text)
        return digits.isdigit() and 5 <= len(digits) <= 15


def is_card_number(text: str) -> bool:
    """Whether the whole text is a card number whose Luhn digit holds."""
    return _CARD.fullmatch(text.strip()) is not None and bool(luhn.is_valid(_GAPS.sub("", text)))


def _iban(match: re.Match[str]) -> IdentifierReading | None:
    length = _IBAN_LENGTHS.get(match[1])
    if length is None:
        return None
    printed = match.group()
    taken = end = 0
    for end, character in enumerate(printed, 1):  # noqa: B007
        taken += character != " "
        if taken == length:
            break
    printed = printed[:end]
    compact = printed.replace(" ", "")
    return IdentifierReading(match.start(), match.start() + len(printed), printed, compact, is_iban(compact))


def _vat(match: re.Match[str]) -> IdentifierReading | None:
    country, printed = match[1], match.group()
    body = _VAT_BODY[country]
    # The number may be followed by a word that looks like more of it: take the longest start that fits.
    for end in range(len(printed), len(country), -1):
        at_boundary = end == len(printed) or not (printed[end - 1].isalnum() and printed[end].isalnum())
        compact = _GAPS.sub("", printed[:end])
        if at_boundary and printed[end - 1].isalnum() and body.fullmatch(compact[len(country) :]):
            after = match.string[match.start() + end : match.start() + end + 1]
            if after.isalnum():
                return None
            return IdentifierReading(match.start(), match.start() + end, printed[:end], compact, is_vat_id(compact))
    return None


def _plain(match: re.Match[str], value: str, valid: bool) -> IdentifierReading:
    return IdentifierReading(match.start(), match.end(), match.group(), value, valid)
