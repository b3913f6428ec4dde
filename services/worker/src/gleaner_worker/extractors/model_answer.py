"""A model's answer as results. It is untrusted: types are checked, what nobody asked for is dropped, and no box is
taken from it. A value is surer if its raw text stands on the page and means the same.
"""

from collections.abc import Iterable, Mapping
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any

from gleaner.v1 import results_pb2, schemas_pb2
from gleaner_documents.pages import ReadDocument
from gleaner_values import CODES, canonical, letters, same_value, tidy

PRINTED, ELSEWHERE, UNSEEN = 0.9, 0.6, 0.4  # confidence: on the page it names, on another one, on none
_MOST_ELEMENTS = 2000
_MOST_DIGITS = 60


class Answers:
    """The answers about one document, put together; later ones fill what earlier ones left open."""

    def __init__(self, document: ReadDocument) -> None:
        self._name = document.name
        self._pages = {page.number: letters("".join(word.text for word in page.words)) for page in document.pages}
        self._dropped = 0
        self._bad: list[str] = []

    def fields(
        self, groups: Iterable[schemas_pb2.FieldGroup], answer: Mapping[str, Any]
    ) -> Iterable[results_pb2.FieldResult]:
        """The results of these groups, one for each field, found or not."""
        wanted = list(groups)
        self._dropped += len(answer.keys() - {group.name for group in wanted})
        for group in wanted:
            given = self._mapping(group.name, answer.get(group.name), {field.name for field in group.fields})
            for field in group.fields:
                yield self._field(f"{group.name}.{field.name}", field, given.get(field.name))

    def problems(self) -> list[results_pb2.Problem]:
        """What was wrong with the answers, without their content."""
        found = []
        if self._dropped:
            message = f"the model answered {self._dropped} fields that nobody asked for; they were dropped"
            found.append(results_pb2.Problem(reason="MODEL_FIELD_UNKNOWN", message=message, document=self._name))
        found += [
            results_pb2.Problem(
                reason="MODEL_VALUE_INVALID",
                message=f"the model's answer for {path} is no value of the field's type; it was dropped",
                document=self._name,
            )
            for path in self._bad
        ]
        return found

    def _field(self, path: str, field: schemas_pb2.Field, given: object) -> results_pb2.FieldResult:
        result = results_pb2.FieldResult(path=path)
        match field.type:
            case schemas_pb2.FIELD_TYPE_ARRAY:
                if given is not None and not isinstance(given, list):
                    self._bad.append(path)
                elements = given[:_MOST_ELEMENTS] if isinstance(given, list) else []
                result.children.extend(
                    self._field(f"{path}[{index}]", field.items, element) for index, element in enumerate(elements)
                )
            case schemas_pb2.FIELD_TYPE_OBJECT:
                members = self._mapping(path, given, {member.name for member in field.fields})
                result.children.extend(
                    self._field(f"{path}.{member.name}", member, members.get(member.name)) for member in field.fields
                )
            case _:
                self._fill(result, field, given)
                return result
        result.confidence = min((c.confidence for c in result.children if _found(c)), default=0.0)
        return result

    def _mapping(self, path: str, given: object, known: set[str]) -> Mapping[str, Any]:
        if given is None:
            return {}
        if not isinstance(given, dict):
            self._bad.append(path)
            return {}
        self._dropped += len(given.keys() - known)
        return given

    def _fill(self, result: results_pb2.FieldResult, field: schemas_pb2.Field, given: object) -> None:
        if given is None:
            return
        found = given if isinstance(given, dict) else {"value": given}
        if found.get("value") is None:
            return
        value = typed(field, found["value"])
        if value is None:
            self._bad.append(result.path)
            return
        raw = found.get("raw_text")
        result.value.CopyFrom(value)
        result.raw_text = tidy(raw) if isinstance(raw, str) else ""
        result.confidence = self._confidence(value, result.raw_text, found.get("page"))

    def _confidence(self, value: results_pb2.Value, raw: str, page: object) -> float:
        wanted = letters(raw)
        if not wanted or not same_value(value, raw):
            return UNSEEN
        if isinstance(page, int) and wanted in self._pages.get(page, ""):
            return PRINTED
        return ELSEWHERE if any(wanted in text for text in self._pages.values()) else UNSEEN


def typed(field: schemas_pb2.Field, given: object) -> results_pb2.Value | None:
    """What a model gave as a value of the field's type; None if it is none."""
    match field.type:
        case schemas_pb2.FIELD_TYPE_STRING if isinstance(given, str) and given.strip():
            return results_pb2.Value(text=tidy(given))
        case schemas_pb2.FIELD_TYPE_ENUM if isinstance(given, str):
            allowed = {letters(value): value for value in field.enum_values}
            chosen = allowed.get(letters(given))
            return results_pb2.Value(text=chosen) if chosen else None
        case schemas_pb2.FIELD_TYPE_BOOLEAN if isinstance(given, bool):
            return results_pb2.Value(flag=given)
        case schemas_pb2.FIELD_TYPE_DATE if isinstance(given, str):
            return _date(given)
        case schemas_pb2.FIELD_TYPE_NUMBER:
            number = _decimal(given)
            return None if number is None else results_pb2.Value(decimal=canonical(number))
        case schemas_pb2.FIELD_TYPE_INTEGER:
            return _integer(given)
        case schemas_pb2.FIELD_TYPE_MONEY:
            return _money(given)
    return None


def _date(given: str) -> results_pb2.Value | None:
    try:
        return results_pb2.Value(date=date.fromisoformat(given.strip()).isoformat())
    except ValueError:
        return None


def _decimal(given: object) -> Decimal | None:
    if isinstance(given, bool) or not isinstance(given, str | int | float) or len(str(given)) > _MOST_DIGITS:
        return None
    try:
        number = Decimal(str(given).strip())
    except InvalidOperation:
        return None
    exponent = number.as_tuple().exponent
    return number if isinstance(exponent, int) and abs(exponent) <= _MOST_DIGITS else None


def _integer(given: object) -> results_pb2.Value | None:
    number = _decimal(given)
    if number is None or number != number.to_integral_value() or not -(2**63) <= number < 2**63:
        return None
    return results_pb2.Value(integer=int(number))


def _money(given: object) -> results_pb2.Value | None:
    parts = given if isinstance(given, dict) else {"amount": given}
    amount = _decimal(parts.get("amount"))
    if amount is None:
        return None
    currency = parts.get("currency")
    code = currency.upper() if isinstance(currency, str) and currency.upper() in CODES else ""
    return results_pb2.Value(money=results_pb2.Money(amount=canonical(amount), currency_code=code))


def _found(result: results_pb2.FieldResult) -> bool:
    return result.HasField("value") or any(_found(child) for child in result.children)
