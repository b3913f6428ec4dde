"""All places of a document where a value stands, found by what kind of value it is."""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal, InvalidOperation
from functools import cached_property

from gleaner.v1 import results_pb2
from gleaner_bbox_worker.grounding.exact import Needle, find_text, needle
from gleaner_bbox_worker.grounding.fuzzy import find_similar
from gleaner_bbox_worker.grounding.index import PageIndex
from gleaner_bbox_worker.grounding.labels import Neighbour, surroundings
from gleaner_bbox_worker.grounding.places import Place
from gleaner_bbox_worker.grounding.typed import Dates, KeptOrder, Numbers, date_fit, kept_order
from gleaner_documents.pages import ReadDocument
from gleaner_values import find_amounts, find_dates, find_numbers

_YES = ("yes", "true", "y", "ja", "oui", "si", "sí", "sim", "x", "☒", "☑", "✓", "✔", "✗")
_LONGEST = 40  # digits of a number that somebody prints; more would only cost memory
_NO = ("no", "false", "n", "nein", "non", "nee", "não", "☐")


class Search:
    """A document's pages, indexed once; what they hold is remembered for the next value."""

    def __init__(self, document: ReadDocument, locales: Sequence[str] = ()) -> None:
        self._locales = locales
        self.pages: Sequence[PageIndex] = [PageIndex(number, page) for number, page in enumerate(document.pages)]
        self._texts: dict[str, list[Place]] = {}
        self._around: dict[tuple[int, int, int], list[Neighbour]] = {}

    def places(self, value: results_pb2.Value) -> list[Place]:
        """Where the value stands, in reading order; empty if it is on no page."""
        match value.WhichOneof("kind"):
            case "text":
                return self._text(value.text)
            case "date":
                return self._date(value.date)
            case "money":
                return self._money(value.money.amount)
            case "decimal":
                return self._number(value.decimal)
            case "integer":
                return self._number(str(value.integer))
            case "flag":
                forms = _YES if value.flag else _NO
                places = [place for form in forms for place in self._literally(form) if self._ends_there(place)]
                return sorted(places, key=lambda place: place.key)
        return []

    def around(self, place: Place) -> list[Neighbour]:
        """What is printed around the place."""
        known = self._around.get(place.key)
        if known is None:
            known = self._around[place.key] = surroundings(self.pages[place.page], place)
        return known

    def _ends_there(self, place: Place) -> bool:
        """Whether nothing follows on the line, or after a mark: `no` is an answer, `no further questions` is none."""
        page, last = self.pages[place.page], place.slices[-1]
        line = page.cells[page.cell_of[last.word]].words
        return last.word == line[-1] or not page.words[last.word].text[-1].isalnum()

    def _text(self, text: str) -> list[Place]:
        known = self._texts.get(text)
        if known is None:
            sought = needle(text)
            known = self._literally(text) or self._as_typed(text) or self._similar(sought)
            self._texts[text] = known
        return known

    def _literally(self, text: str) -> list[Place]:
        sought = needle(text)
        places = [place for page in self.pages for place in find_text(page, sought)]
        best = max((place.fit for place in places), default=0.0)
        return [place for place in places if place.fit >= best - 0.25]

    def _as_typed(self, text: str) -> list[Place]:
        """A text that is nothing but a date or a number may be printed as another one."""
        stripped = text.strip()
        for day in find_dates(stripped):
            if day.end - day.start == len(stripped):
                places = [place for value in day.values for place in self._date(value.isoformat())]
                return list({place.key: place for place in places}.values())
        readings = [(number.start, number.end, number.values) for number in find_numbers(stripped)]
        readings += [(amount.start, amount.end, amount.values) for amount in find_amounts(stripped)]
        for start, end, values in readings:
            if end - start == len(stripped) and not stripped.isdigit():
                return [place for value in values for place in self._number(str(value))]
        return []

    def _similar(self, sought: Needle) -> list[Place]:
        places = [place for page in self.pages if (place := find_similar(page, sought))]
        best = max((place.fit for place in places), default=0.0)
        return [place for place in places if place.fit >= best - 0.02]

    def _date(self, text: str) -> list[Place]:
        try:
            sought = date.fromisoformat(text[:10])
        except ValueError:
            return self._text(text)
        for found in (
            (entry for dates in self._dates for entry in dates.lines),
            (entry for dates in self._dates for entry in dates.wrapped),
        ):
            fits = [(date_fit(reading, sought, self._order), place) for reading, place in found]
            places = [_fitted(place, fit) for fit, place in fits if fit > 0]
            if places:
                return places
        return []

    def _money(self, text: str) -> list[Place]:
        """As `_number`; an amount that is printed with cents hardly stands where there are none."""
        _, point, cents = text.partition(".")
        return [
            place if not point or self._printed(place).rstrip("-").endswith(cents) else _fitted(place, 0.85)
            for place in self._number(text)
        ]

    def _printed(self, place: Place) -> str:
        return self.pages[place.page].printed(place.slices)

    def _number(self, text: str) -> list[Place]:
        try:
            sought = Decimal(text)
        except InvalidOperation:
            return self._text(text)
        if not sought.is_finite() or abs(sought.adjusted()) > _LONGEST:
            return []
        places = [place for numbers in self._numbers for place in numbers.places(sought)]
        if not places and sought:
            # A credit is printed with a sign or without, as its form has it.
            places = [_fitted(place, 0.6) for numbers in self._numbers for place in numbers.places(-sought)]
        return places

    @cached_property
    def _numbers(self) -> list[Numbers]:
        return [Numbers(page) for page in self.pages]

    @cached_property
    def _dates(self) -> list[Dates]:
        return [Dates(page) for page in self.pages]

    @cached_property
    def _order(self) -> KeptOrder:
        return kept_order((reading for dates in self._dates for reading, _ in dates.lines), self._locales)


def _fitted(place: Place, fit: float) -> Place:
    return Place(place.page, place.slices, place.match, place.fit * fit)
