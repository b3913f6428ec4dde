"""First pages of PDFs as pictures, with the labels of those pages: scans whose true boxes are known to the glyph.

`noisy` is what an office scanner and a mail gateway do to a page: a blur, noise, a little skew, JPEG of poor quality.
"""

import io
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pypdfium2 as pdfium
from PIL import Image, ImageFilter

from bench.accuracy import grounding
from bench.accuracy.data import Sample, cached
from gleaner_documents import ReadDocument, read_now

SETS = ("adbuy", "einvoice")
MOST = 25  # documents of a set: recognising takes seconds a page
DPI = 200
SKEW = 0.6  # degrees
NOISE = 12  # standard deviation, of 255 levels
QUALITY = 55  # of JPEG


def measure(samples: Sequence[Sample], cache: Path | None) -> list[tuple[str, grounding.Grounding]]:
    """Grounding on the recognised pictures of first pages, clean and noisy."""
    found = []
    for noisy in (False, True):
        pictured = [on_first_page(sample, noisy=noisy) for sample in samples[:MOST]]

        def recognised(sample: Sample, *, noisy: bool = noisy) -> ReadDocument:
            return read_now(sample.path.name, first_page(sample, noisy=noisy)).document

        read = cached(recognised, cache / "raster" if cache else None)
        title = f"{samples[0].set} {'noisy' if noisy else 'clean'}"
        found.append((title, grounding.measure(pictured, read)))
    return found


def first_page(sample: Sample, *, noisy: bool) -> bytes:
    """The first page of a PDF as a picture."""
    document = pdfium.PdfDocument(sample.path)
    try:
        picture = document[0].render(scale=DPI / 72).to_pil().convert("L")
    finally:
        document.close()
    out = io.BytesIO()
    if not noisy:
        picture.save(out, "PNG")
        return out.getvalue()
    skewed = picture.rotate(-SKEW, resample=Image.Resampling.BICUBIC, fillcolor=255)
    blurred = np.asarray(skewed.filter(ImageFilter.GaussianBlur(0.8)), dtype=np.float32)
    noise = np.random.default_rng(7).normal(0, NOISE, blurred.shape)
    Image.fromarray(np.clip(blurred + noise, 0, 255).astype(np.uint8)).save(out, "JPEG", quality=QUALITY)
    return out.getvalue()


def on_first_page(sample: Sample, *, noisy: bool) -> Sample:
    """The sample with the labels whose place is on the first page, moved with the picture's skew."""
    document = pdfium.PdfDocument(sample.path)
    try:
        width, height = document[0].get_size()
    finally:
        document.close()

    def moved(place: list[list[float]]) -> list[list[float]]:
        return [_skewed(box, width / height) if noisy else box for box in place]

    boxes = {n: moved(place) for n, place in sample.labels["boxes"].items() if place and _is_first(place)}
    others = {
        name: [moved(place) for place in places if _is_first(place)]
        for name, places in sample.labels.get("boxes_alt", {}).items()
    }
    rows = {
        name: [{key: moved(place) for key, place in row.items() if place and _is_first(place)} for row in found]
        for name, found in sample.labels.get("boxes_list", {}).items()
    }
    labels: dict[str, Any] = {**sample.labels, "boxes": boxes, "boxes_alt": others, "boxes_list": rows}
    return replace(sample, labels=labels, name=f"{sample.name}.{'noisy' if noisy else 'clean'}")


def _is_first(place: list[list[float]]) -> bool:
    return all(box[0] == 0 for box in place)


def _skewed(box: list[float], aspect: float) -> list[float]:
    """The box moved to where its middle goes when the page turns clockwise around its own middle."""
    page, x0, y0, x1, y1 = box
    turn = math.radians(SKEW)
    x, y = ((x0 + x1) / 2 - 0.5) * aspect, (y0 + y1) / 2 - 0.5
    dx = (x * math.cos(turn) - y * math.sin(turn) - x) / aspect
    dy = x * math.sin(turn) + y * math.cos(turn) - y
    return [page, x0 + dx, y0 + dy, x1 + dx, y1 + dy]
