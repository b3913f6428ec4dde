"""What is printed around a place, and how much of it names a field: the ground for choosing among several places."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from gleaner.v1 import schemas_pb2
from gleaner_bbox_worker.grounding.folding import fold, tokens
from gleaner_bbox_worker.grounding.index import PageIndex
from gleaner_bbox_worker.grounding.places import Place, Rect, Slice

_SYNONYMS = {
    form: word
    for word, forms in {
        "number": "no nr num nbr numero nummer n number numbers id",
        "amount": "amt amount betrag montant bedrag importe",
        "date": "dt date datum fecha data",
        "quantity": "qty quantity menge anzahl quantite aantal cantidad",
    }.items()
    for form in forms.split()
}
_SLIGHT = frozenset(
    {
        "of",
        "the",
        "a",
        "an",
        "in",
        "for",
        "and",
        "to",
        "or",
        "by",
        "on",
        "is",
        "der",
        "die",
        "das",
        "des",
        "und",
        "von",
        "le",
        "la",
        "les",
        "de",
        "du",
        "el",
        "y",
        "et",
    }
)


@dataclass(frozen=True, slots=True)
class Phrase:
    """A text that may name a field: `whole` folded, `parts` its words, and how much it weighs, 0..1."""

    whole: str
    parts: tuple[str, ...]
    weight: float


@dataclass(frozen=True, slots=True)
class Neighbour:
    """Text near a place: its words from the one next to the value to the farthest, and how near it is, 0..1."""

    parts: tuple[str, ...]
    whole: str
    nearness: float


def phrases_of(field: schemas_pb2.Field | None, group: str) -> tuple[Phrase, ...]:
    """What may be printed beside a field: its aliases, its name, less surely its group and words of its description."""
    if field is None:
        return ()
    phrases = [_phrase(alias, 1.0) for alias in field.aliases]
    phrases.append(_phrase(field.name, 0.95))
    if group:
        phrases.append(_phrase(f"{group} {field.name}", 0.9))
    if field.description:
        phrases += [_phrase(word, 0.35) for word in field.description.split() if len(word) >= 5]
    return tuple(phrase for phrase in dict.fromkeys(phrases) if phrase.parts)


def nearness_of_label(phrases: Sequence[Phrase], neighbours: Sequence[Neighbour]) -> float:
    """How well the best of the phrases is printed near, 0..1."""
    return max((phrase.weight * _printed(phrase, neighbours) for phrase in phrases), default=0.0)


def _phrase(text: str, weight: float) -> Phrase:
    return Phrase(fold(text), tuple(map(_normal, tokens(text))), weight)


def _normal(token: str) -> str:
    known = _SYNONYMS.get(token)
    if known:
        return known
    return token[:-1] if len(token) > 4 and token.endswith("s") else token


def _printed(phrase: Phrase, neighbours: Sequence[Neighbour]) -> float:
    best = 0.0
    nearest: dict[str, float] = {}
    for neighbour in neighbours:
        if neighbour.nearness <= best:
            break  # they come from near to far
        if len(phrase.whole) >= 3 and phrase.whole in neighbour.whole:
            stray = 1 - len(phrase.whole) / len(neighbour.whole)
            best = max(best, neighbour.nearness * (1 - 0.35 * stray))
        for part in neighbour.parts:
            if part in phrase.parts and part not in nearest:
                stray = 1 - len(part) / max(len(neighbour.whole), 1)
                nearest[part] = neighbour.nearness * (1 - 0.35 * stray)
    weights = {part: 0.2 if part in _SLIGHT else 0.6 if part in _SYNONYMS.values() else 1.0 for part in phrase.parts}
    parts = sum(weight * nearest.get(part, 0.0) for part, weight in weights.items()) / sum(weights.values())
    return max(best, 0.85 * parts)


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


def _neighbour(texts: Iterable[str], nearness: float) -> Neighbour | None:
    parts = [part for text in texts for part in tokens(text)]
    if not any(part.isalpha() for part in parts):
        return None
    return Neighbour(tuple(map(_normal, parts)), "".join(parts), nearness)


def _text(page: PageIndex, cell: int) -> list[str]:
    return [page.words[word].text for word in page.cells[cell].words]


def _before(page: PageIndex, cell: int, first: Slice) -> Iterator[Neighbour]:
    words = page.cells[cell].words
    at = words.index(first.word)
    texts = [page.words[word].text for word in words[max(0, at - 8) : at]]
    head = page.words[first.word].text[: first.start]
    if head:
        texts.append(head)
    for reach, nearness in ((3, 1.0), (8, 0.8)):
        neighbour = _neighbour(texts[-reach:], nearness)
        if neighbour:
            yield neighbour


def _left(page: PageIndex, cell: int) -> Iterator[Neighbour]:
    row = page.rows[page.row_of[cell]]
    nearness = 0.95
    for other in reversed(row[: row.index(cell)]):
        neighbour = _neighbour(_text(page, other), nearness)
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
            neighbour = _neighbour(_text(page, nearest), nearness)
            if neighbour:
                yield neighbour
                nearness *= 0.75
            else:
                nearness *= 0.98
        lead = row[0]
        if heading > 0.1 and lead not in over and page.cells[lead].box.x0 <= box.x0:
            neighbour = _neighbour(_text(page, lead), heading)
            if neighbour:
                yield neighbour
        heading *= 0.93
        if nearness < 0.2 and heading < 0.15:
            return


def _below(page: PageIndex, cell: int, box: Rect) -> Iterator[Neighbour]:
    number = page.row_of[cell]
    row = page.rows[number]
    following = row[row.index(cell) + 1 : row.index(cell) + 2]
    for other in following:
        neighbour = _neighbour(_text(page, other), 0.3)
        if neighbour:
            yield neighbour
    for lower in page.rows[number + 1 : number + 2]:
        for other in lower:
            if page.cells[other].box.shared_width(box) > 0:
                neighbour = _neighbour(_text(page, other), 0.3)
                if neighbour:
                    yield neighbour
                    return
