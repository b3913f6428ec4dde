"""A schema as the JSON Schema of a model's answer: each field is an object of value, raw text and page, or null."""

from collections.abc import Iterable, Iterator
from typing import Any

from gleaner.v1 import schemas_pb2

Json = dict[str, Any]

_VALUES: dict[int, Json] = {
    schemas_pb2.FIELD_TYPE_STRING: {"type": "string"},
    schemas_pb2.FIELD_TYPE_NUMBER: {"type": "string", "description": "decimal number with a point: -1234.5"},
    schemas_pb2.FIELD_TYPE_INTEGER: {"type": "integer"},
    schemas_pb2.FIELD_TYPE_BOOLEAN: {"type": "boolean"},
    schemas_pb2.FIELD_TYPE_DATE: {"type": "string", "description": "ISO 8601: 2026-11-24"},
    schemas_pb2.FIELD_TYPE_MONEY: {
        "type": "object",
        "properties": {
            "amount": {"type": "string", "description": "decimal number with a point: -1234.50"},
            "currency": {
                "type": ["string", "null"],
                "description": "ISO 4217 code, null if the document does not tell",
            },
        },
        "required": ["amount", "currency"],
        "additionalProperties": False,
    },
}


def answer_schema(groups: Iterable[schemas_pb2.FieldGroup]) -> Json:
    """The JSON Schema of an answer about these groups of fields."""
    return _object({group.name: _described(_fields(group.fields), group.description) for group in groups})


def batches(groups: Iterable[schemas_pb2.FieldGroup], most: int) -> Iterator[list[schemas_pb2.FieldGroup]]:
    """The groups in bundles of at most `most` fields, for models fail on wide schemas; a wider group goes in parts."""
    bundle: list[schemas_pb2.FieldGroup] = []
    size = 0
    for part in (part for group in groups for part in _parts(group, most)):
        count = sum(_count(field) for field in part.fields)
        if bundle and (size + count > most or part.name == bundle[-1].name):
            yield bundle
            bundle, size = [], 0
        bundle.append(part)
        size += count
    if bundle:
        yield bundle


def _parts(group: schemas_pb2.FieldGroup, most: int) -> Iterator[schemas_pb2.FieldGroup]:
    part = schemas_pb2.FieldGroup(name=group.name, description=group.description)
    size = 0
    for field in group.fields:
        if part.fields and size + _count(field) > most:
            yield part
            part = schemas_pb2.FieldGroup(name=group.name, description=group.description)
            size = 0
        part.fields.append(field)
        size += _count(field)
    yield part


def _count(field: schemas_pb2.Field) -> int:
    if field.type == schemas_pb2.FIELD_TYPE_ARRAY:
        return _count(field.items)
    return sum(_count(member) for member in field.fields) or 1


def _fields(fields: Iterable[schemas_pb2.Field]) -> Json:
    return _object({field.name: _field(field) for field in fields})


def _field(field: schemas_pb2.Field) -> Json:
    match field.type:
        case schemas_pb2.FIELD_TYPE_ARRAY:
            return _described({"type": "array", "items": _field(field.items)}, _meaning(field))
        case schemas_pb2.FIELD_TYPE_OBJECT:
            return _described(_fields(field.fields), _meaning(field))
        case schemas_pb2.FIELD_TYPE_ENUM:
            value: Json = {"type": "string", "enum": list(field.enum_values)}
        case _:
            value = _VALUES[field.type]
    found = _object(
        {
            "value": value,
            "raw_text": {"type": "string", "description": "the value exactly as it is printed"},
            "page": {"type": "integer", "description": "number of the page it is printed on"},
        }
    )
    return _described({"anyOf": [found, {"type": "null"}]}, _meaning(field))


def _meaning(field: schemas_pb2.Field) -> str:
    labels = f" Printed beside it: {', '.join(field.aliases)}." if field.aliases else ""
    return f"{field.description}{labels}".strip()


def _described(schema: Json, description: str) -> Json:
    return {**schema, "description": description} if description else schema


def _object(properties: Json) -> Json:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
