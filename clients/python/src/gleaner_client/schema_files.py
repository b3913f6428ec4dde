"""Schemas in files: JSON or YAML, by the protobuf JSON mapping of gleaner.v1.Schema.

Field names may be written as in the protos (`field_groups`) or in lower camel case, and enum values without their
prefix: `type: date` for FIELD_TYPE_DATE. Scalars of YAML are read by what the field needs, so `enum_values: [yes, no]`
and `min: 2020-01-01` are texts as they stand. What is wrong is told with its line.
"""

import difflib
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import yaml
from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor

from gleaner.v1.schemas_pb2 import Schema

Where: TypeAlias = tuple[str | int, ...]

_WHOLE = {FieldDescriptor.CPPTYPE_INT32, FieldDescriptor.CPPTYPE_INT64}


class SchemaError(Exception):
    """A schema file says something that cannot be; the text names file, line and field."""

    def __init__(self, path: Path, line: int | None, where: str, problem: str) -> None:
        self.path, self.line, self.where, self.problem = path, line, where, problem
        place = f"{path}:{line}" if line else f"{path}"
        super().__init__(f"{place}: {where}: {problem}" if where else f"{place}: {problem}")


@dataclass(frozen=True, slots=True)
class SchemaFile:
    """A schema, and where in its file each part of it stands."""

    path: Path
    schema: Schema
    lines: dict[str, int]

    def line_of(self, field: str) -> int | None:
        """The line of a finding's field (`schema.document_types[0].name`), or of what is nearest around it."""
        field = re.sub(r"^(request\.)?schema\.?", "", field)
        while field not in self.lines and field:
            field = re.sub(r"(\.?[^.\[\]]+|\[\d+\])$", "", field)
        return self.lines.get(field)


def load_schema(path: str | os.PathLike[str]) -> Schema:
    """The schema in a file. Raises SchemaError, and OSError if it cannot be read."""
    return read_schema_file(path).schema


def read_schema_file(path: str | os.PathLike[str]) -> SchemaFile:
    """The schema in a file, with its lines."""
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise SchemaError(path, None, "", "is not UTF-8 text") from None
    data = _parsed(path, text)
    lines = _lines(text)
    try:
        tidy = _message(data, Schema.DESCRIPTOR, ())
        schema = json_format.ParseDict(tidy, Schema())
    except _Wrong as wrong:
        place = SchemaFile(path, Schema(), lines).line_of(spelled(wrong.where))
        raise SchemaError(path, place, spelled(wrong.where), wrong.problem) from None
    except (json_format.ParseError, RecursionError) as error:
        raise SchemaError(path, None, "", f"is no schema: {error}") from None
    return SchemaFile(path, schema, lines)


def spelled(where: Where) -> str:
    """A path as findings spell it: `document_types[0].name`."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in where).lstrip(".")


class _Wrong(Exception):
    def __init__(self, where: Where, problem: str) -> None:
        self.where, self.problem = where, problem


def _parsed(path: Path, text: str) -> Any:
    try:
        if path.suffix.lower() == ".json" or text.lstrip().startswith("{"):
            return json.loads(text)
        return yaml.load(text, yaml.BaseLoader)  # noqa: S506 - it makes nothing but texts, lists and dicts
    except json.JSONDecodeError as error:
        raise SchemaError(path, error.lineno, "", f"is not JSON: {error.msg}") from None
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else None
        raise SchemaError(path, line, "", f"is not YAML: {error.problem}") from None
    except (yaml.YAMLError, RecursionError):
        raise SchemaError(path, None, "", "is neither JSON nor YAML") from None


def _message(data: Any, kind: Descriptor, where: Where) -> dict[str, Any]:
    if not isinstance(data, dict):
        raise _Wrong(where, f"must be a mapping with {_names(kind.fields_by_name)}")
    fields = {name: field for field in kind.fields for name in (field.name, field.json_name)}
    tidy: dict[str, Any] = {}
    for key, value in data.items():
        field = fields.get(key)
        if field is None:
            raise _Wrong((*where, str(key)), f"there is no such field{_meant(str(key), kind.fields_by_name)}")
        tidy[field.name] = _field(value, field, (*where, field.name))
    return tidy


def _field(value: Any, field: FieldDescriptor, where: Where) -> Any:
    if not field.is_repeated:
        return _single(value, field, where)
    if not isinstance(value, list):
        raise _Wrong(where, "must be a list")
    return [_single(element, field, (*where, number)) for number, element in enumerate(value)]


def _single(value: Any, field: FieldDescriptor, where: Where) -> Any:
    if field.message_type:
        return _message(value, field.message_type, where)
    if field.enum_type:
        return _enum(value, field.enum_type, where)
    if field.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
        return _flag(value, where)
    if field.cpp_type in _WHOLE:
        return _whole(value, where)
    if isinstance(value, str):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)  # JSON: "min": 5
    raise _Wrong(where, "must be a text")


def _enum(value: Any, kind: EnumDescriptor, where: Where) -> str:
    """The value's full name; its prefix is the enum's own name and may be left out."""
    prefix = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", kind.name).upper() + "_"
    short = {name.removeprefix(prefix).lower(): name for name in kind.values_by_name}
    name = str(value).upper()
    if name in kind.values_by_name:
        return name
    if (found := short.get(name.lower())) is not None:
        return found
    choices = [name for name, full in short.items() if kind.values_by_name[full].number]
    raise _Wrong(where, f"{value!s:.64} is none of {', '.join(choices)}")


def _flag(value: Any, where: Where) -> bool:
    flags = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
    flag = value if isinstance(value, bool) else flags.get(str(value).lower())
    if flag is None:
        raise _Wrong(where, "must be true or false")
    return flag


def _whole(value: Any, where: Where) -> int:
    try:
        return int(str(value))
    except ValueError:
        raise _Wrong(where, "must be a whole number") from None


def _meant(key: str, known: Any) -> str:
    close = difflib.get_close_matches(key, list(known), n=1)
    return f"; did you mean {close[0]}?" if close else f"; there are {_names(known)}"


def _names(known: Any) -> str:
    return ", ".join(known)


def _lines(text: str) -> dict[str, int]:
    """The line of each part by its path. JSON is YAML for this purpose; what is not has no lines."""
    lines: dict[str, int] = {}
    try:
        root = yaml.compose(text.replace("\t", " "), yaml.BaseLoader)
    except (yaml.YAMLError, RecursionError):
        return lines
    stack: list[tuple[Where, yaml.Node | None]] = [((), root)]
    seen: set[int] = set()  # an alias leads to a node a second time, or in a circle
    while stack:
        where, node = stack.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                part = (*where, _snake(str(key.value)))
                lines[spelled(part)] = key.start_mark.line + 1
                stack.append((part, value))
        elif isinstance(node, yaml.SequenceNode):
            for number, value in enumerate(node.value):
                lines[spelled((*where, number))] = value.start_mark.line + 1
                stack.append(((*where, number), value))
    return lines


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", name).lower()
