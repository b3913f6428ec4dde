"""Where in a line's picture each of its words stands, measured in the ink.

The reader says which characters it saw and roughly where; the box it found for the line is padded. Words are parted
at the blank columns between them, and their boxes shrunk to what is printed.
"""

import re
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float64]

# Blank columns part words, space or not, that are wider than this times the letters' height, and by so much wider than
# those between the letters of the line: measured on receipts, where F1 of words is best (.895, without .870).
WIDE_BLANK = 0.45
WIDER_BLANK = 0.4
FIGURES_APART = 0.9  # single figures closer than this, five or more in a row, are one number set wide
BAND_GAP = 0.14  # blank rows within a word, under an accent or a dot, are fewer than this times the line's height
RULE_UPRIGHT = 0.95  # ink that goes up this share of a line's picture is a rule: letters leave some blank
RULE_LEVEL = 2.5  # ink that goes on for so many heights of the line is a rule

_POINTED = re.compile(r"\d[.,]\d")
_FIGURES_ALONE = re.compile("0{5,}")


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
    grey: Pixels = np.asarray(cv2.cvtColor(strip, cv2.COLOR_BGR2GRAY), dtype=np.uint8)
    ink = _without_rules(inked(grey))
    rows = _band(ink.sum(axis=1))
    profile = ink[rows[0] : rows[1]].sum(axis=0)
    letters = [c for c in text if not c.isspace()]
    sure = [s for c, s in zip(text, confidences, strict=True) if not c.isspace()]
    blanks = [_widest_blank(profile, left, right) for left, right in pairwise(middles.tolist())]
    widths = np.array([b - a if a < b and profile[a] == 0 else 0 for a, b in blanks]) / (rows[1] - rows[0])
    begins = _begins(text, letters, widths)
    starts = np.flatnonzero(begins).tolist()
    groups = list(zip(starts, [*starts[1:], len(letters)], strict=True))
    cuts = _cuts(profile, [(middles[a], middles[b - 1]) for a, b in groups])
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


def inked(grey: Pixels) -> NDArray[np.bool_]:
    """Which pixels are print rather than paper: the fewer, whether dark on light or light on dark."""
    _, dark = cv2.threshold(grey, 0, 1, cv2.THRESH_BINARY_INV | cv2.THRESH_OTSU)
    ink = np.asarray(dark, dtype=np.bool_)
    return ~ink if ink.mean() > 0.5 else ink


def _without_rules(ink: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The print without the rules of tables and forms: what goes from edge to edge, or on for several letters."""
    height = len(ink)
    pixels = ink.astype(np.uint8)
    upright = cv2.morphologyEx(pixels, cv2.MORPH_OPEN, np.ones((max(int(RULE_UPRIGHT * height), 3), 1), np.uint8))
    level = cv2.morphologyEx(pixels, cv2.MORPH_OPEN, np.ones((1, max(int(RULE_LEVEL * height), 3)), np.uint8))
    rules = cv2.dilate(cv2.bitwise_or(upright, level), np.ones((3, 3), np.uint8))
    rest: NDArray[np.bool_] = ink & ~rules.astype(np.bool_)
    # A picture of rules only is rather letters misunderstood.
    return rest if rest.any() else ink


def _begins(text: str, letters: list[str], widths: Floats) -> NDArray[np.bool_]:
    """Whether a word begins at each character; `widths` are the blanks between them, by the height of the print."""
    spaced = np.array([not i or text[i - 1].isspace() for i, c in enumerate(text) if not c.isspace()])
    within = widths[~spaced[1:]]
    usual = float(np.median(within)) if len(within) > 2 else 0.0
    # The point of `64.15` leaves much blank about it, and parts no words.
    triples = ["".join(letters[max(i - 2, 0) : i + 1]) for i in range(1, len(letters))]
    pointed = np.array([_POINTED.fullmatch(triple) is not None for triple in triples], dtype=np.bool_)
    spaced[1:] |= (widths > max(WIDE_BLANK, usual + WIDER_BLANK)) & ~pointed
    alone = "".join(
        "0" if a and b and c.isdigit() else " " for a, b, c in zip(spaced, [*spaced[1:], True], letters, strict=True)
    )
    for run in _FIGURES_ALONE.finditer(alone):
        first, last = run.start(), run.end() - 1
        if np.max(widths[first:last]) < FIGURES_APART:
            spaced[first + 1 : last + 1] = False
            if first and letters[first - 1].isdigit() and widths[first - 1] < FIGURES_APART:
                spaced[first] = False
    return spaced


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
    blank = np.concatenate(([0], part <= np.min(part), [0])).astype(np.int8)
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
