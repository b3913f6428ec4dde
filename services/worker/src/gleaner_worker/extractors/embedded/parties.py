"""Seller and buyer: which address is whose, and what stands in it."""

from collections.abc import Sequence
from dataclasses import dataclass

from gleaner_values import letters, words
from gleaner_worker.extractors.embedded.addresses import ATTENTION, Address, find_addresses, is_company
from gleaner_worker.extractors.embedded.candidates import Candidate
from gleaner_worker.extractors.embedded.cells import Cell, Sheet, Span
from gleaner_worker.extractors.embedded.labels import Labels
from gleaner_worker.extractors.embedded.lexicon import ROLES, Key

_ROLE_OF_KEY: dict[Key, str] = {key: role for role, keys in ROLES.items() for key in keys}
_HINTS = {
    "tel",
    "telefon",
    "phone",
    "fax",
    "www",
    "http",
    "https",
    "mail",
    "email",
    "iban",
    "bic",
    "ust",
    "vat",
    "tva",
    "btw",
    "hrb",
    "hra",
    "siret",
    "kvk",
    "swift",
    "geschaftsfuhrer",
    "web",
    "rcs",
}


@dataclass(frozen=True, slots=True)
class Party:
    """An address and how likely it is each role's."""

    address: Address
    seller: float
    buyer: float
    label_role: str


