"""Pages made by hand: texts put at places, as a reader of documents would give them."""

from collections.abc import Iterable

from gleaner_documents import Page, ReadDocument, TextSource, Word

WIDTH, HEIGHT = 600.0, 800.0
_CHAR, _LINE = 0.011, 0.014  # a letter's width and a line's height, in shares of the page


def printed_page(*texts: tuple[float, float, str], number: int = 1, source: TextSource = TextSource.PDF_TEXT) -> Page:
    """A page with each text on a line of its own that begins at (x, y), in shares of the page."""
    words: list[Word] = []
    for line, (x, y, text) in enumerate(texts):
        for part in text.split(" "):
            if part:
                words.append(Word(part, x, y, min(1.0, x + _CHAR * len(part)), min(1.0, y + _LINE), line))
            x += _CHAR * (len(part) + 1)
    return Page(number, WIDTH, HEIGHT, source, tuple(words))


def printed_lines(*lines: str, source: TextSource = TextSource.PDF_TEXT) -> Page:
    """A page with lines of text below each other."""
    return printed_page(*((0.1, 0.05 + 0.02 * row, text) for row, text in enumerate(lines)), source=source)


def printed_document(*pages: Page, name: str = "paper.pdf") -> ReadDocument:
    """A document of these pages."""
    return ReadDocument(name, tuple(pages))


def words_in(page: Page, boxes: Iterable[tuple[float, float, float, float]]) -> str:
    """The words whose middle is in one of the boxes, in reading order."""
    frames = list(boxes)
    return " ".join(
        word.text
        for word in page.words
        if any(x0 <= (word.x0 + word.x1) / 2 <= x1 and y0 <= (word.y0 + word.y1) / 2 <= y1 for x0, y0, x1, y1 in frames)
    )
