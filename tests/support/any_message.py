"""Messages of any type with anything in them, the odd and the far-fetched before all."""

import random
from collections.abc import Sequence
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

_DEPTH = 6
_INT32, _INT64 = 2**31, 2**63
_STRINGS = (
    "",
    "a",
    "\0",
    "a\0b",
    "é\u202e\U0001f9fe",
    "x" * 300,
    "x" * 5000,
    " ",
    "\n",
    "-",
    "*",
    "%s%(x)s{0}",
    "'; DROP TABLE jobs; --",
    "../../etc/passwd",
    "jobs/",
    "jobs/00000000-0000-0000-0000-000000000000",
    "jobs/FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF",
    "jobs/ffffffff-ffff-ffff-ffff-ffffffffffff",
    "http://",
    "https://[::1",
    "https://example.org:99999999/",
    "https://user:password@example.org/\r\nx",
    "eyJ4IjoxfQ==",
    "AAAA",
    "NaN",
    "9" * 40,
    "2024-02-30",
    "(((((a+)+)+)+)+)$",
    "[",
)
_BYTES = (
    b"",
    b"\0",
    b"x",
    b"%PDF-1.7\n",
    b"\x89PNG\r\n\x1a\n",
    b"II*\0",
    b"\xff\xd8\xff\xe0",
    b"PK\3\4",
    200 * b"\xff",
)
_WHOLE = (0, 1, -1, 2, 7, 1000, 1001, 2**15, 2**31 - 1, -(2**31), 2**31, 2**32 - 1, 2**53, 2**63 - 1, -(2**63))
_REAL = (0.0, -0.0, 1.0, -1.5, 1e-320, 1e308, float("inf"), float("-inf"), float("nan"))
_F = FieldDescriptor
_RANGES = {
    _F.CPPTYPE_INT32: (-_INT32, _INT32 - 1),
    _F.CPPTYPE_ENUM: (-_INT32, _INT32 - 1),
    _F.CPPTYPE_UINT32: (0, 2 * _INT32 - 1),
    _F.CPPTYPE_INT64: (-_INT64, _INT64 - 1),
    _F.CPPTYPE_UINT64: (0, 2 * _INT64 - 1),
}


class AnyMessage:
    """Makes messages by chance. `strings` and `contents` are drawn as often as the odd ones: names, tokens, documents
    that exist."""

    def __init__(self, chance: random.Random, strings: Sequence[str] = (), contents: Sequence[bytes] = ()) -> None:
        self._chance = chance
        self._strings = strings
        self._contents = contents

    def of(self, kind: Descriptor, depth: int = _DEPTH) -> Message:
        """A message of the type."""
        made: Any = GetMessageClass(kind)()
        often = self._chance.choice((0.15, 0.5, 0.9))
        for field in kind.fields:
            if self._chance.random() < often and (depth or field.message_type is None):
                self._fill(made, field, depth)
        return made  # type: ignore[no-any-return]

    def changed(self, good: Message) -> Message:
        """A copy of a message in which some field, deep down perhaps, is another's."""
        made: Any = type(good)()
        made.CopyFrom(good)
        self._change(made)
        return made  # type: ignore[no-any-return]

    def _change(self, made: Any) -> None:
        below = [
            each
            for field, value in made.ListFields()
            if field.message_type is not None and not field.message_type.GetOptions().map_entry
            for each in (value if field.is_repeated else [value])
        ]
        if below and self._chance.random() < 0.7:
            self._change(self._chance.choice(below))
            return
        if made.DESCRIPTOR.fields:
            field = self._chance.choice(made.DESCRIPTOR.fields)
            if self._chance.random() < 0.7:
                made.ClearField(field.name)
            self._fill(made, field, 2)

    def _fill(self, made: Any, field: FieldDescriptor, depth: int) -> None:
        if not field.is_repeated:
            if field.message_type is not None:
                getattr(made, field.name).CopyFrom(self.of(field.message_type, depth - 1))
            else:
                setattr(made, field.name, self._scalar(field))
            return
        many = self._chance.choice((1, 1, 2, 3, 70 if field.message_type is None else 4))
        if field.message_type is None:
            getattr(made, field.name).extend([self._scalar(field) for _ in range(many)])
        elif field.message_type.GetOptions().map_entry:
            key, value = field.message_type.fields
            for _ in range(many):
                if value.message_type is None:
                    getattr(made, field.name)[self._scalar(key)] = self._scalar(value)
                else:
                    getattr(made, field.name)[self._scalar(key)].CopyFrom(self.of(value.message_type, depth - 1))
        else:
            getattr(made, field.name).extend([self.of(field.message_type, depth - 1) for _ in range(many)])

    def _scalar(self, field: FieldDescriptor) -> Any:
        kind = field.cpp_type
        if field.type == _F.TYPE_BYTES:
            return self._one_of(_BYTES, self._contents)
        if kind == _F.CPPTYPE_STRING:
            return self._one_of(_STRINGS, self._strings)
        if kind == _F.CPPTYPE_BOOL:
            return self._chance.random() < 0.5
        if kind in (_F.CPPTYPE_DOUBLE, _F.CPPTYPE_FLOAT):
            return self._chance.choice(_REAL)
        if field.enum_type is not None and self._chance.random() < 0.8:
            return self._chance.choice([value.number for value in field.enum_type.values])
        least, most = _RANGES[kind]
        return min(max(self._chance.choice(_WHOLE), least), most)

    def _one_of(self, odd: Sequence[Any], known: Sequence[Any]) -> Any:
        return self._chance.choice(known if known and self._chance.random() < 0.5 else odd)
