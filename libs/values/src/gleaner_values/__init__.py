"""Typed reading of printed values: dates, amounts, numbers, identifiers; and folding of text for comparison."""

from gleaner_values.amounts import CODES, AmountReading, CurrencyReading, currency_of, find_amounts, find_currencies
from gleaner_values.booleans import read_boolean
from gleaner_values.dates import DateOrder, DateReading, find_dates, settle_order
from gleaner_values.identifiers import (
    IdentifierReading,
    find_bics,
    find_cards,
    find_emails,
    find_ibans,
    find_phones,
    find_urls,
    find_vat_ids,
    is_bic,
    is_card_number,
    is_email,
    is_iban,
    is_phone,
    is_url,
    is_vat_id,
)
from gleaner_values.numbers import DecimalMark, NumberReading, canonical, find_numbers, settle_mark
from gleaner_values.text import fold, letters, tidy, words
from gleaner_values.typed import Conventions, parse, same_value, settle

__all__ = [
    "CODES",
    "AmountReading",
    "Conventions",
    "CurrencyReading",
    "DateOrder",
    "DateReading",
    "DecimalMark",
    "IdentifierReading",
    "NumberReading",
    "canonical",
    "currency_of",
    "find_amounts",
    "find_bics",
    "find_cards",
    "find_currencies",
    "find_dates",
    "find_emails",
    "find_ibans",
    "find_numbers",
    "find_phones",
    "find_urls",
    "find_vat_ids",
    "fold",
    "is_bic",
    "is_card_number",
    "is_email",
    "is_iban",
    "is_phone",
    "is_url",
    "is_vat_id",
    "letters",
    "parse",
    "read_boolean",
    "same_value",
    "settle",
    "settle_mark",
    "settle_order",
    "tidy",
    "words",
]
