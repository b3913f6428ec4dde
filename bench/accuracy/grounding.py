"""How well true values are found on their pages, and how often a value that is on no page gets a box all the same.

The labelled value goes in with nothing but its field: no printed form, no estimated box. Out come, for each set, the
share found, with a box on any place where it stands, with a box on the place meant, and the mean overlap of those.
"""

import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from bench.accuracy.data import SCHEMA_OF, Sample, schema
from gleaner.v1 import documents_pb2, results_pb2, schemas_pb2
from gleaner_bbox_worker.grounding import ground
from gleaner_documents.pages import ReadDocument
from gleaner_values import find_amounts, find_dates, find_numbers, letters, parse
from gleaner_values.numbers import readings

Box = Sequence[float]
ENOUGH = 0.5  # overlap from which a box counts as on the place
STRANGERS = 3  # documents whose values are tried on each document


@dataclass(slots=True)
class Grounding:
    """What was measured over a set."""

    values: int = 0
    found: int = 0
    any_place: int = 0
    right_place: int = 0
    overlap: float = 0.0
    absent: int = 0
    false_boxes: int = 0
    seconds: float = 0.0
    misses: list[str] = field(default_factory=list)

    def row(self, name: str) -> str:
        """The figures as a line of a table."""
        f = self.figures()
        return (
            f"{name:15} {f['values']:5} {f['found']:7.3f} {f['any_place']:7.3f} {f['right_place']:7.3f}"
            f" {f['mean_overlap']:8.3f} {self.false_boxes:5}/{self.absent:<6} {f['false_boxes']:7.2%}"
            f" {f['ms_per_value']:8.2f}"
        )

    def figures(self) -> dict[str, float]:
        """The figures by name: shares of the values, of the absent ones for false boxes."""
        n = max(self.values, 1)
        return {
            "values": self.values,
            "found": round(self.found / n, 4),
            "any_place": round(self.any_place / n, 4),
            "right_place": round(self.right_place / n, 4),
            "mean_overlap": round(self.overlap / max(self.any_place, 1), 4),
            "absent": self.absent,
            "false_boxes": round(self.false_boxes / max(self.absent, 1), 5),
            "ms_per_value": round(1000 * self.seconds / n, 3),
        }


HEADER = (
    f"{'set':15} {'n':>5} {'found':>7} {'any':>7} {'right':>7} {'mean IoU':>8} {'false/absent':>12} {'':>7} ms/value"
)


@dataclass(frozen=True, slots=True)
class Label:
    """A labelled value: its path in the result, and where it stands, the place meant first."""

    path: str
    value: str
    places: list[list[Box]]


def measure(samples: Sequence[Sample], read: Callable[[Sample], ReadDocument]) -> Grounding:
    """Ground the labelled values of each document, and values of other documents that it does not hold."""
    total = Grounding()
    for number, sample in enumerate(samples):
        pages = read(sample)
        _measure_true(sample, pages, total)
        others = [samples[(number + step) % len(samples)] for step in range(1, STRANGERS + 1)]
        _measure_absent(sample, [other for other in others if other is not sample], pages, total)
    return total


def labels_of(sample: Sample) -> list[Label]:
    """The values whose place is labelled."""
    boxes, others = sample.labels["boxes"], sample.labels.get("boxes_alt", {})
    found = []
    for path, value in _values(sample):
        name = path.rpartition(".")[2]
        if boxes.get(name):
            found.append(Label(path, value, [boxes[name], *others.get(name, [])]))
    for number, row in enumerate(sample.labels.get("boxes_list", {}).get("line_items", [])):
        for name, place in row.items():
            cell = sample.rows[number].get(name)
            if cell is not None and place:
                found.append(Label(f"lines.line_items[{number}].{name}", str(cell), [place]))
    return found


def overlap(found: Iterable[documents_pb2.Box], truth: Iterable[Box]) -> float:
    """Intersection over union of two places, each of one box a line."""
    ours = [(box.page - 1, box.x0, box.y0, box.x1, box.y1) for box in found]
    theirs = [(int(page), x0, y0, x1, y1) for page, x0, y0, x1, y1 in truth]
    common = sum(
        max(0.0, min(a[3], b[3]) - max(a[1], b[1])) * max(0.0, min(a[4], b[4]) - max(a[2], b[2]))
        for a in ours
        for b in theirs
        if a[0] == b[0]
    )
    union = sum((x1 - x0) * (y1 - y0) for _, x0, y0, x1, y1 in (*ours, *theirs)) - common
    return common / union if union > 0 else 0.0


def _values(sample: Sample) -> Iterator[tuple[str, str]]:
    groups = {
        entry.name: group.name
        for group in schema(SCHEMA_OF[sample.set]).document_types[0].field_groups
        for entry in group.fields
    }
    for name, value in sample.fields.items():
        path = f"{groups.get(name, 'document')}.{name}"
        if isinstance(value, list):
            yield from ((f"{path}[{index}]", str(element)) for index, element in enumerate(value))
        else:
            yield path, str(value)


def _measure_true(sample: Sample, pages: ReadDocument, total: Grounding) -> None:
    labels = labels_of(sample)
    result, asked = _result(sample, [(label.path, label.value) for label in labels], pages.name)
    started = time.perf_counter()
    grounded = ground(result, asked, [pages])
    total.seconds += time.perf_counter() - started
    places = {leaf.path: leaf.provenance for leaf in _leaves(grounded.documents[0].fields)}
    for label in labels:
        place = places[label.path]
        overlaps = [overlap(place.boxes, truth) for truth in label.places]
        total.values += 1
        total.found += place.state == results_pb2.GROUNDING_STATE_GROUNDED
        total.any_place += max(overlaps) >= ENOUGH
        total.right_place += overlaps[0] >= ENOUGH
        total.overlap += max(overlaps) if max(overlaps) >= ENOUGH else 0.0
        if overlaps[0] < ENOUGH:
            kind = "not found" if not place.boxes else "wrong place" if max(overlaps) < ENOUGH else "another place"
            at = [(b.page, round(b.x0, 3), round(b.y0, 3), round(b.x1, 3), round(b.y1, 3)) for b in place.boxes]
            total.misses.append(
                f"{kind:14} {sample.name[:40]} {label.path} {label.value!r}: "
                f"{place.printed_text!r} {at} not {label.places[0]}"
            )


