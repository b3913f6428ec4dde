"""What the rules in the protos cannot say of a schema: names, depth, size, ranges, patterns. All findings at once."""

from collections.abc import Callable, Iterable, Iterator
from datetime import date
from decimal import Decimal, InvalidOperation

from gleaner.v1 import schemas_pb2 as pb
from gleaner_core.errors import Finding
from gleaner_values.patterns import compiled

MAX_DEPTH = 5
MAX_FIELDS = 500

_NUMERIC = (pb.FIELD_TYPE_NUMBER, pb.FIELD_TYPE_INTEGER, pb.FIELD_TYPE_MONEY)
_TEXTUAL = (pb.FIELD_TYPE_STRING, pb.FIELD_TYPE_ENUM)


def findings(schema: pb.Schema, path: str) -> Iterator[Finding]:
    """Everything that is wrong with the schema; `path` is where it stands in the request."""
    yield from _duplicates(
        ((kind.name, f"{path}.document_types[{i}].name") for i, kind in enumerate(schema.document_types)), "type"
    )
    for i, kind in enumerate(schema.document_types):
        where = f"{path}.document_types[{i}]"
        groups = kind.field_groups
        yield from _duplicates(
            ((group.name, f"{where}.field_groups[{j}].name") for j, group in enumerate(groups)), "group"
        )
        for j, group in enumerate(groups):
            yield from _of_fields(group.fields, f"{where}.field_groups[{j}].fields", 1)
    if (count := sum(1 for _ in _all_fields(schema))) > MAX_FIELDS:
        yield Finding(path, "TOO_MANY_FIELDS", f"has {count} fields; at most {MAX_FIELDS} are allowed")


def _duplicates(named: Iterable[tuple[str, str]], what: str) -> Iterator[Finding]:
    seen: set[str] = set()
    for name, where in named:
        if name and name in seen:
            yield Finding(where, "DUPLICATE_NAME", f"another {what} beside it has the name {name!r}; rename one")
        seen.add(name)


def _of_fields(fields: Iterable[pb.Field], path: str, depth: int) -> Iterator[Finding]:
    listed = list(fields)
    yield from _duplicates(((field.name, f"{path}[{i}].name") for i, field in enumerate(listed)), "field")
    for i, field in enumerate(listed):
        yield from _of_field(field, f"{path}[{i}]", depth)


def _of_field(field: pb.Field, path: str, depth: int) -> Iterator[Finding]:
    if depth > MAX_DEPTH:
        yield Finding(path, "TOO_DEEP", f"is nested {depth} deep; at most {MAX_DEPTH} levels are allowed")
        return  # one finding for a whole branch
    yield from _of_enum(field, path)
    for i, validator in enumerate(field.validators):
        yield from _of_validator(validator, field, f"{path}.validators[{i}]")
    if field.HasField("items"):
        if field.items.type == pb.FIELD_TYPE_ARRAY:
            yield Finding(f"{path}.items", "ARRAY_OF_ARRAY", "is an ARRAY in an ARRAY; put an OBJECT between")
        yield from _of_field(field.items, f"{path}.items", depth + 1)
    yield from _of_fields(field.fields, f"{path}.fields", depth + 1)


def _of_enum(field: pb.Field, path: str) -> Iterator[Finding]:
    values = [(value.casefold(), f"{path}.enum_values[{i}]") for i, value in enumerate(field.enum_values)]
    for finding in _duplicates(values, "value"):
        yield Finding(finding.field, "DUPLICATE_VALUE", "is there already, but for upper and lower case")


def _of_validator(validator: pb.Validator, field: pb.Field, path: str) -> Iterator[Finding]:
    match validator.WhichOneof("rule"):
        case "pattern":
            yield from _of_pattern(validator.pattern, f"{path}.pattern")
            yield from _applies(field, _TEXTUAL, f"{path}.pattern", "a text")
        case "range":
            yield from _of_range(validator.range, field, f"{path}.range")
            yield from _applies(field, (*_NUMERIC, pb.FIELD_TYPE_DATE), f"{path}.range", "a number or a date")
        case "length":
            if 0 < validator.length.max < validator.length.min:
                yield Finding(f"{path}.length", "EMPTY_RANGE", "min is larger than max, so nothing would pass")
            yield from _applies(field, _TEXTUAL, f"{path}.length", "a text")
        case "format":
            yield from _applies(field, _TEXTUAL, f"{path}.format", "a text")


def _applies(field: pb.Field, types: tuple[int, ...], path: str, what: str) -> Iterator[Finding]:
    if field.type not in types:
        yield Finding(path, "RULE_DOES_NOT_APPLY", f"is a rule for {what}, which this field is not")


def _of_pattern(pattern: str, path: str) -> Iterator[Finding]:
    try:
        compiled(pattern)
    except ValueError as error:
        yield Finding(path, "BAD_PATTERN", f"is no RE2 expression: {error}")


def _of_range(limits: pb.Range, field: pb.Field, path: str) -> Iterator[Finding]:
    dated = field.type == pb.FIELD_TYPE_DATE
    read: Callable[[str], Decimal | date] = date.fromisoformat if dated else _decimal
    ends: list[Decimal | date] = []
    for name, text in (("min", limits.min), ("max", limits.max)):
        if text:
            try:
                ends.append(read(text))
            except ValueError:
                form = "a date like 2026-11-24" if dated else "a decimal like 0.01"
                yield Finding(f"{path}.{name}", "BAD_LIMIT", f"must be {form}, or empty for no limit")
    if len(ends) == 2 and ends[0] > ends[1]:  # type: ignore[operator]  # both dates, or both decimals
        yield Finding(path, "EMPTY_RANGE", "min is larger than max, so nothing would pass")


def _decimal(text: str) -> Decimal:
    try:
        number = Decimal(text)
    except InvalidOperation:
        raise ValueError(text) from None
    if not number.is_finite():
        raise ValueError(text)
    return number


def _all_fields(schema: pb.Schema) -> Iterator[pb.Field]:
    stack = [field for kind in schema.document_types for group in kind.field_groups for field in group.fields]
    while stack:
        field = stack.pop()
        yield field
        stack.extend(field.fields)
        if field.HasField("items"):
            stack.append(field.items)