class Parties:
    """The parties of a document."""

    def __init__(self, sheet: Sheet, labels: Labels) -> None:
        self._sheet, self._labels = sheet, labels
        self._senders = [a for a in find_addresses(sheet, labels) if a.one_line]
        self.all = [self._party(a) for a in find_addresses(sheet, labels)]

    def candidates(self, role: str, attribute: str) -> list[Candidate]:
        """The values of `attribute` in the addresses that may be the role's."""
        found = []
        for party in self.all:
            likely = self._likely(party, role)
            for spans, worth in _values(party.address, attribute):
                found.append(Candidate(spans, likely * worth, "party"))
        if attribute == "name":
            found += self._named(role)
            found = [c.worth(c.score + (0.04 if is_company(c.text) else 0.0)) for c in found]
        return found

    def of_cell(self, cell: Cell) -> str:
        """The role of the block that a cell stands in or right under; empty if none."""
        for party in self.all:
            last = party.address.lines[-1]
            inside = (
                party.address.top.y0 <= cell.y0 <= last.y1 + 6 * last.height
                and abs(cell.x0 - last.x0) < 4 * last.height
            )
            if cell.page == last.page and inside and max(party.seller, party.buyer) > 0.6:
                return "seller" if party.seller > party.buyer else "buyer"
        return ""

    def _likely(self, party: Party, role: str) -> float:
        if role == "shipto":
            return 0.9 if party.label_role == "shipto" else 0.0
        score, other = (party.seller, party.buyer) if role == "seller" else (party.buyer, party.seller)
        return score if score >= other else score * 0.5

    def _party(self, address: Address) -> Party:
        role = self._role_by_label(address)
        if role == "seller":
            return Party(address, 0.95, 0.1, role)
        if role == "buyer":
            return Party(address, 0.1, 0.95, role)
        if role == "shipto":
            return Party(address, 0.05, 0.5, role)
        seller, buyer = self._role_by_place(address)
        return Party(address, seller, buyer, "")

    def _role_by_label(self, address: Address) -> str:
        top = address.top
        nearby: list[tuple[float, str]] = []
        for key, role in _ROLE_OF_KEY.items():
            for label in self._labels.with_key(key):
                cell = label.cell
                if cell.page != top.page:
                    continue
                if cell in address.lines and label.closed:
                    nearby.append((0.0, role))
                elif cell.middle < top.y0 and self._labels.is_label(cell):
                    gap = (top.y0 - cell.y1) / (top.height or 1)
                    aside = min(abs(cell.x0 - top.x0), abs(cell.x1 - top.x1)) / (top.height or 1)
                    overlaps = cell.x0 < top.x1 and cell.x1 > top.x0
                    if gap < 3.2 and (aside < 3 or overlaps):
                        nearby.append((0.5 + gap, role))
                    elif gap < 3.5 and cell.x0 < top.x0 and len(self._sheet.row(cell)) == 1 and len(label.key) == 1:
                        nearby.append((1.5 + gap, role))
                elif (
                    self._labels.is_label(cell)
                    and cell.x1 <= top.x0
                    and abs(cell.middle - top.middle) < 0.6 * top.height
                ):
                    nearby.append((0.3, role))
        return min(nearby)[1] if nearby else ""

    def _role_by_place(self, address: Address) -> tuple[float, float]:
        top = address.top
        if any(
            c.text.rstrip().endswith(":") and top.y0 - c.y1 < 3 * top.height and abs(c.x0 - top.x0) < top.height
            for c in self._sheet.by_page[top.page]
            if c.middle < top.y0
        ):
            return 0.45, 0.4  # somebody else's: a heading that names neither
        page = self._sheet.by_page[top.page]
        width, bottom = max(c.x1 for c in page), max(c.y1 for c in page)
        seller = buyer = 0.5
        if address.one_line:
            return 0.85, 0.2
        if top.page > 1:
            return 0.3, 0.3
        if any(_same_place(address, sender) for sender in self._senders):
            seller += 0.35
        elif self._senders:
            buyer += 0.15
        if self._has_particulars(address):
            seller += 0.2
            buyer -= 0.1
        high, left = top.y0 / bottom, top.x0 / width
        if high > 0.7:
            seller += 0.2
            buyer -= 0.25
        elif 0.08 < high < 0.4 and left < 0.45:
            buyer += 0.15
        elif high < 0.3:
            seller += 0.1
        if top.y0 == min(c.y0 for c in page) or high < 0.06:
            seller += 0.15
        if any(
            0 < top.y0 - s.top.y1 < 6 * top.height and abs(s.top.x0 - top.x0) < 3 * top.height for s in self._senders
        ):
            buyer += 0.3
        return min(seller, 0.92), min(buyer, 0.92)

    def _has_particulars(self, address: Address) -> bool:
        last = address.lines[-1]
        under = [
            c
            for c in self._sheet.under(last, last.x0 - last.height, last.x0 + 10 * last.height, 6)
            if abs(c.x0 - last.x0) < 2 * last.height
        ]
        words = {word for cell in under for word in letters_of_words(cell)}
        return bool(words & _HINTS)

    def _named(self, role: str) -> list[Candidate]:
        """Names that stand behind the role's label, and for the seller the company at the top of the page."""
        found = []
        for key, of_role in _ROLE_OF_KEY.items():
            if of_role != role:
                continue
            for label in self._labels.with_key(key):
                text = label.cell.text[label.end : label.value_end]
                if label.closed and any(c.isalpha() for c in text) and len(text) < 80:
                    start = label.end + len(text) - len(text.lstrip())
                    found.append(
                        Candidate((Span(label.cell, start, label.end + len(text.rstrip())),), 0.8, "role", label)
                    )
        if role == "seller":
            found += self._companies()
        return found

    def _companies(self) -> list[Candidate]:
        pages = self._sheet.by_page
        first = pages.get(1, [])
        names = (words(a.name.text) for a in self._senders if a.name)
        senders = [said[0] for said in names if said and len(said[0]) >= 4]
        found = []
        for rank, cell in enumerate(first):
            if (
                is_company(cell.text)
                and len(cell.text) < 60
                and not self._is_buyer(cell)
                and not ATTENTION.match(cell.text)
            ):
                score = 0.62 - 0.15 * min(rank / max(len(first), 1), 1)
                if any(cell.folded.startswith(name) for name in senders):
                    score = 0.9  # the sender above the window, in full
                found.append(Candidate((Span(cell, 0, len(cell.text)),), score, "company"))
        return found

    def _is_buyer(self, cell: Cell) -> bool:
        return any(cell in p.address.lines and p.buyer > p.seller for p in self.all)


def letters_of_words(cell: Cell) -> set[str]:
    """The folded words of a cell."""
    return {letters(part) for part in cell.folded.replace(":", " ").replace(".", " ").split()}


def _same_place(one: Address, other: Address) -> bool:
    return letters(one.postcode.text) == letters(other.postcode.text) and (
        one.street is None or other.street is None or letters(one.street.text)[:8] == letters(other.street.text)[:8]
    )


def _values(address: Address, attribute: str) -> Sequence[tuple[tuple[Span, ...], float]]:
    match attribute:
        case "name" if address.name:
            return [((address.name,), 1.0)]
        case "street" if address.street:
            return [((address.street,), 1.0)]
        case "postcode":
            return [((address.postcode,), 1.0)]
        case "city":
            return [((address.city,), 1.0)]
        case "address" if address.street:
            return [
                (
                    (
                        address.street,
                        Span(
                            address.city.cell,
                            min(address.postcode.start, address.city.start),
                            max(address.city.end, address.postcode.end),
                        ),
                    ),
                    1.0,
                )
            ]
    return []
