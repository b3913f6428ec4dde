"""Where in a line's picture each of its words stands, measured in the ink.

The reader says which characters it saw and roughly where; the box it found for the line is padded. Words are parted
at the blank columns between them, and their boxes shrunk to what is printed.
"""

from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float64]

# Blank columns part words, space or not, that are wider than this times the letters' height, and by so much wider than
# those between the letters of the line: measured on receipts, where F1 of words is best (.894, without .870).
WIDE_BLANK = 0.45
WIDER_BLANK = 0.4
BAND_GAP = 0.14  # blank rows within a word, under an accent or a dot, are fewer than this times the line's height


@dataclass(frozen=True, slots=True)
class InkedWord:
    """A word, its box in pixels of the page's picture, and the cell of its line about it (x0 y0 x1 y1)."""

    text: str
    box: tuple[float, float, float, float]
    cell: tuple[float, float, float, float]
    confidence: float


def inked_words(strip: Pixels, back: Floats, text: str, middles: Floats, confidences: list[float]) -> list[InkedWord]:
    """The words of a line.

    `strip` is its picture, BGR; `back` the matrix from the strip to the page; `middles` where the characters of
    `text` other than spaces stand, in pixels of the strip; `confidences` one for each character of `text`.
    """
    ink = inked(strip)
    rows = _band(ink.sum(axis=1))
    groups = _groups(text, middles, ink, rows)
    cuts = _cuts(ink[rows[0] : rows[1]].sum(axis=0), [(middles[a], middles[b - 1]) for a, b in groups])
    letters = [c for c in text if not c.isspace()]
    sure = [s for c, s in zip(text, confidences, strict=True) if not c.isspace()]
    words = []
    for (a, b), (left, right) in zip(groups, cuts, strict=True):
        box = _shrunk(ink, left, right, rows)
        words.append(
            InkedWord(
                "".join(letters[a:b]),
                _mapped(box, back),
                _mapped((box[0], rows[0], box[2], rows[1]), back),
                float(np.mean(sure[a:b])),
            )
        )
    return words


def inked(strip: Pixels) -> NDArray[np.bool_]:
    """Which pixels are print rather than paper: the fewer, whether dark on light or light on dark."""
    grey = cv2.cvtColor(strip, cv2.COLOR_BGR2GRAY)
    _, dark = cv2.threshold(grey, 0, 1, cv2.THRESH_BINARY_INV | cv2.THRESH_OTSU)
    ink = np.asarray(dark, dtype=np.bool_)
    return ~ink if ink.mean() > 0.5 else ink


def _groups(text: str, middles: Floats, ink: NDArray[np.bool_], rows: tuple[int, int]) -> list[tuple[int, int]]:
    """Ranges of characters, spaces not counted, that make a word."""
    # Where a space precedes: the first character, and those after white space.
    spaced = np.array([not i or text[i - 1].isspace() for i, c in enumerate(text) if not c.isspace()])
    blank = _blanks(middles, ink[rows[0] : rows[1]].sum(axis=0)) / max(rows[1] - rows[0], 1)
    within = blank[~spaced[1:]]
    usual = float(np.median(within)) if len(within) > 2 else 0.0
    spaced[1:] |= blank > max(WIDE_BLANK, usual + WIDER_BLANK)
    starts = np.flatnonzero(spaced).tolist()
    return list(zip(starts, [*starts[1:], len(spaced)], strict=True))


def _blanks(middles: Floats, profile: NDArray[np.int_]) -> Floats:
    """Columns without any ink between each character and the next."""
    widths = np.zeros(max(len(middles) - 1, 0))
    for i, (left, right) in enumerate(pairwise(middles.tolist())):
        a, b = _widest_blank(profile, left, right)
        widths[i] = b - a if a < b and profile[a] == 0 else 0
    return widths


def _cuts(profile: NDArray[np.int_], spans: list[tuple[float, float]]) -> list[tuple[int, int]]:
    """The columns of each word, from the middle of the blank before to that of the blank after."""
    edges = [0]
    for (_, end), (begin, _) in pairwise(spans):
        a, b = _widest_blank(profile, end, begin)
        edges.append((a + b) // 2)
    edges.append(len(profile))
    return list(pairwise(edges))


def _widest_blank(profile: NDArray[np.int_], begin: float, end: float) -> tuple[int, int]:
    """The widest stretch with least ink between two columns."""
    a, b = int(max(begin, 0)), int(min(max(end, begin + 1), len(profile)))
    part = profile[a:b]
    if not len(part):
        return a, a
    blank = np.concatenate(([0], part <= part.min(), [0])).astype(np.int8)
    starts, ends = np.flatnonzero(np.diff(blank) == 1), np.flatnonzero(np.diff(blank) == -1)
    widest = int(np.argmax(ends - starts))
    return a + int(starts[widest]), a + int(ends[widest])


def _band(profile: NDArray[np.int_]) -> tuple[int, int]:
    """The rows of the print that fills the strip; what pokes in from the lines above and below is left out."""
    rows = np.flatnonzero(profile > 0)
    if not len(rows):
        return 0, len(profile)
    parts = np.split(rows, np.flatnonzero(np.diff(rows) > max(2, BAND_GAP * len(profile))) + 1)
    best = max(parts, key=lambda part: int(profile[part].sum()))
    return int(best[0]), int(best[-1]) + 1


def _shrunk(ink: NDArray[np.bool_], left: int, right: int, rows: tuple[int, int]) -> tuple[float, float, float, float]:
    """The box of the ink in the columns, or the columns themselves where there is none."""
    part = ink[rows[0] : rows[1], left:right]
    columns, lines = np.flatnonzero(part.any(axis=0)), np.flatnonzero(part.any(axis=1))
    if not len(columns):
        return left, rows[0], max(right, left + 1), rows[1]
    return left + columns[0], rows[0] + lines[0], left + columns[-1] + 1, rows[0] + lines[-1] + 1


def _mapped(box: tuple[float, float, float, float], back: Floats) -> tuple[float, float, float, float]:
    x0, y0, x1, y1 = box
    corners = back @ np.array([[x0, x1, x1, x0], [y0, y0, y1, y1], [1, 1, 1, 1]], dtype=np.float64)
    x, y = corners[0] / corners[2], corners[1] / corners[2]
    return float(x.min()), float(y.min()), float(x.max()), float(y.max())
