"""The characters of a PDF page as arrays: code points and boxes on the page as displayed.

PDFium is asked character by character, so the calls are bound by hand with plain addresses: with the typed pointers
of the generated bindings they take three times as long.
"""

import ctypes
import math
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import pypdfium2 as pdfium
import pypdfium2.raw as pdfium_c
from numpy.typing import NDArray

from gleaner_core.errors import DocumentDamaged, DocumentTooLarge

MAX_CHARACTERS = 500_000  # a page of a book has 3,000

_BLANKS = frozenset(map(ord, " \t\r\n\x0b\x0c\u00a0\u2028\u2029\u200b\ufeff")) | frozenset(range(0x2000, 0x200B))
_SOFT_HYPHENS = frozenset((0x2, 0xAD))  # PDFium says 2 for a hyphen at the end of a line


def _bound(function: Any, result: Any, *arguments: Any) -> Any:
    address = ctypes.cast(function, ctypes.c_void_p).value
    return ctypes.CFUNCTYPE(result, *arguments)(address)  # type: ignore[arg-type]


_PAGE, _INDEX, _OUT = ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p
_unicode = _bound(pdfium_c.FPDFText_GetUnicode, ctypes.c_uint, _PAGE, _INDEX)
_char_box = _bound(pdfium_c.FPDFText_GetCharBox, ctypes.c_int, _PAGE, _INDEX, _OUT, _OUT, _OUT, _OUT)
_loose_box = _bound(pdfium_c.FPDFText_GetLooseCharBox, ctypes.c_int, _PAGE, _INDEX, _OUT)
_angle = _bound(pdfium_c.FPDFText_GetCharAngle, ctypes.c_float, _PAGE, _INDEX)
_is_generated = _bound(pdfium_c.FPDFText_IsGenerated, ctypes.c_int, _PAGE, _INDEX)


@dataclass(frozen=True, slots=True)
class Characters:
    """What is printed on a page, in the order of the file; white space is gone and stands in `after_space`.

    `tight` is the ink, `loose` the cell of the font (advance by ascent and descent), both (n, 4) as x0 y0 x1 y1 in
    points from the top left of the page as displayed. `turn` counts the quarter turns clockwise by which the text is
    rotated. A ligature is one entry of `texts`. `unreadable` counts what is printed but has no meaning.
    """

    texts: list[str]
    tight: NDArray[np.float64]
    loose: NDArray[np.float64]
    turn: NDArray[np.int8]
    after_space: NDArray[np.bool_]
    unreadable: int = 0

    def only(self, keep: NDArray[np.bool_]) -> "Characters":
        """Those of `keep`; where some are taken away, the next one stands after a space."""
        if keep.all():
            return self
        index = np.flatnonzero(keep)
        gap = np.diff(index, prepend=-1) > 1
        return Characters(
            [self.texts[i] for i in index],
            self.tight[index],
            self.loose[index],
            self.turn[index],
            self.after_space[index] | gap,
            self.unreadable,
        )


def characters(page: pdfium.PdfPage) -> Characters:
    """The printed characters of `page`, those only that lie on the page as displayed."""
    with _text_page(page) as (text_page, count):
        codes = [_unicode(text_page, i) for i in range(count)]
        printed, after_space, turns = _scan(text_page, codes)
        tight, loose = _boxes(text_page, printed)
    quarter, matrix = _display(page)
    texts = [_meaning(codes[i]) for i in printed]
    found = Characters(
        texts,
        _displayed(tight, matrix),
        _displayed(loose, matrix),
        ((np.array(turns, dtype=np.int64) + quarter) % 4).astype(np.int8),
        np.array(after_space, dtype=np.bool_),
        sum(not text for text in texts),
    )
    return _visible(found, *page.get_size())


def _visible(found: Characters, width: float, height: float) -> Characters:
    tight, loose = found.tight, found.loose
    flat = (tight[:, 2] - tight[:, 0] <= 0) | (tight[:, 3] - tight[:, 1] <= 0)
    # The fonts of an OCR layer have cells without ink.
    tight[flat] = loose[flat]
    flat = (tight[:, 2] - tight[:, 0] <= 0.01) | (tight[:, 3] - tight[:, 1] <= 0.01)
    x, y = (tight[:, 0] + tight[:, 2]) / 2, (tight[:, 1] + tight[:, 3]) / 2
    on_page = (x >= 0) & (x <= width) & (y >= 0) & (y <= height)
    readable = np.array([bool(text) for text in found.texts], dtype=np.bool_)
    return found.only(~flat & on_page & readable)


