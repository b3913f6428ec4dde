"""From bytes to pages, words and boxes: sniffing, PDF, OCR, child processes."""

from gleaner_documents.pages import Page, ReadDocument, TextSource, Word
from gleaner_documents.reader import PageReader
from gleaner_documents.reading import OcrMode, PageProblem, ReadOutcome, check_now, read_now, render_page
from gleaner_documents.settings import ReaderSettings
from gleaner_documents.sniff import Kind, sniff

__all__ = [
    "Kind",
    "OcrMode",
    "Page",
    "PageProblem",
    "PageReader",
    "ReadDocument",
    "ReadOutcome",
    "ReaderSettings",
    "TextSource",
    "Word",
    "check_now",
    "read_now",
    "render_page",
    "sniff",
]
