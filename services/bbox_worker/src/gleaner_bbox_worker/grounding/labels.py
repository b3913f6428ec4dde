"""What is printed around a place, and how much of it names a field: the ground for choosing among several places."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from gleaner.v1 import schemas_pb2
from gleaner_bbox_worker.grounding.folding import fold
from gleaner_bbox_worker.grounding.index import PageIndex
from gleaner_bbox_worker.grounding.places import Place, Rect, Slice
from gleaner_bbox_worker.grounding.vocabulary import COMMON, SLIGHT, TURNING, meanings
from gleaner_values.amounts import CODES

_PROSE = 9  # so many words beside each other are a sentence, and hold a label's words by chance
_FEW = 4
_OTHER_LABEL = 0.55


@dataclass(frozen=True, slots=True)
class Phrase:
    """A text that may name a field: `whole` folded, `parts` its words' meanings, and how much it weighs, 0..1."""

    whole: str
    parts: tuple[str, ...]
    weight: float


@dataclass(frozen=True, slots=True)
class Neighbour:
    """Text near a place: its words from the one next to the value to the farthest, and how near it is, 0..1."""

    parts: tuple[str, ...]
    whole: str
    nearness: float


@dataclass(frozen=True, slots=True)
class Naming:
    """All that may be printed beside a field: phrases that name it, and the telling words of its description."""

    phrases: tuple[Phrase, ...]
    described: frozenset[str]


def naming_of(field: schemas_pb2.Field, group: str) -> Naming:
    """A field's names: its aliases and its name, less surely with its group's."""
    phrases = [_phrase(alias, 1.0) for alias in field.aliases]
    phrases.append(_phrase(field.name.replace("_", " "), 0.95))
    if group:
        phrases.append(_phrase(f"{group} {field.name}".replace("_", " "), 0.9))
    described = {word for word in meanings(field.description) if len(word) > 2 and word not in SLIGHT | TURNING}
    return Naming(tuple(phrase for phrase in dict.fromkeys(phrases) if phrase.parts), frozenset(described))


def labelled(naming: Naming, neighbours: Sequence[Neighbour]) -> float:
    """How well the field is named near a place: 0 not at all, about 1 by a label beside it."""
    best = max((phrase.weight * _printed(phrase, neighbours) for phrase in naming.phrases), default=0.0)
    near = next((neighbour for neighbour in neighbours if len(neighbour.parts) < _PROSE), None)
    told = len(naming.described.intersection(near.parts)) if near else 0
    return best + 0.05 * min(told, 3)


def _phrase(text: str, weight: float) -> Phrase:
    return Phrase(fold(text), meanings(text), weight)


def _weight(part: str) -> float:
    if part.isdigit():
        return 0.05
    return 0.2 if part in SLIGHT else 0.6 if part in COMMON else 1.0


def _printed(phrase: Phrase, neighbours: Sequence[Neighbour]) -> float:
    wanted = frozenset(phrase.parts)
    weight = sum(map(_weight, wanted))
    best = 0.0
    nearest: dict[str, float] = {}
    for neighbour in neighbours:
        if neighbour.nearness <= best:
            break  # they come from near to far
        common = wanted.intersection(neighbour.parts)
        whole = len(phrase.whole) >= 5 and phrase.whole in neighbour.whole
        if not common and not whole:
            continue
        clear = neighbour.nearness * _clearness(wanted, neighbour)
        if whole or len(common) == len(wanted):
            best = max(best, clear)
        for part in common:
            nearest[part] = max(nearest.get(part, 0.0), clear)
    return max(best, 0.85 * sum(_weight(part) * near for part, near in nearest.items()) / weight)


def _clearness(wanted: frozenset[str], neighbour: Neighbour) -> float:
    """How much a text is that label and no other: less for each word more, much less if one turns its meaning."""
    rest = [part for part in neighbour.parts if part not in wanted]
    stray = sum(map(_weight, rest))
    clear = 1 - 0.35 * stray / (stray + sum(map(_weight, wanted)))
    inclusive = "gross" in neighbour.parts
    turned = any(part in TURNING and not (inclusive and part == "tax") for part in rest)
    return clear * _OTHER_LABEL if turned else clear


