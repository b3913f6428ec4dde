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
    """Reads pictures. The models are loaded at the first page; then one takes about 400 MB beside the picture."""

    def __init__(self, threads: int, side_limit: int) -> None:
        # Its own annotations leave out what the options change.
        self._engine: Any = RapidOCR(
            params={
                "Global.log_level": "error",
                "Global.max_side_len": side_limit,
                "Global.use_cls": False,
                "Global.return_word_box": True,
                "EngineConfig.onnxruntime.intra_op_num_threads": threads,
                "EngineConfig.onnxruntime.inter_op_num_threads": 1,
            }
        )

    def words(self, picture: Pixels) -> tuple[Word, ...]:
        """The words of `picture`, RGB (h, w, 3), in reading order."""
        image = np.ascontiguousarray(picture[:, :, ::-1])
        strips = [_strip(image, quad) for quad in self._quads(image)]
        lines = self._read([strip for strip in strips if strip is not None])
        words: list[InkedWord] = []
        for strip, text, columns, confidences in lines:
            words += inked_words(strip.pixels, strip.back, text, columns, confidences)
        height, width = picture.shape[:2]
        return _in_order(words, width, height)

    def _quads(self, image: Pixels) -> list[Floats]:
        found = self._engine(image, use_det=True, use_cls=False, use_rec=False)
        return [] if found.boxes is None else [np.asarray(box, dtype=np.float64) for box in found.boxes]

    def _read(self, strips: list[Strip]) -> list[tuple[Strip, str, Floats, list[float]]]:
        """Each strip that holds text: its text, and for each character the middle in pixels and the confidence."""
        if not strips:
            return []
        found = self._engine.recognize_txt([strip.pixels for strip in strips])
        lines = []
        for strip, text, score, info in zip(strips, found.txts, found.scores, found.word_results, strict=True):
            if not text.strip() or score < SURE_OF_LINE or not info.line_txt_len:
                continue
            columns = np.array([column for word in info.word_cols for column in word], dtype=np.float64)
            middles = (columns + 0.5) * (strip.pixels.shape[1] / info.line_txt_len)
            if not _IDEOGRAPHS.search(text):
                text = text.translate(_NARROW)
            lines.append((strip, text, middles, info.confs))
        return lines


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


def _in_order(words: list[InkedWord], width: int, height: int) -> tuple[Word, ...]:
    if not words:
        return ()
    line, order = arranged(np.array([word.cell for word in words]))
    boxes = np.array([word.box for word in words])[order] / (width, height, width, height)
    ordered = [words[i] for i in order.tolist()]
    return tuple(as_words([w.text for w in ordered], boxes, line[order], [w.confidence for w in ordered]))
