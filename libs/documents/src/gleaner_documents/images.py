"""Pictures of pages: images opened safely, PDF pages drawn."""

import io
import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pypdfium2 as pdfium
from numpy.typing import NDArray
from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError

from gleaner_core.errors import DocumentDamaged, DocumentTooLarge, TooManyPages
from gleaner_documents.sniff import Kind

Pixels = NDArray[np.uint8]

_FORMATS = {
    Kind.PNG: "PNG",
    Kind.JPEG: "JPEG",
    Kind.TIFF: "TIFF",
    Kind.WEBP: "WEBP",
    Kind.BMP: "BMP",
    Kind.GIF: "GIF",
}
_DAMAGED = (OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError, OverflowError)


@contextmanager
def opened(content: bytes, kind: Kind, max_pixels: int) -> Iterator[Image.Image]:
    """The image of `content`, nothing of it decoded yet.

    Raises DocumentTooLarge if it has more pixels than allowed, DocumentDamaged if it is none.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's own limit is replaced by ours
            image = Image.open(io.BytesIO(content), formats=[_FORMATS[kind]])
    except Image.DecompressionBombError as error:
        raise DocumentTooLarge(f"the image has more than {max_pixels:,} pixels") from error
    except (UnidentifiedImageError, *_DAMAGED) as error:
        raise DocumentDamaged(f"the {_FORMATS[kind]} image cannot be opened") from error
    with image:
        _check_pixels(image, max_pixels)
        yield image


def frame_count(image: Image.Image, max_pages: int) -> int:
    """How many pages the image has: the frames of a TIFF; the first frame only of an animation.

    Raises TooManyPages.
    """
    if image.format != "TIFF":
        return 1
    try:
        count = int(getattr(image, "n_frames", 1))
    except _DAMAGED as error:
        raise DocumentDamaged("the frames of the TIFF image cannot be counted") from error
    if count > max_pages:
        raise TooManyPages(f"the document has {count:,} pages; at most {max_pages:,} are read")
    return count


def frame(image: Image.Image, number: int, max_pixels: int, side_limit: int) -> tuple[Pixels, tuple[int, int]]:
    """Page `number` (from 1) as RGB pixels (h, w, 3), upright by its EXIF tag; and its size before it was made smaller.

    The longer side is brought down to `side_limit`; a JPEG is decoded small at once.
    """
    try:
        image.seek(number - 1)
        _check_pixels(image, max_pixels)
        width, height = image.size
        turned = image.getexif().get(0x0112) in (5, 6, 7, 8)
        shrink = min(1.0, side_limit / max(width, height))
        if shrink < 1:
            image.draft("RGB", (math.ceil(width * shrink), math.ceil(height * shrink)))
        picture = rgb(ImageOps.exif_transpose(image) or image)
    except DocumentTooLarge:
        raise
    except Image.DecompressionBombError as error:
        raise DocumentTooLarge(f"the image has more than {max_pixels:,} pixels") from error
    except _DAMAGED as error:
        raise DocumentDamaged(f"page {number} of the image cannot be decoded") from error
    picture.thumbnail((side_limit, side_limit), Image.Resampling.LANCZOS, reducing_gap=3.0)
    return np.asarray(picture), ((height, width) if turned else (width, height))


def rgb(image: Image.Image) -> Image.Image:
    """The image as RGB on white paper, whatever it was: palette, alpha, 16 bit, CMYK, float."""
    if image.mode.startswith("I;16") or image.mode in ("I", "F"):
        values = np.asarray(image, dtype=np.float32)
        low, high = (0.0, 65535.0) if image.mode.startswith("I;16") else (float(np.min(values)), float(np.max(values)))
        scaled = (values - low) * (255.0 / max(high - low, 1.0))
        return Image.fromarray(scaled.clip(0, 255).astype(np.uint8)).convert("RGB")
    if image.mode in ("LA", "PA", "RGBA", "La", "RGBa") or "transparency" in image.info:
        image = image.convert("RGBA")
        paper = Image.new("RGBA", image.size, "white")
        paper.alpha_composite(image)
        image = paper
    return image.convert("RGB")


def drawn(page: pdfium.PdfPage, dpi: float, max_pixels: int, side_limit: int | None = None) -> Pixels:
    """The page as displayed, as RGB pixels (h, w, 3); the resolution is lowered where it would exceed a limit."""
    width, height = page.get_size()
    scale = min(dpi / 72, math.sqrt(max_pixels / max(width * height, 1.0)))
    if side_limit is not None:
        scale = min(scale, side_limit / max(width, height))
    try:
        bitmap = page.render(scale=scale, rev_byteorder=True, prefer_bgrx=False)
    except (pdfium.PdfiumError, ValueError, MemoryError) as error:
        raise DocumentDamaged("a page cannot be drawn") from error
    try:
        pixels = np.array(bitmap.to_numpy())  # a copy: the bitmap's memory goes with it
    finally:
        bitmap.close()
    return pixels[:, :, :3] if pixels.ndim == 3 else np.repeat(pixels[:, :, None], 3, axis=2)


def _check_pixels(image: Image.Image, max_pixels: int) -> None:
    width, height = image.size
    if width * height > max_pixels:
        raise DocumentTooLarge(f"the image has {width * height:,} pixels; at most {max_pixels:,} are read")


ImageFile.LOAD_TRUNCATED_IMAGES = False
Image.MAX_IMAGE_PIXELS = None  # checked here, before anything is decoded
