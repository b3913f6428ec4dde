"""From characters to words, and from words to lines in reading order.

All of it works on arrays in a frame where the text runs from left to right; rotated text is turned there and back.
Lengths are compared with the height of the font's cell, about 1.15 times the font size.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gleaner_documents.characters import Characters
from gleaner_documents.pages import Word

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]

WORD_GAP = 0.13  # a wider gap between two cells parts words
LINE_GAP = 1.5  # a wider gap between two words parts lines: another column
GLUE_GAP = 0.05  # pieces of a word that the file draws out of order lie closer
SAME_SIZE = 2.2  # taller than this times the other is no neighbour on a line


@dataclass(frozen=True, slots=True)
class Pieces:
    """Words of one direction, in the order of the file: texts, ink and cells (n, 4) as x0 y0 x1 y1."""

    texts: list[str]
    tight: Floats
    loose: Floats


def words_of(found: Characters, width: float, height: float) -> tuple[Word, ...]:
    """The words of a page in reading order, boxes in shares of a page of `width` by `height` points."""
    words: list[Word] = []
    for turn in np.unique(found.turn).tolist():
        pieces = _pieces(found.only(found.turn == turn), turn)
        line, order = arranged(pieces.loose)
        pieces, line = _glued(pieces, line, order)
        boxes = _turned(pieces.tight, -turn) / (width, height, width, height)
        first = words[-1].line + 1 if words else 0
        words += as_words(pieces.texts, boxes, line + first)
    return tuple(words)


def as_words(texts: list[str], boxes: Floats, line: Ints, confidences: list[float] | None = None) -> list[Word]:
    """Words from arrays; boxes in shares of the page, cut at its edges."""
    edges = np.clip(boxes, 0, 1).round(6).tolist()
    sure = confidences or [1.0] * len(texts)
    return [
        Word(text, x0, y0, x1, y1, number, confidence)
        for text, (x0, y0, x1, y1), number, confidence in zip(texts, edges, line.tolist(), sure, strict=True)
    ]


def arranged(cells: Floats) -> tuple[Ints, Ints]:
    """Number of the line of each word, and the words' reading order; `cells` in the order in which they were found."""
    if not len(cells):
        return np.zeros(0, dtype=np.intp), np.zeros(0, dtype=np.intp)
    starts, fragment = _fragments(cells)
    boxes = _hulls(cells, starts)
    chain = _chains(boxes, np.add.reduceat(_heights(cells), starts) / np.diff(starts, append=len(cells)))
    line = _rows_first(boxes, chain)[chain[fragment]]
    return line, np.lexsort((cells[:, 0], line))


def _pieces(found: Characters, turn: int) -> Pieces:
    tight, loose = _turned(found.tight, turn), _turned(found.loose, turn)
    if not len(found.texts):
        return Pieces([], tight, loose)
    loose = _sane_cells(tight, loose)
    starts = np.flatnonzero(_word_breaks(loose, found.after_space))
    ends = np.append(starts[1:], len(found.texts)).tolist()
    texts = ["".join(found.texts[a:b]) for a, b in zip(starts.tolist(), ends, strict=True)]
    return Pieces(texts, _hulls(tight, starts), _hulls(loose, starts))


def _sane_cells(tight: Floats, loose: Floats) -> Floats:
    """The cells, with that of the ink where a font's ascent and descent are nonsense."""
    ink, cell = _heights(tight), _heights(loose)
    middle = np.median(ink) if len(ink) else 0.0
    wrong = (cell < 0.7 * ink) | (cell > 8 * np.maximum(ink, middle))
    if wrong.any():
        loose = loose.copy()
        grown = tight.copy()
        grown[:, 1] -= 0.2 * ink
        grown[:, 3] += 0.2 * ink
        loose[wrong] = grown[wrong]
    return loose