def _measure_absent(sample: Sample, others: Sequence[Sample], pages: ReadDocument, total: Grounding) -> None:
    """Values of other documents that are not printed here must get no box."""
    text = _text(sample, pages)
    for other in others:
        strangers = [(path, value) for path, value in _values(other) if not stands(value, text)]
        result, asked = _result(other, strangers, pages.name)
        grounded = ground(result, asked, [pages])
        for leaf in _leaves(grounded.documents[0].fields):
            total.absent += 1
            if leaf.provenance.boxes:
                total.false_boxes += 1
                total.misses.append(
                    f"{'false box':14} {sample.name[:40]} {leaf.path} {leaf.value!s}: {leaf.provenance.printed_text!r}"
                )


def stands(value: str, text: str) -> bool:
    """Whether the value is printed anywhere in the text: its letters and digits, or the same date or number."""
    if letters(value) in letters(text):
        return True
    days = {day for reading in find_dates(value) if reading.text == value for day in reading.values}
    if days:
        return any(days.intersection(found.values) for found in find_dates(text))
    if re.fullmatch(r"-?\d+(\.\d+)?", value):
        printed = {abs(number) for reading in find_numbers(text) for number in reading.values}
        printed |= {abs(number) for reading in find_amounts(text) for number in reading.values}
        return abs(Decimal(value)) in printed
    return False


def _text(sample: Sample, pages: ReadDocument) -> str:
    words = [word.text for page in pages.pages for word in page.words]
    lines = [line[5] for line in sample.labels.get("lines", [])]
    # Both together and one by one: columns may have been read as one number.
    return "\n".join([" ".join(words), *words, *lines])


def _result(
    sample: Sample, values: Iterable[tuple[str, str]], name: str
) -> tuple[results_pb2.ExtractionResult, schemas_pb2.Schema]:
    """An answer that holds the values and nothing that hints at their places, and the schema it answers."""
    asked = schemas_pb2.Schema()
    asked.CopyFrom(schema(SCHEMA_OF[sample.set]))
    kind = asked.document_types[0]
    document = results_pb2.DocumentResult(document=name, document_type=kind.name)
    fields = {f"{group.name}.{entry.name}": entry for group in kind.field_groups for entry in group.fields}
    for path, value in values:
        head, _, member = path.partition("].")
        head, _, index = head.rstrip("]").partition("[")
        if head not in fields:
            fields[head] = _unforeseen(kind, head, value)
        entry = fields[head]
        if index == "":
            document.fields.append(as_result(path, entry, value))
            continue
        parent = next((found for found in document.fields if found.path == head), None) or document.fields.add(
            path=head
        )
        if not member:
            parent.children.append(as_result(path, entry.items, value))
            continue
        element_path = f"{head}[{index}]"
        element = next((found for found in parent.children if found.path == element_path), None) or parent.children.add(
            path=element_path
        )
        known = next((found for found in entry.items.fields if found.name == member), None)
        element.children.append(as_result(path, known or guessed(member, value), value))
    return results_pb2.ExtractionResult(documents=[document]), asked


def _unforeseen(kind: schemas_pb2.DocumentType, path: str, value: str) -> schemas_pb2.Field:
    """A field that the set labels and the schema has not, put into a group of its own."""
    group = next((found for found in kind.field_groups if found.name == "document"), None) or kind.field_groups.add(
        name="document"
    )
    group.fields.append(guessed(path.rpartition(".")[2], value))
    return group.fields[-1]


def guessed(name: str, value: str) -> schemas_pb2.Field:
    """A field by the look of its value."""
    if re.fullmatch(r"\d{4}-\d\d-\d\d", value):
        kind = schemas_pb2.FIELD_TYPE_DATE
    elif re.fullmatch(r"-?\d+\.\d+", value):
        kind = schemas_pb2.FIELD_TYPE_NUMBER
    else:
        kind = schemas_pb2.FIELD_TYPE_STRING
    return schemas_pb2.Field(name=name, type=kind)


def as_result(path: str, entry: schemas_pb2.Field, text: str) -> results_pb2.FieldResult:
    """The labelled text as the field's typed value."""
    if entry.type in (schemas_pb2.FIELD_TYPE_MONEY, schemas_pb2.FIELD_TYPE_NUMBER) and re.fullmatch(
        r"-?\d+(\.\d+)?", text
    ):
        amount = str(readings(text.lstrip("-"))[0] if "." not in text else Decimal(text))
        value = (
            results_pb2.Value(decimal=amount)
            if entry.type == schemas_pb2.FIELD_TYPE_NUMBER
            else results_pb2.Value(money=results_pb2.Money(amount=amount))
        )
    elif entry.type == schemas_pb2.FIELD_TYPE_DATE and re.fullmatch(r"\d{4}-\d\d-\d\d", text):
        value = results_pb2.Value(date=text)
    else:
        value = parse(entry, text) or results_pb2.Value(text=text)
    return results_pb2.FieldResult(path=path, value=value)


def _leaves(fields: Iterable[results_pb2.FieldResult]) -> Iterator[results_pb2.FieldResult]:
    for found in fields:
        if found.HasField("value"):
            yield found
        yield from _leaves(found.children)
