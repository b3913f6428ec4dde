"""Results in the API's words: values, raw text, and the boxes of the words they were taken from."""

from collections.abc import Mapping, Sequence

from gleaner.v1 import documents_pb2, results_pb2, schemas_pb2
from gleaner_documents.pages import ReadDocument, TextSource, Word
from gleaner_values import Conventions, parse
from gleaner_worker.extractors.embedded.candidates import Candidate
from gleaner_worker.extractors.embedded.cells import Span
from gleaner_worker.extractors.embedded.mending import mended

_SOURCES = {
    TextSource.PDF_TEXT: documents_pb2.TEXT_SOURCE_PDF_TEXT,
    TextSource.OCR: documents_pb2.TEXT_SOURCE_OCR,
}


class Reporter:
    """Writes the results of one document."""

    def __init__(self, document: ReadDocument, conventions: Conventions) -> None:
        self._sources = {page.number: _SOURCES[page.source] for page in document.pages}
        self._conventions = conventions

    def field(self, path: str, field: schemas_pb2.Field, found: Mapping[str, Candidate]) -> results_pb2.FieldResult:
        """The result of a field with a single value, or of an OBJECT's members; `found` is by path."""
        result = results_pb2.FieldResult(path=path)
        if field.type == schemas_pb2.FIELD_TYPE_OBJECT:
            result.children.extend(self.field(f"{path}.{member.name}", member, found) for member in field.fields)
        elif candidate := found.get(path):
            self._fill(result, field, candidate)
        return result

    def array(
        self, path: str, field: schemas_pb2.Field, rows: Sequence[Mapping[str, Candidate]]
    ) -> results_pb2.FieldResult:
        """The result of an ARRAY; each row is by the path below the element, `` for elements that are no objects."""
        result = results_pb2.FieldResult(path=path)
        for index, row in enumerate(rows):
            at = f"{path}[{index}]"
            found = {f"{at}.{name}" if name else at: candidate for name, candidate in row.items()}
            child = self.field(at, field.items, found)
            if child.children:
                child.confidence = _least([c.confidence for c in child.children if c.HasField("value")])
            result.children.append(child)
        result.confidence = _least([child.confidence for child in result.children])
        return result

    def _fill(self, result: results_pb2.FieldResult, field: schemas_pb2.Field, candidate: Candidate) -> None:
        value = self.value(field, candidate)
        if value is None:
            return
        result.value.CopyFrom(value)
        result.raw_text = candidate.text
        result.confidence = min(max(candidate.score, 0.0), 1.0)
        boxes = [box for span in candidate.spans if (box := _box(span))]
        if boxes:
            result.provenance.CopyFrom(
                results_pb2.Provenance(
                    state=results_pb2.GROUNDING_STATE_ESTIMATED,
                    boxes=boxes,
                    source=self._sources[candidate.cell.page],
                    printed_text=candidate.text,
                )
            )

    def value(self, field: schemas_pb2.Field, candidate: Candidate) -> results_pb2.Value | None:
        """The candidate's text as a value of the field."""
        text = candidate.meaning or candidate.text
        if field.type == schemas_pb2.FIELD_TYPE_STRING and not candidate.meaning and self._is_read(candidate):
            text = mended(text)
        return parse(field, text, self._conventions)

    def _is_read(self, candidate: Candidate) -> bool:
        return self._sources[candidate.cell.page] == documents_pb2.TEXT_SOURCE_OCR and not any(
            candidate.text == word.text for word in candidate.spans[0].words
        )


def _least(confidences: Sequence[float]) -> float:
    return min(confidences, default=0.0)


def _box(span: Span) -> documents_pb2.Box | None:
    words: list[Word] = span.words
    if not words:
        return None
    return documents_pb2.Box(
        page=span.cell.page,
        x0=min(w.x0 for w in words),
        y0=min(w.y0 for w in words),
        x1=max(w.x1 for w in words),
        y1=max(w.y1 for w in words),
    )
