"""Reading a page's picture: RapidOCR finds and reads lines, boxes of words are measured in the ink.

The models are in RapidOCR's wheel; nothing is ever fetched. A line may be skewed or stand upright: it is cut out
straight, read, and its words are mapped back to the page as displayed.
"""

import math
import re
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from rapidocr import RapidOCR

from gleaner_documents.ink import InkedWord, inked_words
from gleaner_documents.lines import arranged, as_words
from gleaner_documents.pages import Word

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float64]

SURE_OF_LINE = 0.5  # a line read with less confidence is noise
DOUBTFUL = 0.75  # a page read with less confidence on average is tried upside down
UPRIGHT = 1.5  # a box this much higher than wide holds text that runs up or down

# The models write (, : and . as wide as an ideograph where they are in doubt.
_NARROW = {wide: wide - 0xFEE0 for wide in range(0xFF01, 0xFF5F)} | {0x3002: ".", 0x3001: ","}
_IDEOGRAPHS = re.compile("[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")


@dataclass(frozen=True, slots=True)
class Strip:
    """A line cut out of the picture, running right, and the matrix from it back to the picture."""

    pixels: Pixels
    back: Floats


class Recogniser:
    """Reads pictures. With its models and a picture of 2000 pixels a side it takes up to 0.8 GB."""

    def __init__(self, threads: int, side_limit: int) -> None:
        # Its own annotations leave out what the options change.
        self._engine: Any = RapidOCR(
            params={
                "Global.log_level": "error",
                "Global.max_side_len": side_limit,
                "Global.use_cls": False,
                "Global.return_word_box": True,
                # One strip at a time: padded to the widest of a batch it is read worse, and hardly faster.
                "Rec.rec_batch_num": 1,
                "EngineConfig.onnxruntime.intra_op_num_threads": threads,
                "EngineConfig.onnxruntime.inter_op_num_threads": 1,
            }
        )

    def words(self, picture: Pixels) -> tuple[Word, ...]:
        """The words of `picture`, RGB (h, w, 3), in reading order; it may lie on its side or stand on its head."""
        image = np.ascontiguousarray(picture[:, :, ::-1])
        quads = self._quads(image)
        turns = 1 if _lies(quads) else 0
        best = self._read(_turned(image, turns), None if turns else quads)
        if best.strips and best.confidence < DOUBTFUL:
            other = self._read(_turned(image, turns + 2), None)
            if other.worth > best.worth:
                best, turns = other, turns + 2
        height, width = image.shape[:2] if turns % 2 == 0 else image.shape[1::-1]
        return _in_order(best.words(), (width, height), turns)

    def _quads(self, image: Pixels) -> list[Floats]:
        """The corners of each line, clockwise from its top left."""
        found = self._engine(image, use_det=True, use_cls=False, use_rec=False)
        return [] if found.boxes is None else [np.asarray(box, dtype=np.float64) for box in found.boxes]

    def _read(self, image: Pixels, quads: list[Floats] | None) -> "Reading":
        cut = [_strip(image, quad) for quad in (self._quads(image) if quads is None else quads)]
        strips = [strip for strip in cut if strip is not None]
        if not strips:
            return Reading([], [], [], [])
        found = self._engine.recognize_txt([strip.pixels for strip in strips])
        return Reading(strips, list(found.txts), list(found.scores), list(found.word_results))


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read of a picture, strip by strip; `details` are the reader's columns and confidences of characters."""

    strips: list[Strip]
    texts: list[str]
    scores: list[float]
    details: list[Any]

    @property
    def confidence(self) -> float:
        """That of a strip, on average."""
        return float(np.mean(self.scores)) if self.scores else 0.0

    @property
    def worth(self) -> float:
        """How many characters were read, each by its confidence."""
        return sum(len(text) * score for text, score in zip(self.texts, self.scores, strict=True))

    def words(self) -> list[InkedWord]:
        """The words of those strips that were read with confidence."""
        words: list[InkedWord] = []
        for strip, text, score, detail in zip(self.strips, self.texts, self.scores, self.details, strict=True):
            if not text.strip() or score < SURE_OF_LINE or not detail.line_txt_len:
                continue
            columns = np.array([column for word in detail.word_cols for column in word], dtype=np.float64)
            middles = (columns + 0.5) * (strip.pixels.shape[1] / detail.line_txt_len)
            if not _IDEOGRAPHS.search(text):
                text = text.translate(_NARROW)
            words += inked_words(strip.pixels, strip.back, text, middles, detail.confs)
        return words


def _strip(image: Pixels, quad: Floats) -> Strip | None:
    """The part of `image` within `quad` (corners clockwise from top left), straightened to run right."""
    width = max(np.linalg.norm(quad[0] - quad[1]), np.linalg.norm(quad[2] - quad[3]))
    height = max(np.linalg.norm(quad[0] - quad[3]), np.linalg.norm(quad[1] - quad[2]))
    if height >= UPRIGHT * width:
        quad, width, height = np.roll(quad, -1, axis=0), height, width
    w, h = math.ceil(width), math.ceil(height)
    if w < 3 or h < 3:
        return None
    flat = np.array([[0, 0], [w, 0], [w, h], [0, h]], dtype=np.float32)
    there = cv2.getPerspectiveTransform(quad.astype(np.float32), flat)
    pixels: Any = cv2.warpPerspective(image, there, (w, h), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return Strip(pixels, np.linalg.inv(there).astype(np.float64))


def _lies(quads: list[Floats]) -> bool:
    """Whether most of the print runs up or down."""
    upright = level = 0.0
    for quad in quads:
        width, height = np.linalg.norm(quad[0] - quad[1]), np.linalg.norm(quad[0] - quad[3])
        if height >= UPRIGHT * width:
            upright += float(height)
        elif width >= UPRIGHT * height:
            level += float(width)
    return upright > level


def _turned(image: Pixels, turns: int) -> Pixels:
    return np.ascontiguousarray(np.rot90(image, turns)) if turns % 4 else image


def _in_order(words: list[InkedWord], size: tuple[int, int], turns: int) -> tuple[Word, ...]:
    """The words in reading order, their boxes as before the picture was turned counter-clockwise `turns` times."""
    if not words:
        return ()
    line, order = arranged(np.array([word.cell for word in words]))
    boxes = np.array([word.box for word in words])[order] / (*size, *size)
    for _ in range(turns % 4):
        boxes = np.column_stack((1 - boxes[:, 3], boxes[:, 0], 1 - boxes[:, 1], boxes[:, 2]))
    ordered = [words[i] for i in order.tolist()]
    return tuple(as_words([w.text for w in ordered], boxes, line[order], [w.confidence for w in ordered]))
