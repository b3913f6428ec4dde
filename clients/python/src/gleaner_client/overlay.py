"""Pictures of pages with a box and a label for each value that was found."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import PurePath

from PIL import Image, ImageDraw, ImageFont

from gleaner.v1.results_pb2 import (
    GROUNDING_STATE_ESTIMATED,
    DocumentResult,
    FieldResult,
)
from gleaner_client.placement import Rect, on_picture, place_label

Colour = tuple[int, int, int]

# After Okabe and Ito, so that people who see colours differently tell them apart; darkened until white text is legible.
_GROUP_COLOURS: tuple[Colour, ...] = (
    (0, 96, 156),
    (186, 78, 0),
    (0, 122, 88),
    (168, 60, 126),
    (130, 92, 0),
    (110, 60, 160),
    (150, 40, 50),
    (85, 85, 85),
)
_CONFIDENCE_COLOURS: tuple[tuple[float, str, Colour], ...] = (
    (0.9, "0.9 and more", (0, 122, 88)),
    (0.6, "0.6 to 0.9", (176, 106, 0)),
    (0.0, "less than 0.6", (190, 30, 45)),
)
_WHITE = (255, 255, 255)
_INK = (30, 30, 30)
_DARK = 128  # grey that counts as print; the shade of a table's head does not


@dataclass(frozen=True, slots=True)
class Mark:
    """A value's place on one page: its boxes, what to write beside them, and what colours go by."""

    label: str
    group: str
    confidence: float
    estimated: bool
    rects: tuple[Rect, ...]


def pages_with_boxes(document: DocumentResult) -> list[int]:
    """The numbers of the pages on which something was found, in order."""
    return sorted({box.page for field in _leaves(document.fields) for box in field.provenance.boxes})


def draw(picture: Image.Image, document: DocumentResult, page: int, *, by_confidence: bool = False) -> Image.Image:
    """The picture of a page with what was found on it, and a legend below."""
    marks = _marks(document, page, picture.width, picture.height)
    colours = _colours(document, marks, by_confidence)
    painted = picture.convert("RGBA")
    painted.alpha_composite(_tint(picture.size, marks, colours))
    result = painted.convert("RGB")
    pen = ImageDraw.Draw(result)
    font = _font(picture.width)
    line = max(1, round(picture.width / 600))
    for mark, colour in zip(marks, colours, strict=True):
        for rect in mark.rects:
            _outline(pen, rect, colour, line, dashed=mark.estimated)
    _write_labels(pen, marks, colours, font, picture)
    return _with_legend(result, _legend(document, marks, colours, by_confidence), font)


def label_of(path: str) -> str:
    """What is written beside a box: the path without its group, an element's number behind the name.

    `totals.net_amount` is `net_amount`, `lines.items[3].quantity` is `quantity[3]`.
    """
    _, _, rest = path.partition(".")
    name = rest.rpartition(".")[2] or path
    number = re.search(r"\[\d+\](?=[^\[\]]*$)", rest)
    return name if number is None or "[" in name else f"{name}{number.group()}"


def file_stems(documents: Iterable[str]) -> list[str]:
    """A stem for the pictures of each document, safe as a file's name and unique."""
    names = list(documents)
    stems = [re.sub(r"[^\w.-]+", "_", PurePath(name).stem).lstrip(".") or "document" for name in names]
    return [f"{stem}-{number}" if stems.count(stem) > 1 else stem for number, stem in enumerate(stems, 1)]


def _leaves(fields: Iterable[FieldResult]) -> Iterator[FieldResult]:
    for field in fields:
        if field.children:
            yield from _leaves(field.children)
        else:
            yield field


def _marks(document: DocumentResult, page: int, width: int, height: int) -> list[Mark]:
    marks = []
    for field in _leaves(document.fields):
        boxes = [box for box in field.provenance.boxes if box.page == page]
        if boxes:
            marks.append(
                Mark(
                    label=f"{label_of(field.path)} {field.confidence:.2f}",
                    group=field.path.partition(".")[0],
                    confidence=field.confidence,
                    estimated=field.provenance.state == GROUNDING_STATE_ESTIMATED,
                    rects=tuple(on_picture(box, width, height) for box in boxes),
                )
            )
    return marks


def _groups(document: DocumentResult) -> list[str]:
    return list(dict.fromkeys(field.path.partition(".")[0] for field in document.fields))


def _colours(document: DocumentResult, marks: Sequence[Mark], by_confidence: bool) -> list[Colour]:
    if by_confidence:
        return [next(c for least, _, c in _CONFIDENCE_COLOURS if mark.confidence >= least) for mark in marks]
    groups = _groups(document)  # of the whole document, so that a group has one colour on all pages
    return [_GROUP_COLOURS[groups.index(mark.group) % len(_GROUP_COLOURS)] for mark in marks]


