"""Where a text stands on a page but for some wrong letters: what a scan was misread as, or a slip of the extractor.

Strict on purpose: a lax threshold puts boxes on values that are on no page. Figures must agree, every word of the value
must be recognisable by itself, and the shorter the text the fewer letters may differ.
"""

from bisect import bisect_left, bisect_right

from rapidfuzz import fuzz
from rapidfuzz.distance import Levenshtein

from gleaner_bbox_worker.grounding.exact import Needle
from gleaner_bbox_worker.grounding.folding import origins
from gleaner_bbox_worker.grounding.index import PageIndex, Stream
from gleaner_bbox_worker.grounding.places import Match, Place, Slice

_SHORTEST = 6
_SEVERAL = 3  # words that make of a text an address or a sentence rather than an identifier
_LOOKALIKES = frozenset(("0o", "o0", "1l", "l1", "1i", "i1", "5s", "s5", "8b", "b8"))


def least_likeness(length: int, *, recognised: bool) -> float:
    """How alike a text of so many letters must be, 0..1; a text layer is hardly ever wrong."""
    if length < _SHORTEST:
        return 1.01
    allowed = length // 7 if recognised else length // 12
    if recognised and length < 7:
        allowed = 1
    return 1 - (allowed + 0.001) / length if allowed else 1.01


def find_similar(page: PageIndex, sought: Needle) -> Place | None:
    """The place most like the text, if it is alike enough; None otherwise."""
    text = sought.folded
    least = least_likeness(len(text), recognised=page.recognised)
    figures = sum(c.isdigit() for c in text) / max(len(text), 1)
    if least > 1 or figures > (0.6 if len(sought.breaks) >= _SEVERAL else 0.5) or not _shares_enough(page, text, least):
        return None
    streams = [page.reading]
    if len(sought.breaks) > 1:
        streams += [page.down_blocks, page.along_rows]
    for stream in streams:
        place = _best(page, stream, sought, least)
        if place:
            return place
    return None


def _best(page: PageIndex, stream: Stream, sought: Needle, least: float) -> Place | None:
    text = sought.folded
    if len(stream.text) < len(text) * least:
        return None
    found = fuzz.partial_ratio_alignment(text, stream.text, score_cutoff=100 * (least - 0.1))
    if found is None:
        return None
    best: tuple[float, int, int] = (0.0, 0, 0)
    ends = [*stream.starts[1:], len(stream.text)]
    for start in _around(stream.starts, found.dest_start):
        for end in _around(ends, found.dest_end):
            if end > start:
                likeness = Levenshtein.normalized_similarity(text, stream.text[start:end], score_cutoff=least)
                best = max(best, (likeness, start, end))
    likeness, start, end = best
    if len(sought.breaks) == 1 and end - start != len(text):
        return None  # a single word is itself with letters read for others, not with more or fewer
    if likeness < least or not _every_word_recognisable(sought, stream.text[start:end], recognised=page.recognised):
        return None
    slices = []
    for word, begin, stop in stream.pieces(start, end):
        where = origins(page.words[word].text)
        slices.append(Slice(word, where[begin], where[stop - 1] + 1))
    return Place(page.number, tuple(slices), Match.FUZZY, likeness)


def _around(edges: list[int], position: int) -> list[int]:
    at = bisect_left(edges, position)
    return edges[max(0, at - 2) : at + 2]


def _every_word_recognisable(sought: Needle, found: str, *, recognised: bool) -> bool:
    """Whether no single word of the value carries too many of the errors, and no figure any."""
    text = sought.folded
    breaks = sorted(sought.breaks)
    errors = [0] * len(breaks)
    several = len(breaks) >= _SEVERAL
    for operation in Levenshtein.editops(text, found):
        source = min(operation.src_pos, len(text) - 1)
        target = found[operation.dest_pos] if operation.dest_pos < len(found) else ""
        misread = recognised and several and operation.tag == "replace" and text[source] + target in _LOOKALIKES
        if operation.tag != "insert" and text[source].isdigit() and not misread:
            return False
        if operation.tag != "delete" and target.isdigit() and not recognised:
            return False
        errors[bisect_right(breaks, source) - 1] += 1
    for number, begin in enumerate(breaks):
        length = (breaks[number + 1] if number + 1 < len(breaks) else len(text)) - begin
        if errors[number] > (max(1, length // 3) if recognised else length // 5):
            return False
    return True


def _shares_enough(page: PageIndex, text: str, least: float) -> bool:
    """A cheap look before the dear one: each wrong letter spoils three of the text's triples at most."""
    triples = {text[i : i + 3] for i in range(len(text) - 2)}
    spoiled = 3 * (1 - least) * len(text) + 1
    return len(triples & page.triples) >= len(triples) - spoiled
