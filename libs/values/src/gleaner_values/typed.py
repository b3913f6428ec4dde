"""From a printed text to the typed value of a field, and back: whether a text is a print of a value."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation

from gleaner.v1 import results_pb2, schemas_pb2
from gleaner_values.amounts import AmountReading, currency_of, find_amounts
from gleaner_values.booleans import read_boolean
from gleaner_values.dates import DateOrder, find_dates, settle_order
from gleaner_values.numbers import DecimalMark, canonical, find_numbers, settle_mark
from gleaner_values.text import letters, tidy

_INT64 = 2**63


@dataclass(frozen=True, slots=True)
class Conventions:
    """What a document keeps to, and a single value does not tell: order of day and month, decimal mark, currency."""

    date_order: DateOrder = DateOrder.UNKNOWN
    decimal_mark: DecimalMark = DecimalMark.UNKNOWN
    currency: str = ""


def settle(texts: Sequence[str], locales: Iterable[str] = ()) -> Conventions:
    """The conventions of a document whose lines these are."""
    currencies = [code for text in texts if (code := currency_of(text))]
    currency = max(currencies, key=currencies.count) if currencies else ""
    return Conventions(settle_order(texts, locales), settle_mark(texts), currency)


def parse(field: schemas_pb2.Field, text: str, conventions: Conventions = Conventions()) -> results_pb2.Value | None:
    """The value of a field of this type that the text holds; None if it holds none."""
    read = _READERS.get(field.type)
    return read(field, text, conventions) if read and text.strip() else None


def same_value(value: results_pb2.Value, text: str) -> bool:
    """Whether the text is a print of the value: some reading of it means the same, or it has the same letters."""
    match value.WhichOneof("kind"):
        case "date":
            return any(date.fromisoformat(value.date) in found.values for found in find_dates(text))
        case "money":
            return _is_amount(_decimal(value.money.amount), text)
        case "decimal":
            return _is_number(_decimal(value.decimal), text)
        case "integer":
            return _is_number(Decimal(value.integer), text)
        case "flag":
            return read_boolean(text) is value.flag
        case "text":
            return letters(value.text) == letters(text) != ""
    return False


def _text(field: schemas_pb2.Field, text: str, _: Conventions) -> results_pb2.Value | None:
    return results_pb2.Value(text=tidy(text))


def _number(field: schemas_pb2.Field, text: str, conventions: Conventions) -> results_pb2.Value | None:
    for number in find_numbers(text):
        return results_pb2.Value(decimal=canonical(number.settled(conventions.decimal_mark)))
    amount = _amount(text)  # a number with a unit of money glued to it
    return results_pb2.Value(decimal=canonical(amount.settled(conventions.decimal_mark))) if amount else None


def _integer(field: schemas_pb2.Field, text: str, conventions: Conventions) -> results_pb2.Value | None:
    for number in find_numbers(text):
        value = number.settled(conventions.decimal_mark)
        if value == value.to_integral_value() and -_INT64 <= value < _INT64:
            return results_pb2.Value(integer=int(value))
    return None


def _boolean(field: schemas_pb2.Field, text: str, _: Conventions) -> results_pb2.Value | None:
    flag = read_boolean(text)
    return None if flag is None else results_pb2.Value(flag=flag)


def _date(field: schemas_pb2.Field, text: str, conventions: Conventions) -> results_pb2.Value | None:
    for found in find_dates(text):
        return results_pb2.Value(date=found.settled(conventions.date_order).isoformat())
    return None


def _money(field: schemas_pb2.Field, text: str, conventions: Conventions) -> results_pb2.Value | None:
    amount = _amount(text)
    if amount is None:
        return None
    number = canonical(amount.settled(conventions.decimal_mark))
    currency = amount.currency or currency_of(text) or conventions.currency
    return results_pb2.Value(money=results_pb2.Money(amount=number, currency_code=currency))


def _enum(field: schemas_pb2.Field, text: str, _: Conventions) -> results_pb2.Value | None:
    printed = letters(text)
    for allowed in field.enum_values:
        if letters(allowed) == printed:
            return results_pb2.Value(text=allowed)
    padded = f" {text.casefold()} "
    held = [allowed for allowed in field.enum_values if f" {allowed.casefold()} " in padded]
    return results_pb2.Value(text=max(held, key=len)) if held else None


_READERS = {
    schemas_pb2.FIELD_TYPE_STRING: _text,
    schemas_pb2.FIELD_TYPE_NUMBER: _number,
    schemas_pb2.FIELD_TYPE_INTEGER: _integer,
    schemas_pb2.FIELD_TYPE_BOOLEAN: _boolean,
    schemas_pb2.FIELD_TYPE_DATE: _date,
    schemas_pb2.FIELD_TYPE_MONEY: _money,
    schemas_pb2.FIELD_TYPE_ENUM: _enum,
}


def _amount(text: str) -> AmountReading | None:
    """The amount a text means: one with a currency before one without, one with a fraction before a whole number."""
    amounts = find_amounts(text)
    return max(amounts, key=lambda a: (a.has_currency_sign, a.decimals == 2), default=None)


def _is_amount(value: Decimal | None, text: str) -> bool:
    return value is not None and any(value in found.values for found in find_amounts(text))


def _is_number(value: Decimal | None, text: str) -> bool:
    return value is not None and any(value in found.values for found in find_numbers(text))


def _decimal(text: str) -> Decimal | None:
    try:
        return Decimal(text)
    except InvalidOperation:
        return None