def surroundings(page: PageIndex, place: Place) -> list[Neighbour]:
    """The texts around a place, from near to far: before it on its line, left of it, above it, headings, below it."""
    first = place.slices[0]
    box = page.cut(first)
    for piece in place.slices[1:]:
        box = box.joined(page.cut(piece))
    cell = page.cell_of[first.word]
    found = [
        *_before(page, cell, first),
        *_left(page, cell),
        *_above(page, cell, page.cut(first)),
        *_below(page, cell, box),
    ]
    return sorted(found, key=lambda neighbour: -neighbour.nearness)


def _neighbour(page: PageIndex, words: tuple[int, ...], nearness: float) -> Neighbour | None:
    told = page.told.get(words)
    if told is None:
        told = page.told[words] = _told([page.words[word].text for word in words])
    parts, whole = told
    if not parts:
        return None
    return Neighbour(parts, whole, nearness * 0.4 if len(words) >= _PROSE else nearness)


def _told(texts: Sequence[str]) -> tuple[tuple[str, ...], str]:
    """What words say as a label, and their letters; nothing if they are figures and currencies only."""
    parts = tuple(part for text in texts for part in meanings(text))
    telling = any(part.isalpha() and part.upper() not in CODES for part in parts)
    return (parts, "".join(map(fold, texts))) if telling else ((), "")


def _before(page: PageIndex, cell: int, first: Slice) -> Iterator[Neighbour]:
    words = page.cells[cell].words
    at = words.index(first.word)
    head = page.words[first.word].text[: first.start]
    if any(map(str.isalpha, head)):
        yield Neighbour(*_told([head]), 1.0)
    spelled = [n for n in range(max(0, at - 8), at) if any(map(str.isalpha, page.folded[words[n]]))]
    for begin, nearness in ((spelled[-3:], 1.0), (spelled, 0.8)):
        neighbour = _neighbour(page, words[begin[0] : at], nearness) if begin else None
        if neighbour:
            yield neighbour


def _left(page: PageIndex, cell: int) -> Iterator[Neighbour]:
    row = page.rows[page.row_of[cell]]
    nearness = 0.95
    for other in reversed(row[: row.index(cell)]):
        neighbour = _neighbour(page, page.cells[other].words, nearness)
        if neighbour:
            yield neighbour
            nearness *= 0.6
        else:
            nearness *= 0.85


def _above(page: PageIndex, cell: int, box: Rect) -> Iterator[Neighbour]:
    number = page.row_of[cell]
    nearness, heading = 0.85, 0.45
    for row in reversed(page.rows[max(0, number - 60) : number]):
        over = [n for n in row if page.cells[n].box.shared_width(box) > -0.3 * box.height]
        if over:
            nearest = min(over, key=lambda n: abs(page.cells[n].box.x0 - box.x0))
            neighbour = _neighbour(page, _over(page, page.cells[nearest].words, box), nearness)
            if neighbour:
                yield neighbour
                nearness *= 0.75
            else:
                nearness *= 0.98
        lead = row[0]
        if heading > 0.1 and lead not in over and page.cells[lead].box.x0 <= box.x0:
            neighbour = _neighbour(page, page.cells[lead].words, heading)
            if neighbour:
                yield neighbour
        heading *= 0.93
        if nearness < 0.2 and heading < 0.15:
            return


def _over(page: PageIndex, words: tuple[int, ...], box: Rect) -> tuple[int, ...]:
    """The words of a line that stand over a box; all of them if they are few."""
    if len(words) <= _FEW:
        return words
    reach = 2 * box.height
    return tuple(w for w in words if page.rects[w].x1 > box.x0 - reach and page.rects[w].x0 < box.x1 + reach)


def _below(page: PageIndex, cell: int, box: Rect) -> Iterator[Neighbour]:
    number = page.row_of[cell]
    row = page.rows[number]
    following = row[row.index(cell) + 1 : row.index(cell) + 2]
    for other in following:
        neighbour = _neighbour(page, page.cells[other].words, 0.3)
        if neighbour:
            yield neighbour
    for lower in page.rows[number + 1 : number + 2]:
        for other in lower:
            if page.cells[other].box.shared_width(box) > 0:
                neighbour = _neighbour(page, page.cells[other].words, 0.3)
                if neighbour:
                    yield neighbour
                    return
