"""The stage that asks the schema's rules of what was found. Outcomes stand beside the values, which are kept."""

from collections.abc import Iterator
from datetime import date
from decimal import Decimal

from gleaner.v1 import results_pb2, schemas_pb2
from gleaner_values import (
    currency_of,
    is_bic,
    is_card_number,
    is_email,
    is_iban,
    is_phone,
    is_url,
    is_vat_id,
)
from gleaner_values.patterns import compiled

_FORMATS = {
    schemas_pb2.VALUE_FORMAT_IBAN: ("IBAN", is_iban),
    schemas_pb2.VALUE_FORMAT_BIC: ("BIC", is_bic),
    schemas_pb2.VALUE_FORMAT_VAT_ID: ("VAT number", is_vat_id),
    schemas_pb2.VALUE_FORMAT_EMAIL: ("e-mail address", is_email),
    schemas_pb2.VALUE_FORMAT_PHONE: ("telephone number", is_phone),
    schemas_pb2.VALUE_FORMAT_URL: ("http or https address", is_url),
    schemas_pb2.VALUE_FORMAT_CURRENCY: ("currency code", lambda text: currency_of(text) == text),
    schemas_pb2.VALUE_FORMAT_CARD_NUMBER: ("card number", is_card_number),
}


def validate(result: results_pb2.ExtractionResult, schema: schemas_pb2.Schema) -> None:
    """Writes into each field's result what the field's rules say of it. May be called twice."""
    types = {kind.name: kind for kind in schema.document_types}
    for document in result.documents:
        fields = [field for group in types[document.document_type].field_groups for field in group.fields]
        for field, found in zip(fields, document.fields, strict=True):
            _validate(field, found)


def _validate(field: schemas_pb2.Field, found: results_pb2.FieldResult) -> None:
    del found.validations[:]
    found.validations.extend(_outcomes(field, found))
    for child in found.children:
        _validate(field.items if field.type == schemas_pb2.FIELD_TYPE_ARRAY else _member(field, child), child)


def _member(field: schemas_pb2.Field, child: results_pb2.FieldResult) -> schemas_pb2.Field:
    name = child.path.rpartition(".")[2]
    return next(member for member in field.fields if member.name == name)


def _outcomes(field: schemas_pb2.Field, found: results_pb2.FieldResult) -> Iterator[results_pb2.ValidationOutcome]:
    if field.required:
        there = found.HasField("value") or any(_anything(child) for child in found.children)
        yield _outcome("required", schemas_pb2.SEVERITY_ERROR, "" if there else "nothing was found")
    if found.HasField("value"):
        for validator in field.validators:
            rule = validator.WhichOneof("rule") or ""
            yield _outcome(rule, validator.severity or schemas_pb2.SEVERITY_ERROR, _wrong(validator, found))


def _anything(found: results_pb2.FieldResult) -> bool:
    return found.HasField("value") or any(_anything(child) for child in found.children)


def _outcome(rule: str, severity: "schemas_pb2.Severity.ValueType", wrong: str) -> results_pb2.ValidationOutcome:
    return results_pb2.ValidationOutcome(rule=rule, passed=not wrong, message=wrong, severity=severity)


def _wrong(validator: schemas_pb2.Validator, found: results_pb2.FieldResult) -> str:
    """What a rule finds wrong with a value, without quoting it; empty if it holds."""
    text = _text(found.value)
    match validator.WhichOneof("rule"):
        case "pattern":
            return "" if compiled(validator.pattern).fullmatch(text) else f"does not match {validator.pattern}"
        case "format":
            name, holds = _FORMATS[validator.format]
            return "" if holds(text) else f"is no valid {name}"
        case "length":
            most = validator.length.max or len(text)
            if validator.length.min <= len(text) <= most:
                return ""
            return f"has {len(text)} characters, not {validator.length.min} to {validator.length.max or 'any'}"
        case "range":
            return _out_of_range(validator.range, found.value)
        case _:
            return ""


def _out_of_range(limits: schemas_pb2.Range, value: results_pb2.Value) -> str:
    kind = date.fromisoformat if value.WhichOneof("kind") == "date" else Decimal
    measure = kind(_text(value))
    if limits.min and measure < kind(limits.min):  # type: ignore[operator]  # both are of one kind
        return f"is less than {limits.min}"
    if limits.max and measure > kind(limits.max):  # type: ignore[operator]
        return f"is more than {limits.max}"
    return ""


def _text(value: results_pb2.Value) -> str:
    kind = value.WhichOneof("kind")
    if kind == "money":
        return value.money.amount
    return str(getattr(value, kind)) if kind else ""
