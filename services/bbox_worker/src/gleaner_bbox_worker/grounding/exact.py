"""Where a text stands on a page letter by letter, but for case, accents, spaces and punctuation."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from gleaner_bbox_worker.grounding.folding import fold, origins
from gleaner_bbox_worker.grounding.index import PageIndex, Stream
from gleaner_bbox_worker.grounding.places import Match, Place, Slice
from gleaner_values import find_dates, find_numbers

# A value this long is not met by chance: it may be printed in groups, and be part of a longer word.
_GROUPED = 8
_GLUED = 12
_MOST_LINES = 12
_WITHIN_ADDRESSES = frozenset(".@_/")  # `acme` in `www.acme.com` is not where the name stands


@dataclass(frozen=True, slots=True)
class Needle:
    """A text as it is searched: folded, and where its own words begin within that."""

    text: str
    folded: str
    breaks: frozenset[int]

    @property
    def digits_only(self) -> bool:
        """Whether it has no letter: then its punctuation counts."""
        return self.folded.isdigit()


@lru_cache(maxsize=1 << 12)
def needle(text: str) -> Needle:
    """The text, made ready to be searched."""
    position, breaks = 0, set()
    for word in text.split():
        breaks.add(position)
        position += len(fold(word))
    return Needle(text, fold(text), frozenset(breaks))


def find_text(page: PageIndex, sought: Needle) -> list[Place]:
    """The places where the text stands, best fitting first; the order of words that has it is the first that does."""
    if not sought.folded:
        return _find_signs(page, sought.text.strip())
    places = _in_stream(page, page.reading, sought)
    if not places and len(sought.breaks) > 1 and _may_hold(page, sought):
        places = _in_stream(page, page.along_rows, sought) or find_wrapped(page, sought)
    if not places:
        return []
    best = max(place.fit for place in places)
    return [place for place in places if place.fit >= best - 0.25]


def find_wrapped(page: PageIndex, sought: Needle) -> list[Place]:
    """The places where the text goes on below its beginning, whatever stands beside it on its lines."""
    for split in sorted(sought.breaks, reverse=True):
        heads = _heads(page, sought.folded[:split]) if split else []
        places = []
        for head in heads:
            tail = _below(page, head, sought.folded[split:])
            if tail:
                slices = _with_punctuation(page, (*head, *tail), sought.text)
                places.append(Place(page.number, slices, Match.EXACT, 0.95))
        if places:
            return places
    return []


def _heads(page: PageIndex, folded: str) -> list[tuple[Slice, ...]]:
    found = []
    for start, end in page.reading.runs(folded):
        pieces = page.reading.pieces(start, end)
        if _edges_fit(page, pieces, len(folded)) >= 0.95 and _on_one_line(page, [word for word, _, _ in pieces]):
            found.append(tuple(_slice(page, *piece) for piece in pieces))
    return found


def _below(page: PageIndex, head: Sequence[Slice], rest: str) -> tuple[Slice, ...] | None:
    """The rest of a text on the lines under its head, each beginning where the head does, or None."""
    first, last = page.rects[head[0].word], head[0].word
    found: list[Slice] = []
    for _ in range(_MOST_LINES):
        under = page.starting_below(last, first)
        if under is None:
            return None
        taken = _taken(page, under, rest)
        if not taken:
            return None
        found += taken
        rest = rest[sum(len(page.folded[piece.word]) for piece in taken) :]
        if not rest:
            return tuple(found)
        last = under
    return None


def _taken(page: PageIndex, start: int, rest: str) -> list[Slice]:
    """The words from `start` on along its line that the text goes on with."""
    cell = page.cells[page.cell_of[start]].words
    found = []
    for word in cell[cell.index(start) :]:
        folded = page.folded[word]
        if not rest.startswith(folded):
            break
        if folded:
            found.append(_slice(page, word, 0, len(folded)))
            rest = rest[len(folded) :]
    return found


def _on_one_line(page: PageIndex, words: Sequence[int]) -> bool:
    return all(page.rects[a].beside(page.rects[b]) for a, b in pairwise(words))


def _may_hold(page: PageIndex, sought: Needle) -> bool:
    """Whether the first word of the text is on the page at all: cheap, where another order of words is dear."""
    return fold(sought.text.split()[0])[:4] in page.reading.text


def _find_signs(page: PageIndex, text: str) -> list[Place]:
    """A text without letters or digits, `€`, stands where a word is just that."""
    return [
        Place(page.number, (Slice(index, 0, len(word.text)),), Match.EXACT)
        for index, word in enumerate(page.words)
        if text and word.text == text
    ]


def _in_stream(page: PageIndex, stream: Stream, sought: Needle) -> list[Place]:
    places = []
    for start, end in stream.runs(sought.folded):
        pieces = stream.pieces(start, end)
        fit = _edges_fit(page, pieces, len(sought.folded))
        if fit <= 0:
            continue
        slices = tuple(_slice(page, word, begin, stop) for word, begin, stop in pieces)
        slices = _with_punctuation(page, slices, sought.text)
        fit *= _joints_fit(page, pieces, sought)
        if fit > 0 and (not sought.digits_only or _same_figures(page.printed(slices), sought.text)):
            places.append(Place(page.number, slices, Match.EXACT, fit))
    return places


def _slice(page: PageIndex, word: int, begin: int, stop: int) -> Slice:
    where = origins(page.words[word].text)
    return Slice(word, where[begin], where[stop - 1] + 1)


def _edges_fit(page: PageIndex, pieces: Sequence[tuple[int, int, int]], length: int) -> float:
    """1 if the run begins and ends where words do, less where it is cut out of one, 0 where that makes no sense."""
    first, begin, _ = pieces[0]
    last, _, stop = pieces[-1]
    fit = 1.0
    if begin > 0:
        where = origins(page.words[first].text)
        fit = _edge_fit(page.words[first].text, where[begin - 1], where[begin], length)
    if fit > 0 and stop < len(page.folded[last]):
        where = origins(page.words[last].text)
        fit = min(fit, _edge_fit(page.words[last].text, where[stop - 1], where[stop], length))
    return fit


def _edge_fit(text: str, left: int, right: int, length: int) -> float:
    """How well a word can be parted between two of its letters or digits."""
    if left == right:
        return 0.0  # within a ligature
    if right - left > 1:
        between = text[left + 1 : right]
        decimal = text[left].isdigit() and text[right].isdigit() and between in ".,'’"
        if decimal:
            return 0.0
        return 0.65 if between in _WITHIN_ADDRESSES else 0.95
    a, b = text[left], text[right]
    if a.isdigit() and b.isdigit():
        return 0.0
    if a.isdigit() != b.isdigit():
        return 0.8 if length >= 3 else 0.0
    if a.islower() and b.isupper():
        return 0.8 if length >= 4 else 0.0
    return 0.6 if length >= _GLUED else 0.0


def _joints_fit(page: PageIndex, pieces: Sequence[tuple[int, int, int]], sought: Needle) -> float:
    """How well the words of a run follow each other on the page."""
    fit, position = 1.0, 0
    for (word, begin, stop), (following, _, _) in pairwise(pieces):
        position += stop - begin
        a, b = page.rects[word], page.rects[following]
        tall = max(a.height, b.height)
        same_line = a.beside(b) and b.x0 >= a.x0
        if same_line:
            gap = b.x0 - a.x1
            fit *= 1.0 if gap <= 2 * tall else 0.85
        else:
            drop = b.y0 - a.y1
            fit *= 1.0 if -0.5 * tall <= drop <= 2 * tall else 0.7
        if position not in sought.breaks and not _may_part(page, word, following, sought, same_line=same_line):
            return 0.0
    return fit


def _may_part(page: PageIndex, word: int, following: int, sought: Needle, *, same_line: bool) -> bool:
    """Whether a single word of the value may be printed as two: grouped, hyphenated, or digits beside letters."""
    left, right = page.words[word].text, page.words[following].text
    if not same_line:
        return left[-1] in "-‐\u00ad/" or (len(sought.folded) >= _GROUPED and not sought.digits_only)
    if len(sought.folded) >= _GROUPED:
        return True
    a, b = fold(left)[-1], fold(right)[0]
    return a.isdigit() != b.isdigit() or not (left[-1].isalnum() and right[0].isalnum())


def _with_punctuation(page: PageIndex, slices: tuple[Slice, ...], text: str) -> tuple[Slice, ...]:
    """The run with the marks that the value itself begins and ends with, if they are printed there."""
    head = text[: next(i for i, c in enumerate(text) if fold(c))]
    tail = text[len(text) - next(i for i, c in enumerate(reversed(text)) if fold(c)) :]
    first, last = slices[0], slices[-1]
    before = page.words[first.word].text[: first.start]
    after = page.words[last.word].text[last.end :]
    if head and before.endswith(head):
        slices = (first._replace(start=first.start - len(head)), *slices[1:])
    if tail and after.startswith(tail):
        slices = (*slices[:-1], slices[-1]._replace(end=last.end + len(tail)))
    return slices


def _same_figures(found: str, text: str) -> bool:
    """Whether two prints of the same digits mean the same: `64.15` is not `6415`, but `0203 12` is `020312`."""
    marks = _marks(found), _marks(text)
    if marks[0] == marks[1] and (not marks[0] or _groups(found) == _groups(text)):
        return True
    return _mean_the_same(found, text)


def _marks(text: str) -> list[str]:
    """The marks between its figures that may part a number or a date."""
    return [c for c in text.strip(".,:;") if not c.isalnum() and c not in " -–()+#"]


def _groups(text: str) -> list[str]:
    return "".join(c if c.isdigit() else " " for c in text).split()


def _mean_the_same(a: str, b: str) -> bool:
    for find in (find_numbers, find_dates):
        one, other = find(a), find(b)
        if one and other and set(one[0].values) & set(other[0].values):
            return True
    return False
