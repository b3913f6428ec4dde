from typing import Any

import pytest

from gleaner.v1 import schemas_pb2 as pb
from gleaner_api.schema_rules import findings
from support.requests import a_field, a_schema

FIELD = "s.document_types[0].field_groups[0].fields[0]"
NUMBER, DATE, OBJECT, ARRAY = pb.FIELD_TYPE_NUMBER, pb.FIELD_TYPE_DATE, pb.FIELD_TYPE_OBJECT, pb.FIELD_TYPE_ARRAY


def found(schema: pb.Schema) -> dict[str, str]:
    return {finding.field: finding.reason for finding in findings(schema, "s")}


def ruled(kind: "pb.FieldType.ValueType", **rule: Any) -> dict[str, str]:
    """What is wrong with a field of this type under this rule, by path from the validator."""
    where = f"{FIELD}.validators[0]."
    told = found(a_schema(a_field(type=kind, validators=[pb.Validator(**rule)])))
    return {path.removeprefix(where): reason for path, reason in told.items()}


def nested(depth: int) -> pb.Field:
    field = a_field()
    for _ in range(depth - 1):
        field = a_field(type=OBJECT, fields=[field])
    return field


def test_a_good_schema_has_no_findings() -> None:
    items = a_field("item", type=OBJECT, fields=[a_field("a"), a_field("b")])
    assert found(a_schema(a_field(), a_field("lines", type=ARRAY, items=items))) == {}


def test_names_are_unique_among_siblings_only() -> None:
    inner = a_field("twice", type=OBJECT, fields=[a_field("twice")])
    assert found(a_schema(inner)) == {}
    assert found(a_schema(a_field("x"), a_field("x"))) == {
        "s.document_types[0].field_groups[0].fields[1].name": "DUPLICATE_NAME"
    }


def test_document_types_and_groups_have_names_of_their_own() -> None:
    schema = a_schema()
    schema.document_types[0].field_groups.add().CopyFrom(schema.document_types[0].field_groups[0])
    schema.document_types.add().CopyFrom(schema.document_types[0])

    assert found(schema) == {
        "s.document_types[1].name": "DUPLICATE_NAME",
        "s.document_types[0].field_groups[1].name": "DUPLICATE_NAME",
        "s.document_types[1].field_groups[1].name": "DUPLICATE_NAME",
    }


def test_five_levels_are_allowed_and_six_are_one_finding() -> None:
    assert found(a_schema(nested(5))) == {}
    assert found(a_schema(nested(9))) == {FIELD + ".fields[0]" * 5: "TOO_DEEP"}


def test_five_hundred_fields_are_allowed_wherever_they_stand() -> None:
    def wide(count: int) -> pb.Schema:
        inner = [a_field(f"f{i}") for i in range(count - 2)]
        return a_schema(a_field("list", type=ARRAY, items=a_field("item", type=OBJECT, fields=inner)))

    assert found(wide(500)) == {}
    assert found(wide(501)) == {"s": "TOO_MANY_FIELDS"}


def test_an_array_of_arrays_is_refused() -> None:
    inner = a_field("inner", type=ARRAY, items=a_field())
    assert found(a_schema(a_field(type=ARRAY, items=inner))) == {f"{FIELD}.items": "ARRAY_OF_ARRAY"}


def test_values_of_an_enum_differ_by_more_than_case() -> None:
    field = a_field(type=pb.FIELD_TYPE_ENUM, enum_values=["Paid", "open", "PAID"])
    assert found(a_schema(field)) == {f"{FIELD}.enum_values[2]": "DUPLICATE_VALUE"}


@pytest.mark.parametrize(
    ("kind", "low", "high", "told"),
    [
        (NUMBER, "0.01", "1e6", {}),
        (NUMBER, "", "", {}),
        (NUMBER, "2", "1", {"range": "EMPTY_RANGE"}),
        (NUMBER, "1", "1", {}),
        (NUMBER, "one", "1", {"range.min": "BAD_LIMIT"}),
        (NUMBER, "NaN", "Infinity", {"range.min": "BAD_LIMIT", "range.max": "BAD_LIMIT"}),
        (DATE, "2020-01-01", "2026-12-31", {}),
        (DATE, "2026-02-30", "", {"range.min": "BAD_LIMIT"}),
        (DATE, "2026-01-02", "2026-01-01", {"range": "EMPTY_RANGE"}),
        (DATE, "5", "", {"range.min": "BAD_LIMIT"}),
        (pb.FIELD_TYPE_STRING, "1", "2", {"range": "RULE_DOES_NOT_APPLY"}),
    ],
)
def test_a_range_has_limits_of_its_fields_type(
    kind: "pb.FieldType.ValueType", low: str, high: str, told: dict[str, str]
) -> None:
    assert ruled(kind, range=pb.Range(min=low, max=high)) == told


def test_a_pattern_is_what_the_workers_engine_takes() -> None:
    assert ruled(pb.FIELD_TYPE_STRING, pattern=r"[A-Z]{2}\d+") == {}
    assert ruled(pb.FIELD_TYPE_STRING, pattern=r"(") == {"pattern": "BAD_PATTERN"}
    assert ruled(pb.FIELD_TYPE_STRING, pattern=r"(?<=a)b") == {"pattern": "BAD_PATTERN"}
    assert ruled(NUMBER, pattern="x") == {"pattern": "RULE_DOES_NOT_APPLY"}


def test_a_length_is_a_rule_for_texts() -> None:
    assert ruled(pb.FIELD_TYPE_STRING, length=pb.LengthRange(min=3)) == {}
    assert ruled(pb.FIELD_TYPE_STRING, length=pb.LengthRange(min=3, max=2)) == {"length": "EMPTY_RANGE"}
    assert ruled(DATE, length=pb.LengthRange(min=3)) == {"length": "RULE_DOES_NOT_APPLY"}
