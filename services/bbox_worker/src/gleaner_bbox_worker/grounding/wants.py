"""The values of a document that want a place, gathered from its result and from the schema they were asked by."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from gleaner.v1 import results_pb2, schemas_pb2
from gleaner_bbox_worker.grounding.folding import tokens
from gleaner_bbox_worker.grounding.labels import Naming, naming_of
from gleaner_bbox_worker.grounding.places import Place


@dataclass(eq=False, slots=True)
class Want:
    """A value to locate, the result it is written to, and what tells its place from others.

    `group` are the fields it stands with; `row` is the array element it belongs to, as (path of the array, index).
    """

    result: results_pb2.FieldResult
    type: int
    naming: Naming
    group: str
    row: tuple[str, int] | None
    places: list[Place] = field(default_factory=list)

    @property
    def needs_label(self) -> bool:
        """Whether the printed value alone proves nothing: `yes` and `2` stand anywhere."""
        return self.type in (schemas_pb2.FIELD_TYPE_BOOLEAN, schemas_pb2.FIELD_TYPE_ENUM)

    @property
    def column(self) -> str:
        """Which column of a table it would stand in: its path within the element."""
        return self.result.path.rpartition("].")[2]


def wants_of(document: results_pb2.DocumentResult, schema: schemas_pb2.Schema) -> list[Want]:
    """The values of a document that are not grounded yet, in the schema's order."""
    fields = {
        f"{group.name}.{entry.name}": (group, entry)
        for kind in schema.document_types
        if kind.name == document.document_type
        for group in kind.field_groups
        for entry in group.fields
    }
    wants: list[Want] = []
    for result in document.fields:
        group, entry = fields.get(result.path, (None, None))
        name = group.name if group else ""
        wants += _of(result, entry, name or result.path.partition(".")[0], None)
    return wants


def _of(
    result: results_pb2.FieldResult, entry: schemas_pb2.Field | None, group: str, row: tuple[str, int] | None
) -> Iterator[Want]:
    if result.HasField("value") and result.provenance.state != results_pb2.GROUNDING_STATE_GROUNDED:
        named = entry if entry is not None else schemas_pb2.Field(name=_name(result.path))
        yield Want(result, named.type, naming_of(named, group), _stem(named.name, group), row)
    for index, child in enumerate(result.children):
        if entry is not None and entry.type == schemas_pb2.FIELD_TYPE_ARRAY:
            # The element's own name counts for nothing; the array's names are its labels.
            element = schemas_pb2.Field()
            element.CopyFrom(entry.items)
            if element.type != schemas_pb2.FIELD_TYPE_OBJECT:
                element.name = entry.name
                element.aliases.extend(entry.aliases)
            yield from _of(child, element, entry.name, (result.path, index))
        else:
            yield from _of(child, _member(entry, child.path), entry.name if entry is not None else group, row)


def _member(entry: schemas_pb2.Field | None, path: str) -> schemas_pb2.Field | None:
    name = _name(path)
    members: Iterable[schemas_pb2.Field] = entry.fields if entry is not None else ()
    return next((member for member in members if member.name == name), None)


def _name(path: str) -> str:
    return path.rpartition(".")[2].partition("[")[0]


def _stem(name: str, group: str) -> str:
    """What fields that stand together have in common: `buyer_name` and `buyer_city` their first word."""
    parts = tokens(name.replace("_", " "))
    return f"{group} {parts[0]}" if len(parts) > 1 else group
