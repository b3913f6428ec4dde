"""What is looked for: each field of the schema, what it means, what kind of value it has, and its labels by weight."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from gleaner.v1 import schemas_pb2
from gleaner_worker.extractors.embedded.lexicon import (
    CONCEPTS,
    PARTY_ATTRIBUTES,
    ROLES,
    Key,
    key,
)

_KIND_OF_TYPE = {
    schemas_pb2.FIELD_TYPE_STRING: "text",
    schemas_pb2.FIELD_TYPE_NUMBER: "number",
    schemas_pb2.FIELD_TYPE_INTEGER: "number",
    schemas_pb2.FIELD_TYPE_BOOLEAN: "boolean",
    schemas_pb2.FIELD_TYPE_DATE: "date",
    schemas_pb2.FIELD_TYPE_MONEY: "amount",
    schemas_pb2.FIELD_TYPE_ENUM: "enum",
}
_KIND_OF_FORMAT = {
    schemas_pb2.VALUE_FORMAT_IBAN: "iban",
    schemas_pb2.VALUE_FORMAT_BIC: "bic",
    schemas_pb2.VALUE_FORMAT_VAT_ID: "vat_id",
    schemas_pb2.VALUE_FORMAT_EMAIL: "email",
    schemas_pb2.VALUE_FORMAT_PHONE: "phone",
    schemas_pb2.VALUE_FORMAT_URL: "url",
    schemas_pb2.VALUE_FORMAT_CURRENCY: "currency",
}
# Concepts whose value a field of this type can hold.
_FITS = {
    "date": ("date",),
    "amount": ("amount", "number"),
    "number": ("amount", "number"),
    "text": ("text", "id", "currency", "iban", "bic", "vat_id", "tax_number", "email", "phone", "url", "name"),
    "boolean": (),
    "enum": ("text", "currency"),
}
_ROLE_WORDS = {role: frozenset(word for k in keys if len(k) == 1 for word in k) for role, keys in ROLES.items()}


@dataclass(frozen=True)
class Target:
    """A field to find. `keys` are the labels by which it goes, with how much each is worth, 0..1."""

    path: str
    field: schemas_pb2.Field = field(repr=False)
    kind: str
    concept: str
    role: str
    attribute: str
    keys: dict[Key, float]


def targets(document_type: schemas_pb2.DocumentType) -> list[Target]:
    """The fields of a document type that have a single value, OBJECTs' members among them; ARRAYs left out."""
    return [target for group in document_type.field_groups for target in _of_group(group)]


def _of_group(group: schemas_pb2.FieldGroup) -> Iterator[Target]:
    for entry in group.fields:
        yield from of_field(f"{group.name}.{entry.name}", entry, (group.name,))


def of_field(path: str, entry: schemas_pb2.Field, context: Sequence[str]) -> Iterator[Target]:
    """The targets of one field: itself, or its members; `context` are the names around it."""
    if entry.type == schemas_pb2.FIELD_TYPE_OBJECT:
        for member in entry.fields:
            yield from of_field(f"{path}.{member.name}", member, (*context, entry.name))
    elif entry.type != schemas_pb2.FIELD_TYPE_ARRAY:
        yield target(path, entry, context)


def target(path: str, entry: schemas_pb2.Field, context: Sequence[str]) -> Target:
    """What is known of a field by its name, aliases, format and the names around it."""
    type_kind = _KIND_OF_TYPE.get(entry.type, "text")
    role, attribute = _party(entry, context) if type_kind == "text" else ("", "")
    concept = "" if attribute and attribute not in CONCEPTS else _concept(entry, type_kind)
    kind = _format_kind(entry) or (CONCEPTS[concept].kind if concept and type_kind == "text" else type_kind)
    if kind == "text" and attribute in CONCEPTS:
        kind = CONCEPTS[attribute].kind
        concept = attribute
    if kind == "text" and not concept and "no" in key(entry.name):
        kind = "id"
    return Target(path, entry, kind, concept, role, attribute, _weights(entry, concept))


def _format_kind(entry: schemas_pb2.Field) -> str:
    for validator in entry.validators:
        if validator.format in _KIND_OF_FORMAT and entry.type == schemas_pb2.FIELD_TYPE_STRING:
            return _KIND_OF_FORMAT[validator.format]
    return ""


def _weights(entry: schemas_pb2.Field, concept: str) -> dict[Key, float]:
    weights: dict[Key, float] = {}
    for rank, alias in enumerate(entry.aliases):
        weights.setdefault(key(alias), 1.0 - 0.01 * rank)
    weights.setdefault(key(entry.name), 1.0)
    if concept:
        for rank, label in enumerate(CONCEPTS[concept].keys):
            weights.setdefault(label, 0.97 - 0.004 * rank)
        for label in CONCEPTS[concept].reserve:
            weights.setdefault(label, 0.62)
    weights.pop(frozenset(), None)
    return weights


def _concept(entry: schemas_pb2.Field, type_kind: str) -> str:
    """The concept whose label the field's name is, else the one that most of its aliases are."""
    fitting = [c for c in CONCEPTS.values() if c.kind in _FITS[type_kind]]
    name = key(entry.name)
    for wanted in (name, *(key(alias) for alias in entry.aliases)):
        bare = wanted - _ROLE_WORDS["seller"] - _ROLE_WORDS["buyer"] or wanted
        ranked = [(c.keys.index(k), c.name) for c in fitting for k in (wanted, bare) if k in c.keys]
        if exact := [c.name for c in fitting if key(c.name) == wanted]:
            return exact[0]
        if ranked:
            return min(ranked)[1]
    return ""


def _party(entry: schemas_pb2.Field, context: Sequence[str]) -> tuple[str, str]:
    """Whose particular a field is, and which: (`seller`, `postcode`); empty if it is nobody's."""
    name = key(entry.name)
    for role in ("shipto", "buyer", "seller"):
        own = name & (_ROLE_WORDS[role] | {"company"} if role == "seller" else _ROLE_WORDS[role])
        rest = name - own
        if own and not rest:
            return role, "name"
        if own and (attribute := _attribute(rest)):
            return role, attribute
    if attribute := _attribute(name):
        around = frozenset(word for word in context for word in key(word))
        role = next((r for r in ("shipto", "buyer", "seller") if around & _ROLE_WORDS[r]), "")
        if role or attribute in ("address", "vat_id", "tax_number", "street", "postcode", "city"):
            return role or "seller", attribute
    return "", ""


def _attribute(name: Key) -> str:
    return next((attribute for attribute, keys in PARTY_ATTRIBUTES.items() if name in keys and name), "")
