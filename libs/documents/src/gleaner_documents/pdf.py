"""PDF documents: opened safely, and read by their text layer where it is worth it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pypdfium2 as pdfium
import pypdfium2.raw as pdfium_c

from gleaner_core.errors import DocumentDamaged, DocumentEmpty, DocumentEncrypted, TooManyPages
from gleaner_documents.characters import characters
from gleaner_documents.lines import words_of
from gleaner_documents.pages import Page, TextSource

FEW_WORDS = 12  # a page picture with fewer words of text beside it is a scan with a stamp
PICTURE_SHARE = 0.5  # a picture over more of the page than this is the page
MANY_PATHS = 40  # so many drawn shapes on a page without text: letters drawn as outlines
UNREADABLE_SHARE = 0.15  # more characters without a meaning than this: the text layer is garbage


@dataclass(frozen=True, slots=True)
class TextLayer:
    """A page by its text layer, and whether its picture should be read instead."""

    page: Page
    wants_ocr: bool


@contextmanager
def opened(content: bytes, max_pages: int) -> Iterator[pdfium.PdfDocument]:
    """The document of `content`, with at least one page.

    Raises DocumentEncrypted, DocumentDamaged, DocumentEmpty, TooManyPages. PDFium is not safe for threads: one
    document at a time in a process.
    """
    try:
        document = pdfium.PdfDocument(content)
    except pdfium.PdfiumError as error:
        if error.err_code in (pdfium_c.FPDF_ERR_PASSWORD, pdfium_c.FPDF_ERR_SECURITY):
            raise DocumentEncrypted("the PDF wants a password; remove it and send the document again") from error
        if _has_no_pages(content):
            raise DocumentEmpty("the PDF has no pages") from error
        raise DocumentDamaged("the PDF cannot be opened") from error
    try:
        count = len(document)
        if count > max_pages:
            raise TooManyPages(f"the document has {count:,} pages; at most {max_pages:,} are read")
        yield document
    finally:
        document.close()


def _has_no_pages(content: bytes) -> bool:
    """Whether PDFium can open the document and finds no page; pypdfium2 calls that a format error."""
    handle = pdfium_c.FPDF_LoadMemDocument64(content, len(content), None)
    if not handle:
        return False
    try:
        return bool(pdfium_c.FPDF_GetPageCount(handle) == 0)
    finally:
        pdfium_c.FPDF_CloseDocument(handle)


@contextmanager
def page_of(document: pdfium.PdfDocument, number: int) -> Iterator[pdfium.PdfPage]:
    """Page `number` (from 1). Raises DocumentDamaged."""
    try:
        page = document[number - 1]
    except (pdfium.PdfiumError, IndexError) as error:
        raise DocumentDamaged(f"page {number} of the PDF cannot be loaded") from error
    try:
        width, height = page.get_size()
        if not (0 < width < 1e6 and 0 < height < 1e6):
            raise DocumentDamaged(f"page {number} of the PDF has no size")
        yield page
    finally:
        page.close()


def text_layer(page: pdfium.PdfPage, number: int) -> TextLayer:
    """What the text layer of `page` says."""
    width, height = page.get_size()
    found = characters(page)
    words = words_of(found, width, height)
    garbage = found.unreadable > UNREADABLE_SHARE * (len(found.texts) + found.unreadable) or _names_glyphs(found.texts)
    wants_ocr = garbage or (len(words) < FEW_WORDS and _shows_a_picture(page, bare=not words))
    return TextLayer(Page(number, width, height, TextSource.PDF_TEXT, words), wants_ocr)


def _names_glyphs(texts: list[str]) -> bool:
    """Whether the text is `(cid:12)(cid:7)…`: numbers of glyphs that some writer left instead of letters."""
    return "".join(texts[:4000]).count("(cid:") * 10 > min(len(texts), 4000)


def _shows_a_picture(page: pdfium.PdfPage, *, bare: bool) -> bool:
    """Whether most of the page is an image; on a `bare` page, without a word, any image or drawing will do."""
    width, height = page.get_size()
    covered, paths = 0.0, 0
    for shape in page.get_objects(max_depth=4):
        if shape.type == pdfium_c.FPDF_PAGEOBJ_IMAGE:
            if bare:
                return True
            left, bottom, right, top = shape.get_bounds()
            covered += max(right - left, 0) * max(top - bottom, 0)
        elif shape.type in (pdfium_c.FPDF_PAGEOBJ_PATH, pdfium_c.FPDF_PAGEOBJ_SHADING):
            paths += 1
    return covered >= PICTURE_SHARE * width * height or (bare and paths >= MANY_PATHS)
