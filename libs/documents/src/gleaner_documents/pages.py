"""What was read of a document: pages, words and where they stand."""

from dataclasses import dataclass
from enum import StrEnum


class TextSource(StrEnum):
    """Where a page's words come from."""

    PDF_TEXT = "PDF_TEXT"
    OCR = "OCR"


@dataclass(frozen=True, slots=True)
class Word:
    """A run of characters without a space, and its box in shares of the page as displayed (0,0 top left).

    `line` numbers the printed line it stands on, from 0 within the page; a line is words that one reads as one, so
    columns that stand far apart are lines of their own. `confidence` is the reading's, 0..1; 1 for a text layer.
    """

    text: str
    x0: float
    y0: float
    x1: float
    y1: float
    line: int
    confidence: float = 1.0


@dataclass(frozen=True, slots=True)
class Page:
    """A page as displayed: size in points (pixels for an image) after rotation, words in reading order."""

    number: int
    width: float
    height: float
    source: TextSource
    words: tuple[Word, ...]


@dataclass(frozen=True, slots=True)
class ReadDocument:
    """What was read of one document; `name` is the caller's, pages count from 1."""

    name: str
    pages: tuple[Page, ...]
