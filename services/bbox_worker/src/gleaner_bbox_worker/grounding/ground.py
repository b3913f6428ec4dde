"""Grounding: for each value of a result the boxes where it is printed, or the answer that it is printed nowhere."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace

from gleaner.v1 import documents_pb2, results_pb2, schemas_pb2
from gleaner_bbox_worker.grounding.choice import Chooser
from gleaner_bbox_worker.grounding.places import Match, Place
from gleaner_bbox_worker.grounding.rows import choose_rows
from gleaner_bbox_worker.grounding.search import Search
from gleaner_bbox_worker.grounding.wants import Want, wants_of
from gleaner_documents.pages import ReadDocument, TextSource

_MOST_OTHERS = 20
_MOST_PLACES = 200
_MOST_IN_ROWS = 5000  # a long table says `1` on every line
_MATCHES = {
    Match.EXACT: results_pb2.MATCH_KIND_EXACT,
    Match.TYPED: results_pb2.MATCH_KIND_TYPED,
    Match.FUZZY: results_pb2.MATCH_KIND_FUZZY,
}
_SOURCES = {
    TextSource.PDF_TEXT: documents_pb2.TEXT_SOURCE_PDF_TEXT,
    TextSource.OCR: documents_pb2.TEXT_SOURCE_OCR,
}


def ground(
    result: results_pb2.ExtractionResult, schema: schemas_pb2.Schema, pages: Sequence[ReadDocument]
) -> results_pb2.ExtractionResult:
    """A copy of the result in which every value is GROUNDED at its place on a page, or NOT_FOUND without any box.

    `pages` are the words of the documents, found by name; values of a document without pages stay as they are, and so
    do values that are grounded already: grounding twice changes nothing.
    """
    grounded = results_pb2.ExtractionResult()
    grounded.CopyFrom(result)
    read = {document.name: document for document in pages}
    for document in grounded.documents:
        if document.document in read:
            _ground_document(document, schema, read[document.document])
    return grounded


def _ground_document(document: results_pb2.DocumentResult, schema: schemas_pb2.Schema, pages: ReadDocument) -> None:
    wants = wants_of(document, schema)
    if not wants:
        return
    locales = [
        locale for kind in schema.document_types if kind.name == document.document_type for locale in kind.locales
    ]
    search = Search(_parts(document, pages), locales)
    tables: dict[str, dict[int, list[Want]]] = defaultdict(lambda: defaultdict(list))
    single: list[Want] = []
    for want in wants:
        want.places = _worth_a_look(search, want)
        if want.row is not None and _in_table(want):
            tables[want.row[0]][want.row[1]].append(want)
        else:
            single.append(want)
    chosen = Chooser(search).choose(single)
    for elements in tables.values():
        chosen |= choose_rows(search, [elements[index] for index in sorted(elements)])
    for want in wants:
        _write(want.result, search, chosen.get(want, []))


def _parts(document: results_pb2.DocumentResult, pages: ReadDocument) -> ReadDocument:
    """The pages that the result is about: all, if it names none."""
    numbers = {page.number for page in document.pages}
    return replace(pages, pages=tuple(page for page in pages.pages if not numbers or page.number in numbers))


def _worth_a_look(search: Search, want: Want) -> list[Place]:
    """The places to choose among: on the pages where the extractor believed it, else the first of the document."""
    places = search.places(want.result.value)
    most = _MOST_IN_ROWS if _in_table(want) else _MOST_PLACES
    if len(places) <= most:
        return places
    believed = {box.page for box in want.result.provenance.boxes}
    return sorted(places, key=lambda p: (search.pages[p.page].page.number not in believed, p.key))[:most]


def _in_table(want: Want) -> bool:
    return want.row is not None and "]." in want.result.path


def _write(result: results_pb2.FieldResult, search: Search, places: Sequence[Place]) -> None:
    provenance, canonical = result.provenance, _canonical(result.value)
    provenance.Clear()
    if not places:
        provenance.state = results_pb2.GROUNDING_STATE_NOT_FOUND
        return
    best, page = places[0], search.pages[places[0].page]
    provenance.state = results_pb2.GROUNDING_STATE_GROUNDED
    provenance.boxes.extend(_boxes(search, best))
    provenance.source = _SOURCES[page.page.source]
    provenance.printed_text = page.printed(best.slices)
    literal = best.match is Match.EXACT or provenance.printed_text == canonical
    provenance.match = _MATCHES[Match.EXACT if literal else best.match]
    provenance.score = 1.0 if literal else round(best.fit, 4)
    provenance.others.extend(
        results_pb2.Occurrence(boxes=_boxes(search, place)) for place in places[1 : 1 + _MOST_OTHERS]
    )


def _canonical(value: results_pb2.Value) -> str:
    """The value as the result writes it."""
    return value.money.amount if value.HasField("money") else str(getattr(value, value.WhichOneof("kind") or "text"))


def _boxes(search: Search, place: Place) -> Iterable[documents_pb2.Box]:
    page = search.pages[place.page]
    for line in page.lines_of(place.slices):
        yield documents_pb2.Box(
            page=page.page.number,
            x0=_share(line.x0 / page.aspect),
            y0=_share(line.y0),
            x1=_share(line.x1 / page.aspect),
            y1=_share(line.y1),
        )


def _share(position: float) -> float:
    return min(1.0, max(0.0, position))