def _legend(
    document: DocumentResult, marks: Sequence[Mark], colours: Sequence[Colour], by_confidence: bool
) -> list[tuple[str, Colour]]:
    if by_confidence:
        return [(text, colour) for _, text, colour in _CONFIDENCE_COLOURS if colour in colours]
    present = {mark.group: colour for mark, colour in zip(marks, colours, strict=True)}
    return [(group, present[group]) for group in _groups(document) if group in present]


def _tint(size: tuple[int, int], marks: Sequence[Mark], colours: Sequence[Colour]) -> Image.Image:
    layer = Image.new("RGBA", size, (0, 0, 0, 0))
    pen = ImageDraw.Draw(layer)
    for mark, colour in zip(marks, colours, strict=True):
        for rect in mark.rects:
            pen.rectangle(rect, fill=(*colour, 45))
    return layer


def _outline(pen: ImageDraw.ImageDraw, rect: Rect, colour: Colour, line: int, *, dashed: bool) -> None:
    around = rect.grown(line)
    if not dashed:
        pen.rectangle(around, outline=colour, width=line)
        return
    dash = 4 * line
    for x in range(int(around.x0), int(around.x1), 2 * dash):
        for y in (around.y0, around.y1):
            pen.line((x, y, min(x + dash, around.x1), y), fill=colour, width=line)
    for y in range(int(around.y0), int(around.y1), 2 * dash):
        for x_edge in (around.x0, around.x1):
            pen.line((x_edge, y, x_edge, min(y + dash, around.y1)), fill=colour, width=line)


def _write_labels(
    pen: ImageDraw.ImageDraw,
    marks: Sequence[Mark],
    colours: Sequence[Colour],
    font: ImageFont.FreeTypeFont,
    picture: Image.Image,
) -> None:
    canvas = Rect(0, 0, picture.width, picture.height)
    print_on_it = picture.convert("L").point(lambda grey: 255 * (grey < _DARK), mode="1")

    def ink(rect: Rect) -> float:
        return sum(print_on_it.crop(_whole(rect)).histogram()[1:])

    taken = [rect.grown(2) for mark in marks for rect in mark.rects]
    spots: list[Rect] = []
    for mark, colour in zip(marks, colours, strict=True):
        size = Rect(0, 0, pen.textlength(mark.label, font=font) + 6, font.size + 5)
        beside = mark.rects[0].grown(3)
        spot = place_label(size, beside, canvas, [*taken, *spots], ink)
        spots.append(spot)
        if not spot.grown(4).overlap(beside):  # too far to be seen as one: a line leads there
            pen.line((*_nearest(spot, beside), *_nearest(beside, spot)), fill=colour, width=1)
    for mark, colour, spot in zip(marks, colours, spots, strict=True):
        pen.rounded_rectangle(spot, radius=3, fill=colour)
        pen.text((spot.x0 + 3, (spot.y0 + spot.y1) / 2), mark.label, fill=_WHITE, font=font, anchor="lm")


def _whole(rect: Rect) -> tuple[int, int, int, int]:
    return int(rect.x0), int(rect.y0), int(rect.x1), int(rect.y1)


def _nearest(rect: Rect, to: Rect) -> tuple[float, float]:
    """The point of a rectangle that is nearest to another's middle."""
    x, y = (to.x0 + to.x1) / 2, (to.y0 + to.y1) / 2
    return min(max(x, rect.x0), rect.x1), min(max(y, rect.y0), rect.y1)


def _with_legend(
    picture: Image.Image, entries: Sequence[tuple[str, Colour]], font: ImageFont.FreeTypeFont
) -> Image.Image:
    if not entries:
        return picture
    row = round(font.size * 2)
    places, x, y = [], 8.0, 0
    for text, colour in entries:
        width = row / 2 + 6 + font.getlength(text) + 18
        if x > 8 and x + width > picture.width:
            x, y = 8.0, y + row
        places.append((x, y, text, colour))
        x += width
    result = Image.new("RGB", (picture.width, picture.height + y + row), _WHITE)
    result.paste(picture)
    pen = ImageDraw.Draw(result)
    for left, top, text, colour in places:
        middle = picture.height + top + row / 2
        pen.rectangle((left, middle - row / 4, left + row / 2, middle + row / 4), fill=colour)
        pen.text((left + row / 2 + 6, middle), text, fill=_INK, font=font, anchor="lm")
    return result


@cache
def _font(width: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(size=max(11, round(width / 75)))
    if not isinstance(font, ImageFont.FreeTypeFont):
        raise RuntimeError("Pillow was built without FreeType; install one of its wheels")
    return font
