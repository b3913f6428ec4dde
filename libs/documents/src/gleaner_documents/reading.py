"""Reading a document in this process, from bytes to pages. Services do it in a child: see `reader`."""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import TYPE_CHECKING

import pypdfium2 as pdfium
from PIL import Image

from gleaner_core.errors import DocumentDamaged, DocumentTooLarge
from gleaner_documents import images, pdf
from gleaner_documents.pages import Page, ReadDocument, TextSource, Word
from gleaner_documents.settings import ReaderSettings
from gleaner_documents.sniff import Kind, sniff

if TYPE_CHECKING:
    from gleaner_documents.ocr import Recogniser

log = logging.getLogger(__name__)

OnPage = Callable[[int], None]
OnRead = Callable[[Page], None]
DEFAULTS = ReaderSettings.model_construct()


class OcrMode(StrEnum):
    """Which pages are recognised from their picture."""

    AUTO = "AUTO"  # those without a text layer worth reading
    ALWAYS = "ALWAYS"
    NEVER = "NEVER"


@dataclass(frozen=True, slots=True)
class PageProblem:
    """What went wrong on a page without failing the document. `reason` is stable: OCR_PAGE_FAILED, PAGE_DAMAGED."""

    reason: str
    message: str
    page: int


@dataclass(frozen=True, slots=True)
class ReadOutcome:
    """What was read, how many pages of it by OCR, and what went wrong on the way."""

    document: ReadDocument
    ocr_pages: int
    problems: tuple[PageProblem, ...]


def ignored(page: object) -> None:
    """Hears of a page and makes nothing of it."""


def read_now(
    name: str,
    content: bytes,
    *,
    media_type: str = "",
    ocr: OcrMode = OcrMode.AUTO,
    max_pages: int | None = None,
    settings: ReaderSettings = DEFAULTS,
    on_page: OnRead = ignored,
) -> ReadOutcome:
    """The pages of a document; `on_page` hears of each when it has been read.

    Raises a DocumentError. One damaged page of several is a problem, not an error.
    """
    kind = _admitted(content, media_type, settings)
    most = min(max_pages or settings.max_pages, settings.max_pages)
    read = _pdf_pages if kind is Kind.PDF else _image_pages
    pages, problems = [], []
    for page, problem in read(content, kind, ocr, most, settings):
        pages.append(page)
        if problem is not None:
            problems.append(problem)
        on_page(page)
    if all(problem.reason == "PAGE_DAMAGED" for problem in problems) and len(problems) == len(pages):
        raise DocumentDamaged("no page of the document can be read")
    by_ocr = sum(page.source is TextSource.OCR for page in pages)
    return ReadOutcome(ReadDocument(name, tuple(pages)), by_ocr, tuple(problems))


def check_now(content: bytes, media_type: str = "", *, settings: ReaderSettings = DEFAULTS) -> int:
    """How many pages the document has. Raises the DocumentError that reading would raise before the first page."""
    kind = _admitted(content, media_type, settings)
    if kind is Kind.PDF:
        with pdf.opened(content, settings.max_pages) as document:
            return len(document)
    with images.opened(content, kind, settings.max_pixels) as image:
        return images.frame_count(image, settings.max_pages)


def render_page(content: bytes, number: int, dpi: float = 150, *, settings: ReaderSettings = DEFAULTS) -> Image.Image:
    """Page `number` (from 1) as displayed: the picture that the boxes of its words belong to."""
    kind = _admitted(content, "", settings)
    if kind is Kind.PDF:
        with pdf.opened(content, settings.max_pages) as document, pdf.page_of(document, number) as page:
            return Image.fromarray(images.drawn(page, dpi, settings.max_pixels))
    with images.opened(content, kind, settings.max_pixels) as image:
        images.frame_count(image, settings.max_pages)
        pixels, _ = images.frame(image, number, settings.max_pixels, max(image.size))
        return Image.fromarray(pixels)


def _admitted(content: bytes, media_type: str, settings: ReaderSettings) -> Kind:
    if len(content) > settings.max_document_bytes:
        raise DocumentTooLarge(
            f"the document has {len(content):,} bytes; at most {settings.max_document_bytes:,} are read"
        )
    return sniff(content, media_type)


Read = tuple[Page, PageProblem | None]


def _pdf_pages(content: bytes, _: Kind, ocr: OcrMode, most: int, settings: ReaderSettings) -> Iterator[Read]:
    with pdf.opened(content, most) as document:
        for number in range(1, len(document) + 1):
            try:
                with pdf.page_of(document, number) as page:
                    yield _pdf_page(page, number, ocr, settings)
            except DocumentDamaged as error:
                yield Page(number, 0, 0, TextSource.PDF_TEXT, ()), PageProblem("PAGE_DAMAGED", str(error), number)


def _pdf_page(page: pdfium.PdfPage, number: int, ocr: OcrMode, settings: ReaderSettings) -> Read:
    layer = pdf.text_layer(page, number)
    if ocr is OcrMode.NEVER or not (layer.wants_ocr or ocr is OcrMode.ALWAYS):
        return layer.page, None
    try:
        picture = images.drawn(page, settings.dpi, settings.max_pixels, settings.ocr_side_limit)
        words = _recognised(picture, settings)
    except Exception as error:
        return layer.page, _ocr_failed(error, number)
    return Page(number, layer.page.width, layer.page.height, TextSource.OCR, words), None


def _image_pages(content: bytes, kind: Kind, ocr: OcrMode, most: int, settings: ReaderSettings) -> Iterator[Read]:
    with images.opened(content, kind, settings.max_pixels) as image:
        for number in range(1, images.frame_count(image, most) + 1):
            try:
                yield _image_page(image, number, ocr, settings)
            except DocumentDamaged as error:
                yield Page(number, 0, 0, TextSource.OCR, ()), PageProblem("PAGE_DAMAGED", str(error), number)


def _image_page(image: Image.Image, number: int, ocr: OcrMode, settings: ReaderSettings) -> Read:
    picture, (width, height) = images.frame(image, number, settings.max_pixels, settings.ocr_side_limit)
    blank = Page(number, width, height, TextSource.OCR, ())
    if ocr is OcrMode.NEVER:
        return blank, None
    try:
        return Page(number, width, height, TextSource.OCR, _recognised(picture, settings)), None
    except Exception as error:
        return blank, _ocr_failed(error, number)


def _recognised(picture: images.Pixels, settings: ReaderSettings) -> tuple[Word, ...]:
    return _recogniser(settings.ocr_threads, settings.ocr_side_limit).words(picture)


def _ocr_failed(error: Exception, number: int) -> PageProblem:
    # Whatever a foreign library makes of a picture costs this page, not the document.
    log.warning("OCR of page %d failed", number, exc_info=error)
    return PageProblem("OCR_PAGE_FAILED", f"page {number} could not be recognised ({type(error).__name__})", number)


@cache
def _recogniser(threads: int, side_limit: int) -> "Recogniser":
    from gleaner_documents.ocr import Recogniser  # with the extra `ocr` only, and not before it is needed

    return Recogniser(threads, side_limit)
