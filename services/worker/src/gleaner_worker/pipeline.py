"""The stages of an extraction: read, extract, validate. What both jobs and synchronous calls run."""

import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from opentelemetry import trace
from opentelemetry.trace import Span

from gleaner.v1 import documents_pb2, extraction_pb2, results_pb2
from gleaner_core.errors import DocumentError, ModelUnknown, TooManyPages
from gleaner_documents import OcrMode, ReadDocument, ReadOutcome, TextSource
from gleaner_telemetry import names, span
from gleaner_worker.extractors.port import Extractor
from gleaner_worker.validation import validate

_tracer = trace.get_tracer("gleaner.worker")
_OCR = {
    extraction_pb2.OCR_MODE_UNSPECIFIED: OcrMode.AUTO,
    extraction_pb2.OCR_MODE_AUTO: OcrMode.AUTO,
    extraction_pb2.OCR_MODE_ALWAYS: OcrMode.ALWAYS,
    extraction_pb2.OCR_MODE_NEVER: OcrMode.NEVER,
}
_SOURCES = {
    TextSource.PDF_TEXT: documents_pb2.TEXT_SOURCE_PDF_TEXT,
    TextSource.OCR: documents_pb2.TEXT_SOURCE_OCR,
}


@dataclass(frozen=True, slots=True)
class Source:
    """A document to read; its bytes are fetched when their turn comes, so that one is in memory at a time."""

    name: str
    media_type: str
    document_type: str
    content: Callable[[], Awaitable[bytes]]


@dataclass(frozen=True, slots=True)
class Extracted:
    """What a run found, and the pages it was found on."""

    result: results_pb2.ExtractionResult
    pages: tuple[ReadDocument, ...]


class Reader(Protocol):
    """Reads documents: `gleaner_documents.PageReader`."""

    async def read(
        self, name: str, content: bytes, *, media_type: str, ocr: OcrMode, max_pages: int | None
    ) -> ReadOutcome:
        """The pages of a document. Raises WorkError."""
        ...


class Pipeline:
    """Runs the stages. `extractors` by the name that requests call them, the default under the empty name."""

    def __init__(self, reader: Reader, extractors: Mapping[str, Extractor]) -> None:
        self._reader = reader
        self._extractors = extractors

    async def run(
        self, sources: Sequence[Source], request: extraction_pb2.ExtractionRequest, *, max_pages: int
    ) -> Extracted:
        """Values of the schema's fields, with the places where the extractor found them.

        `request` has schema, options, and the documents' names and types; their bytes come from `sources`. Raises
        WorkError; a document's names the document.
        """
        extractor = self._extractors.get(request.options.extractor)
        if extractor is None:
            known = ", ".join(sorted(name for name in self._extractors if name))
            raise ModelUnknown(f"there is no extractor {request.options.extractor!r} here; there is {known}")
        result = results_pb2.ExtractionResult(extractor=extractor.name)
        with _stage(result, "read") as made:
            read = await self._read(sources, _OCR[request.options.ocr], max_pages)
            made.set_attribute(names.PAGES, sum(len(outcome.document.pages) for outcome in read))
            made.set_attribute(names.OCR_PAGES, sum(outcome.ocr_pages for outcome in read))
        documents = tuple(outcome.document for outcome in read)
        with _stage(result, "extract") as made:
            made.set_attribute("gleaner.extractor", extractor.name)
            found = await extractor.extract(documents, request)
        result.documents.extend(found.documents)
        result.problems.extend(found.problems)
        _note_reading(result, read)
        result.usage.input_tokens, result.usage.output_tokens = found.input_tokens, found.output_tokens
        if not request.options.skip_validation:
            with _stage(result, "validate"):
                validate(result, request.schema)
        return Extracted(result, documents)

    async def _read(self, sources: Sequence[Source], ocr: OcrMode, max_pages: int) -> list[ReadOutcome]:
        read: list[ReadOutcome] = []
        left = max_pages
        for number, source in enumerate(sources, 1):
            with span(_tracer, "read document", attributes={"gleaner.document": number}):
                content = await source.content()
                try:
                    outcome = await self._reader.read(
                        source.name, content, media_type=source.media_type, ocr=ocr, max_pages=max(left, 1)
                    )
                except DocumentError as error:
                    raise type(error)(f"document {source.name!r}: {error}") from error
            left -= len(outcome.document.pages)
            if left < 0:
                raise TooManyPages(f"the documents have more than {max_pages} pages in all")
            read.append(outcome)
        return read


def _note_reading(result: results_pb2.ExtractionResult, read: Sequence[ReadOutcome]) -> None:
    """What reading took, and went wrong, and the pages as they were read."""
    for found, outcome in zip(result.documents, read, strict=True):
        del found.pages[:]
        found.pages.extend(
            documents_pb2.Page(
                number=page.number,
                width=page.width,
                height=page.height,
                text_source=_SOURCES[page.source],
                word_count=len(page.words),
            )
            for page in outcome.document.pages
        )
        result.usage.pages += len(outcome.document.pages)
        result.usage.ocr_pages += outcome.ocr_pages
        result.problems.extend(
            results_pb2.Problem(
                reason=problem.reason, message=problem.message, document=outcome.document.name, page=problem.page
            )
            for problem in outcome.problems
        )


@contextmanager
def _stage(result: results_pb2.ExtractionResult, name: str) -> Iterator[Span]:
    began = time.monotonic_ns()
    with span(_tracer, name) as made:
        yield made
    stage = result.stages.add(stage=name)
    stage.duration.FromNanoseconds(time.monotonic_ns() - began)
