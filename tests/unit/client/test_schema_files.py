import json
from pathlib import Path

import pytest

from gleaner.v1 import schemas_pb2 as pb
from gleaner_client import SchemaError, load_schema
from gleaner_client.schema_files import read_schema_file

YAML = """\
document_types:
  - name: invoice
    locales: [de-DE, no]
    hints: [Rechnung]
    fieldGroups:
      - name: totals
        fields:
          - name: paid
            type: enum
            enum_values: [yes, no, 12]
          - name: due
            type: FIELD_TYPE_DATE
            required: true
            validators:
              - range: {min: 2020-01-01}
                severity: warning
          - name: lines
            type: array
            items:
              name: line
              type: object
              fields:
                - {name: iban, type: string, validators: [{format: iban}, {length: {max: 34}}]}
"""


@pytest.fixture
def write(tmp_path: Path) -> "Write":
    return Write(tmp_path)


class Write:
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, text: str, name: str = "schema.yaml") -> Path:
        path = self.folder / name
        path.write_text(text)
        return path


def test_yaml_is_read_by_what_each_field_needs(write: Write) -> None:
    [invoice] = load_schema(write(YAML)).document_types
    paid, due, lines = invoice.field_groups[0].fields
    assert list(invoice.locales) == ["de-DE", "no"]
    assert (paid.type, list(paid.enum_values)) == (pb.FIELD_TYPE_ENUM, ["yes", "no", "12"])
    assert (due.type, due.required, due.validators[0].range.min) == (pb.FIELD_TYPE_DATE, True, "2020-01-01")
    assert due.validators[0].severity == pb.SEVERITY_WARNING
    iban = lines.items.fields[0]
    assert (iban.validators[0].format, iban.validators[1].length.max) == (pb.VALUE_FORMAT_IBAN, 34)


def test_json_says_the_same(write: Write) -> None:
    from google.protobuf.json_format import MessageToDict

    schema = load_schema(write(YAML))
    assert load_schema(write(json.dumps(MessageToDict(schema)), "schema.json")) == schema


def test_json_may_be_indented_with_tabs_and_still_has_lines(write: Write) -> None:
    path = write('{\n\t"document_types": [\n\t\t{\n\t\t\t"nmae": "a"\n\t\t}\n\t]\n}', "schema.json")
    with pytest.raises(SchemaError, match=r"schema\.json:4: document_types\[0\]\.nmae: .* did you mean name\?"):
        load_schema(path)


@pytest.mark.parametrize(
    ("before", "after", "line", "said"),
    [
        ("type: enum", "type: enumm", 9, "fields[0].type: enumm is none of string, number, integer"),
        ("required: true", "requierd: true", 13, "fields[1].requierd: there is no such field; did you mean required?"),
        ("required: true", "required: perhaps", 13, "must be true or false"),
        ("{max: 34}", "{max: many}", 23, "length.max: must be a whole number"),
        ("hints: [Rechnung]", "hints: Rechnung", 4, "hints: must be a list"),
        ("iban, type: string", "iban, type: [string]", 23, "type: ['string'] is none of"),
        ("{min: 2020-01-01}", "2020-01-01", 15, "must be a mapping with min, max"),
        ("fieldGroups:", "fieldGroups: [", 6, "is not YAML"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(write: Write, before: str, after: str, line: int, said: str) -> None:
    with pytest.raises(SchemaError) as caught:
        load_schema(write(YAML.replace(before, after)))
    assert said in str(caught.value)
    assert caught.value.line == line


@pytest.mark.parametrize("text", ["", "42", "[]", "a: &a [*a]", "\x00", "{", "document_types: &a [*a]", "[" * 5000])
def test_what_is_no_schema_is_refused(write: Write, text: str) -> None:
    with pytest.raises(SchemaError):
        load_schema(write(text))


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    (tmp_path / "schema.json").write_bytes(b"%PDF-1.4\xff\xfe")
    with pytest.raises(SchemaError, match="not UTF-8"):
        load_schema(tmp_path / "schema.json")


@pytest.mark.parametrize(
    ("field", "line"),
    [
        ("schema.document_types[0].name", 2),
        ("request.schema.document_types[0].field_groups[0].fields[1]", 11),
        ("schema.document_types[0].field_groups[0].fields[1].description", 11),
        ("schema.document_types[7]", 1),
        ("documents[0].content", None),
    ],
)
def test_a_finding_finds_its_line(write: Write, field: str, line: int | None) -> None:
    assert read_schema_file(write(YAML)).line_of(field) == line
