"""Which of several places a value has: nearest to its label, where the extractor believed it, with its group.

All values of a document choose together, the surest first: a place that one value has taken is a little less likely for
the next, and what stands sure draws the fields of its group near.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence

from gleaner_bbox_worker.grounding.labels import labelled
from gleaner_bbox_worker.grounding.places import Place, Rect
from gleaner_bbox_worker.grounding.search import Search
from gleaner_bbox_worker.grounding.wants import Want
from gleaner_values import tidy

# What counts how much, beside a place's fit and its label with up to 1 each. Tried out on receipts, invoices, orders
# and contracts: the choice is right as often for values around these.
_ESTIMATED = 1.5
_AS_PRINTED = 0.1
_WITH_GROUP = 0.6
_TAKEN = 0.1
_LATER, _SOON = 0.25, 3  # what matters is said first: so much less for the places after about so many
_APART_DOWN, _APART_ASIDE = 0.02, 0.4  # shares of the page's height at which company fades
_ENOUGH_SPOTS = 30
_LEAST_LABEL = 0.3
_NO_CHOICE = 3.0  # the only place of a value takes it before the others choose

Spot = tuple[int, Rect]
"""A page, by its index in the document, and where on it."""


class Chooser:
    """Chooses for the values of one document."""

    def __init__(self, search: Search) -> None:
        self._search = search

    def choose(self, wants: Sequence[Want]) -> dict[Want, list[Place]]:
        """For each value its places, the chosen one first; none where a value needs a label and has none."""
        scores = {want: self._scores(want) for want in wants}
        spots = {want: [self._spot(place) for place in want.places] for want in wants}
        groups: dict[str, list[Want]] = defaultdict(list)
        for want in wants:
            if want.places:
                groups[want.group].append(want)
        for want in wants:
            company = [spots[other][:_ENOUGH_SPOTS] for other in groups[want.group] if other is not want]
            if company and len(want.places) > 1:
                scores[want] = [
                    score + _WITH_GROUP * _company(spot, company)
                    for score, spot in zip(scores[want], spots[want], strict=True)
                ]
        return self._assign(scores)

    def _assign(self, scores: dict[Want, list[float]]) -> dict[Want, list[Place]]:
        taken: set[tuple[int, int, int]] = set()
        chosen: dict[Want, list[Place]] = {}
        by_surest = sorted(scores, key=lambda want: -max(scores[want], default=0.0))
        for want in by_surest:
            ranked = sorted(
                zip(scores[want], range(len(want.places)), want.places, strict=True),
                key=lambda entry: (-entry[0] + (_TAKEN if entry[2].key in taken else 0.0), entry[1]),
            )
            places = [place for _, _, place in ranked]
            if places:
                taken.add(places[0].key)
            chosen[want] = places
        return chosen

    def _scores(self, want: Want) -> list[float]:
        if len(want.places) == 1 and not want.needs_label:
            return [_NO_CHOICE]
        estimates = [(box.page, Rect(box.x0, box.y0, box.x1, box.y1)) for box in want.result.provenance.boxes]
        kept: list[Place] = []
        scores: list[float] = []
        for rank, place in enumerate(want.places):
            label = labelled(want.naming, self._search.around(place))
            if want.needs_label and label < _LEAST_LABEL:
                continue
            kept.append(place)
            scores.append(
                place.fit
                + label
                + _ESTIMATED * self._as_estimated(place, estimates)
                + _AS_PRINTED * self._as_printed(place, want)
                - _LATER * (1 - math.exp(-rank / _SOON))
            )
        want.places = kept
        return scores

    def _spot(self, place: Place) -> Spot:
        return place.page, self._box(place)

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


def _company(spot: Spot, others: Sequence[Sequence[Spot]]) -> float:
    """How near the other values of a group stand, each by its nearest place, 0..1."""
    page, box = spot
    total = 0.0
    for spots in others:
        nearest = 0.0
        for number, other in spots:
            if number == page:
                down = max(0.0, other.y0 - box.y1, box.y0 - other.y1)
                aside = max(0.0, other.x0 - box.x1, box.x0 - other.x1)
                nearest = max(nearest, math.exp(-(down / _APART_DOWN + aside / _APART_ASIDE)))
        total += nearest
    return total / (len(others) + 1)  # one neighbour alone proves little
