"""Which of several places a value has: nearest to its label, where the extractor believed it, with its group.

All values of a document choose together, the surest first: a place that one value has taken is a little less likely for
the next, and what stands sure draws the fields of its group near.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence

from gleaner_bbox_worker.grounding.labels import nearness_of_label
from gleaner_bbox_worker.grounding.places import Place, Rect
from gleaner_bbox_worker.grounding.search import Search
from gleaner_bbox_worker.grounding.wants import Want
from gleaner_values import tidy

_TAKEN = 0.3
_WITH_GROUP = 0.35
_SURE = 0.25
_LEAST_LABEL = 0.3


class Chooser:
    """Chooses for the values of one document."""

    def __init__(self, search: Search) -> None:
        self._search = search

    def choose(self, wants: Sequence[Want], sure: dict[str, list[tuple[int, Rect]]]) -> dict[Want, list[Place]]:
        """For each value its places, the chosen one first; none where a value needs a label and has none.

        `sure` are places that are known already, by group.
        """
        scores = {want: self._scores(want) for want in wants}
        settled = defaultdict(list, {group: list(found) for group, found in sure.items()})
        for want in wants:
            ranked = sorted(scores[want], reverse=True)
            if ranked and (len(ranked) == 1 or ranked[0] - ranked[1] >= _SURE):
                best = want.places[max(range(len(ranked)), key=scores[want].__getitem__)]
                settled[want.group].append((best.page, self._box(best)))
        for want in wants:
            scores[want] = [
                score + _WITH_GROUP * self._company(place, settled[want.group])
                for score, place in zip(scores[want], want.places, strict=True)
            ]
        return self._assign(scores)

    def _assign(self, scores: dict[Want, list[float]]) -> dict[Want, list[Place]]:
        taken: dict[tuple[int, int, int], Want] = {}
        chosen: dict[Want, list[Place]] = {}
        by_surest = sorted(scores, key=lambda want: -max(scores[want], default=0.0))
        for want in by_surest:
            ranked = sorted(
                zip(scores[want], range(len(want.places)), want.places, strict=True),
                key=lambda entry: (-entry[0] + (_TAKEN if entry[2].key in taken else 0.0), entry[1]),
            )
            places = [place for _, _, place in ranked]
            if places:
                taken.setdefault(places[0].key, want)
            chosen[want] = places
        return chosen

    def _scores(self, want: Want) -> list[float]:
        estimates = [(box.page, Rect(box.x0, box.y0, box.x1, box.y1)) for box in want.result.provenance.boxes]
        kept: list[Place] = []
        scores: list[float] = []
        for rank, place in enumerate(want.places):
            label = nearness_of_label(want.phrases, self._search.around(place))
            if want.needs_label and label < _LEAST_LABEL:
                continue
            kept.append(place)
            scores.append(
                place.fit
                + label
                + 1.5 * self._as_estimated(place, estimates)
                + 0.1 * self._as_printed(place, want)
                - 0.12 * (1 - math.exp(-rank / 8))
            )
        want.places = kept
        return scores

    def _box(self, place: Place) -> Rect:
        lines = self._search.pages[place.page].lines_of(place.slices)
        box = lines[0]
        for line in lines[1:]:
            box = box.joined(line)
        return box

    def _as_estimated(self, place: Place, estimates: Iterable[tuple[int, Rect]]) -> float:
        page = self._search.pages[place.page]
        box = self._box(place)
        best = 0.0
        for number, estimate in estimates:
            if number == page.page.number:
                scaled = estimate._replace(x0=estimate.x0 * page.aspect, x1=estimate.x1 * page.aspect)
                inside = scaled.x0 <= (box.x0 + box.x1) / 2 <= scaled.x1 and scaled.y0 <= box.middle <= scaled.y1
                best = max(best, box.overlap(scaled), 0.5 if inside else 0.0)
        return best

    def _as_printed(self, place: Place, want: Want) -> float:
        raw = tidy(want.result.raw_text)
        return 1.0 if raw and raw == self._search.pages[place.page].printed(place.slices) else 0.0

    def _company(self, place: Place, settled: Iterable[tuple[int, Rect]]) -> float:
        """How near the place is to places of its group that are sure, 0..1."""
        box = self._box(place)
        nearest = 0.0
        for page, other in settled:
            if page == place.page:
                down = max(0.0, other.y0 - box.y1, box.y0 - other.y1)
                aside = max(0.0, other.x0 - box.x1, box.x0 - other.x1)
                nearest = max(nearest, math.exp(-(down + 0.3 * aside) / 0.06))
        return nearest