def _meaning(code: int) -> str:
    """What a code point says; empty if it says nothing (no mapping, private use, control)."""
    if code < 0x7F:
        return chr(code) if code > 0x20 else "-" if code in _SOFT_HYPHENS else ""
    if code in _SOFT_HYPHENS:
        return "-"  # it has ink, else it is dropped with the flat ones
    if code < 0xA0 or 0xD800 <= code <= 0xF8FF or 0xFFF0 <= code <= 0xFFFF or code > 0xEFFFF:
        return ""
    if 0xFB00 <= code <= 0xFEFC:  # ligatures and other forms of presentation
        return unicodedata.normalize("NFKC", chr(code)).strip()
    return chr(code)


@contextmanager
def _text_page(page: pdfium.PdfPage) -> Iterator[tuple[int, int]]:
    handle = pdfium_c.FPDFText_LoadPage(page.raw)
    if not handle:
        raise DocumentDamaged("the text of a page cannot be loaded")
    try:
        count = max(pdfium_c.FPDFText_CountChars(handle), 0)
        if count > MAX_CHARACTERS:
            raise DocumentTooLarge(f"a page has more than {MAX_CHARACTERS:,} characters")
        yield ctypes.cast(handle, ctypes.c_void_p).value or 0, count
    finally:
        pdfium_c.FPDFText_ClosePage(handle)


def _scan(text_page: int, codes: list[int]) -> tuple[list[int], list[bool], list[int]]:
    """Index of each printed character, whether white space of the file precedes it, and its quarter turns clockwise.

    PDFium makes up a space where it sees a gap; that is no evidence, the gap itself is measured later. But a change
    of direction always follows white space, real or made up, so that the angle is asked for once a word.
    """
    printed, after_space, turns = [], [], []
    spaced, asked, turn = True, False, 0
    for i, code in enumerate(codes):
        if code in _BLANKS:
            asked = False
            spaced = spaced or not _is_generated(text_page, i)
            continue
        if not asked:
            turn, asked = round(_angle(text_page, i) / (math.pi / 2)) % 4, True
        printed.append(i)
        after_space.append(spaced)
        turns.append(turn)
        spaced = False
    return printed, after_space, turns


def _boxes(text_page: int, printed: list[int]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    tight = np.zeros((len(printed), 4))  # left, right, bottom, top
    loose = np.zeros((len(printed), 4), dtype=np.float32)  # left, top, right, bottom
    tight_at, loose_at = tight.ctypes.data, loose.ctypes.data
    for i in printed:
        _char_box(text_page, i, tight_at, tight_at + 8, tight_at + 16, tight_at + 24)
        _loose_box(text_page, i, loose_at)
        tight_at += 32
        loose_at += 16
    return tight[:, (0, 2, 1, 3)], loose[:, (0, 3, 2, 1)].astype(np.float64)


def _display(page: pdfium.PdfPage) -> tuple[int, NDArray[np.float64]]:
    """Quarter turns of the page, and the matrix from its user space to points from the top left as displayed.

    The matrix is asked of PDFium, for only PDFium knows the crop box and the rotation that the page inherits.
    """
    width, height = page.get_size()
    scale = 2**20
    x, y = ctypes.c_int(), ctypes.c_int()

    def at(px: float, py: float) -> tuple[float, float]:
        pdfium_c.FPDF_PageToDevice(page.raw, 0, 0, scale, scale, 0, px, py, x, y)
        return x.value / scale * width, y.value / scale * height

    origin = np.array(at(0, 0))
    across = (np.array(at(width, 0)) - origin) / width
    up = (np.array(at(0, height)) - origin) / height
    return page.get_rotation() // 90, np.array([across, up, origin])


def _displayed(boxes: NDArray[np.float64], matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    first = boxes[:, :2] @ matrix[:2] + matrix[2]
    second = boxes[:, 2:] @ matrix[:2] + matrix[2]
    return np.hstack((np.minimum(first, second), np.maximum(first, second)))
