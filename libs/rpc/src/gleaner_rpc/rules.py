"""The rules that stand in the protos, asked of a message: protovalidate's, and that no text has a NUL in it.

A NUL is valid UTF-8 and valid protobuf, and Postgres cannot store it.
"""

from collections.abc import Iterator
from functools import cache

import protovalidate
from buf.validate import validate_pb2
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from gleaner_core.errors import Finding


class Rules:
    """Asks messages. Knows their types by name: types of the same name need Rules of their own."""

    def __init__(self) -> None:
        self._validator = protovalidate.Validator()

    def findings(self, message: Message, path: str = "") -> list[Finding]:
        """Everything that the rules find wrong with the message; `path` is where it stands in the request."""
        prefix = f"{path}." if path else ""
        broken = [
            Finding(prefix + _path(violation.proto.field), _reason(violation.proto.rule_id), violation.proto.message)
            for violation in self._validator.collect_violations(message)
        ]
        # Where there is none in the bytes, none need be looked for field by field.
        if not any(_plan(message.DESCRIPTOR)) or b"\0" not in message.SerializeToString():
            return broken
        return broken + [Finding(prefix + field, "NUL", "must not contain a NUL") for field in _nuls(message)]


findings = Rules().findings


def _reason(rule_id: str) -> str:
    return rule_id.replace(".", "_").upper()


def _path(field: protovalidate.FieldPathPb | None) -> str:
    parts: list[str] = []
    for element in field.elements if field else ():
        parts.append(f".{element.field_name}" if parts else element.field_name)
        if (subscript := element.subscript) is not None:
            parts.append(f"[{subscript.value}]" if subscript.field == "index" else f'["{subscript.value}"]')
    return "".join(parts)


def _nuls(message: Message, path: str = "") -> Iterator[str]:
    texts, inner = _plan(message.DESCRIPTOR)
    for field, value in message.ListFields():
        where = f"{path}{field.name}"
        if field in texts:
            if field.is_repeated:
                yield from (f"{where}[{i}]" for i, text in enumerate(value) if "\0" in text)
            elif "\0" in value:
                yield where
        elif field in inner:
            if _is_map(field):
                yield from _nuls_of_map(value, where)
            elif field.is_repeated:
                for i, element in enumerate(value):
                    yield from _nuls(element, f"{where}[{i}].")
            else:
                yield from _nuls(value, f"{where}.")


def _nuls_of_map(entries: object, where: str) -> Iterator[str]:
    for key, value in dict(entries).items():  # type: ignore[call-overload]
        if isinstance(key, str) and "\0" in key:
            yield f"{where}[]"
        if isinstance(value, str) and "\0" in value:
            yield f'{where}["{key}"]'
        if isinstance(value, Message):
            yield from _nuls(value, f'{where}["{key}"].')


@cache
def _plan(descriptor: Descriptor) -> tuple[frozenset[FieldDescriptor], frozenset[FieldDescriptor]]:
    """The message's fields that are text, and those to look into."""
    asked = [field for field in descriptor.fields if not _ignored(field)]
    return (
        frozenset(field for field in asked if field.type == FieldDescriptor.TYPE_STRING),
        frozenset(field for field in asked if field.type == FieldDescriptor.TYPE_MESSAGE),
    )


def _ignored(field: FieldDescriptor) -> bool:
    rules = field.GetOptions().Extensions[validate_pb2.field]
    return validate_pb2.IGNORE_ALWAYS in (rules.ignore, rules.repeated.items.ignore)


def _is_map(field: FieldDescriptor) -> bool:
    return field.message_type is not None and bool(field.message_type.GetOptions().map_entry)
