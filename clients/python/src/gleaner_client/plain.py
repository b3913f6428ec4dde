"""A result's values as plain Python."""

import re
from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from typing import NamedTuple, TypeAlias

from gleaner.v1.results_pb2 import ExtractionResult, FieldResult, Value


class Money(NamedTuple):
    """An amount, and its ISO 4217 code if the document tells."""

    amount: Decimal
    currency: str | None


Plain: TypeAlias = "str | Decimal | int | bool | date | Money | list[Plain] | dict[str, Plain] | None"

_ELEMENT = re.compile(r"\[\d+\]$")


def values(result: ExtractionResult) -> dict[str, dict[str, dict[str, Plain]]]:
    """The values by document, field group and field; None for what was not found.

    >>> values(result)["invoice.pdf"]["totals"]["net_amount"]
    Money(amount=Decimal('1234.50'), currency='EUR')
    """
    return {document.document: _groups(document.fields) for document in result.documents}


def plain(value: Value) -> Plain:
    """One typed value; None if it is unset."""
    match value.WhichOneof("kind"):
        case "text":
            return value.text
        case "decimal":
            return Decimal(value.decimal)
        case "integer":
            return value.integer
        case "flag":
            return value.flag
        case "date":
            return date.fromisoformat(value.date)
        case "money":
            return Money(Decimal(value.money.amount), value.money.currency_code or None)
    return None


def _groups(fields: Iterable[FieldResult]) -> dict[str, dict[str, Plain]]:
    groups: dict[str, dict[str, Plain]] = {}
    for field in fields:
        group, _, name = field.path.partition(".")
        groups.setdefault(group, {})[name] = _field(field)
    return groups


def _field(field: FieldResult) -> Plain:
    if not field.children:
        return plain(field.value)
    if _ELEMENT.search(field.children[0].path):
        return [_field(child) for child in field.children]
    return {child.path.rpartition(".")[2]: _field(child) for child in field.children}