def _word_breaks(cells: Floats, after_space: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Whether a word begins at each character."""
    height = _heights(cells)
    tall, low = np.maximum(height[1:], height[:-1]), np.minimum(height[1:], height[:-1])
    gap = cells[1:, 0] - cells[:-1, 2]
    jump = (_overlap(cells[:-1], cells[1:]) < 0.5 * low) | (gap < -0.6 * tall)
    space = after_space[1:]
    soft = gap > WORD_GAP * tall
    _allow_for_spaced_letters(gap / tall, jump, space, soft)
    return np.concatenate(([True], jump | space | soft))


def _allow_for_spaced_letters(
    gap: Floats, jump: NDArray[np.bool_], space: NDArray[np.bool_], soft: NDArray[np.bool_]
) -> None:
    """Correct `soft` where the letters of a line are set apart: there only a gap wider than the usual one parts."""
    bounds = np.flatnonzero(np.concatenate(([True], jump, [True])))
    apart = np.concatenate(([0], np.cumsum(soft & ~space)))
    joined = np.concatenate(([0], np.cumsum(~space)))
    starts, ends = bounds[:-1], bounds[1:] - 1
    gaps = joined[ends] - joined[starts]
    for i in np.flatnonzero((gaps >= 3) & (apart[ends] - apart[starts] >= 0.6 * gaps)).tolist():
        here = slice(starts[i], ends[i])
        usual = float(np.median(gap[here][~space[here]]))
        if usual < 0.8:
            soft[here] = gap[here] > max(1.6 * usual, usual + 0.15)


def _fragments(cells: Floats) -> tuple[Ints, Ints]:
    """Stretches of words that follow each other on a line: where each begins, and the stretch of each word."""
    height = _heights(cells)
    tall, low = np.maximum(height[1:], height[:-1]), np.minimum(height[1:], height[:-1])
    gap = cells[1:, 0] - cells[:-1, 2]
    follows = (
        (_overlap(cells[:-1], cells[1:]) >= 0.5 * low)
        & (tall <= SAME_SIZE * low)
        & (gap <= LINE_GAP * tall)
        & (gap >= -0.5 * tall)
    )
    begins = np.concatenate(([True], ~follows))
    return np.flatnonzero(begins), np.cumsum(begins) - 1


def _chains(boxes: Floats, height: Floats) -> Ints:
    """Line of each fragment, numbered without order: fragments that are each other's nearest neighbours are one."""
    right = _right_neighbours(boxes, height)
    chain = np.arange(len(boxes))
    # A neighbour begins further right, so that no chain closes; heads come first.
    for i in np.argsort(boxes[:, 0], kind="stable").tolist():
        if right[i] >= 0:
            chain[right[i]] = chain[i]
    return np.unique(chain, return_inverse=True)[1].astype(np.intp)


def _right_neighbours(boxes: Floats, height: Floats) -> list[int]:
    found = [-1] * len(boxes)
    nearest_left: dict[int, tuple[float, int]] = {}
    for i, (x0, y0, x1, y1) in enumerate(boxes.tolist()):
        tall, low = np.maximum(height, height[i]), np.minimum(height, height[i])
        gap = boxes[:, 0] - x1
        common = np.minimum(boxes[:, 3], y1) - np.maximum(boxes[:, 1], y0)
        near = (
            (gap <= LINE_GAP * tall)
            & (gap >= -0.5 * tall)
            & (common >= 0.5 * low)
            & (tall <= SAME_SIZE * low)
            & (boxes[:, 0] > x0)
        )
        if near.any():
            candidates = np.flatnonzero(near)
            j = int(candidates[np.argmin(gap[candidates])])
            distance = float(gap[j])
            if j not in nearest_left or distance < nearest_left[j][0]:
                nearest_left[j] = (distance, i)
    for j, (_, i) in nearest_left.items():
        found[i] = j
    return found


def _rows_first(boxes: Floats, chain: Ints) -> Ints:
    """Place of each chain in reading order: row by row, within a row from left to right."""
    count = int(np.max(chain)) + 1
    hull = np.column_stack(
        [np.full(count, np.inf), np.full(count, np.inf), np.full(count, -np.inf), np.full(count, -np.inf)]
    )
    for edge, keep in ((0, np.minimum), (1, np.minimum), (2, np.maximum), (3, np.maximum)):
        keep.at(hull[:, edge], chain, boxes[:, edge])
    rows: list[tuple[float, float, list[int]]] = []
    middle = (hull[:, 1] + hull[:, 3]) / 2
    for i in np.argsort(middle, kind="stable").tolist():
        top, bottom = float(hull[i, 1]), float(hull[i, 3])
        if rows and min(bottom, rows[-1][1]) - max(top, rows[-1][0]) >= 0.5 * min(
            bottom - top, rows[-1][1] - rows[-1][0]
        ):
            rows[-1][2].append(i)
        else:
            rows.append((top, bottom, [i]))
    place = np.empty(count, dtype=np.intp)
    place[[i for _, _, row in rows for i in sorted(row, key=lambda i: float(hull[i, 0]))]] = np.arange(count)
    return place


def _glued(pieces: Pieces, line: Ints, order: Ints) -> tuple[Pieces, Ints]:
    """The words in reading order, with those made one that touch on a line."""
    if not len(order):
        return pieces, line
    tight, loose, line = pieces.tight[order], pieces.loose[order], line[order]
    gap = (loose[1:, 0] - loose[:-1, 2]) / np.maximum(_heights(loose[1:]), 1e-9)
    out_of_order = np.diff(order) != 1
    touches = (np.diff(line) == 0) & out_of_order & (gap < GLUE_GAP) & (gap > -0.2)
    starts = np.flatnonzero(np.concatenate(([True], ~touches)))
    ends = np.append(starts[1:], len(order)).tolist()
    ordered = [pieces.texts[i] for i in order.tolist()]
    texts = ["".join(ordered[a:b]) for a, b in zip(starts.tolist(), ends, strict=True)]
    return Pieces(texts, _hulls(tight, starts), _hulls(loose, starts)), line[starts]


def _turned(boxes: Floats, quarters: int) -> Floats:
    """The boxes after turning the page counter-clockwise about the origin, so that text turned so often runs right."""
    x0, y0, x1, y1 = boxes.T
    match quarters % 4:
        case 1:
            return np.column_stack((y0, -x1, y1, -x0))
        case 2:
            return np.column_stack((-x1, -y1, -x0, -y0))
        case 3:
            return np.column_stack((-y1, x0, -y0, x1))
        case _:
            return boxes


def _hulls(boxes: Floats, starts: Ints) -> Floats:
    return np.hstack((np.minimum.reduceat(boxes[:, :2], starts), np.maximum.reduceat(boxes[:, 2:], starts)))


def _heights(boxes: Floats) -> Floats:
    return boxes[:, 3] - boxes[:, 1]


def _overlap(first: Floats, second: Floats) -> Floats:
    """How much of the height two boxes share, pair by pair."""
    return np.minimum(first[:, 3], second[:, 3]) - np.maximum(first[:, 1], second[:, 1])
