"""Pages as protobuf, and back: what the worker stores beside a result, and what it sends to be grounded."""

from collections.abc import Iterable

from gleaner.internal.v1 import pages_pb2 as pb
from gleaner.v1 import documents_pb2
from gleaner_documents.pages import Page, ReadDocument, TextSource, Word

_SOURCES = {
    TextSource.PDF_TEXT: documents_pb2.TEXT_SOURCE_PDF_TEXT,
    TextSource.OCR: documents_pb2.TEXT_SOURCE_OCR,
}
_SOURCES_BACK = {value: key for key, value in _SOURCES.items()}


def to_pb(documents: Iterable[ReadDocument]) -> pb.ReadDocuments:
    """The documents as a message."""
    return pb.ReadDocuments(
        documents=[pb.ReadDocument(name=d.name, pages=[_page_to_pb(page) for page in d.pages]) for d in documents]
    )


def from_pb(message: pb.ReadDocuments) -> tuple[ReadDocument, ...]:
    """The documents of a message that `to_pb` made."""
    return tuple(ReadDocument(d.name, tuple(_page_from_pb(page) for page in d.pages)) for d in message.documents)


def _page_to_pb(page: Page) -> pb.ReadPage:
    return pb.ReadPage(
        number=page.number,
        width=page.width,
        height=page.height,
        text_source=_SOURCES[page.source],
        words=[word.text for word in page.words],
        boxes=[edge for word in page.words for edge in (word.x0, word.y0, word.x1, word.y1)],
        lines=[word.line for word in page.words],
        confidences=[word.confidence for word in page.words] if page.source is TextSource.OCR else [],
    )


def _page_from_pb(page: pb.ReadPage) -> Page:
    edges = iter(page.boxes)
    confidences = page.confidences or [1.0] * len(page.words)
    words = tuple(
        Word(text, x0, y0, x1, y1, line, confidence)
        for text, x0, y0, x1, y1, line, confidence in zip(
            page.words, edges, edges, edges, edges, page.lines, confidences, strict=True
        )
    )
    return Page(page.number, page.width, page.height, _SOURCES_BACK[page.text_source], words)
