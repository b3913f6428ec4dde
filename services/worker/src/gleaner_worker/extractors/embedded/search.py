"""The search through one document: candidates for each target, and the choice among them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from gleaner.v1 import schemas_pb2
from gleaner_values import Conventions, currency_of, is_iban
from gleaner_worker.extractors.embedded import totals
from gleaner_worker.extractors.embedded.calibration import confidence
from gleaner_worker.extractors.embedded.candidates import Candidate, best_first, labelled
from gleaner_worker.extractors.embedded.cells import Sheet, Span
from gleaner_worker.extractors.embedded.habits import bare_dates, bare_ranges, sums_of_columns, until_dates
from gleaner_worker.extractors.embedded.labels import Labels
from gleaner_worker.extractors.embedded.letterhead import Letterhead
from gleaner_worker.extractors.embedded.lexicon import CONCEPTS, LABEL_KEYS, Key, tokens
from gleaner_worker.extractors.embedded.parties import Parties
from gleaner_worker.extractors.embedded.readers import pieces
from gleaner_worker.extractors.embedded.targets import Target, targets

ACCEPTED = 0.4  # less than this is no answer

_BY_FORM = {"iban": 0.75, "bic": 0.55, "email": 0.55, "vat_id": 0.7, "currency": 0.6, "url": 0.5}


class Search:
    """What was found in a document, and what it was found by."""

    def __init__(self, sheet: Sheet, document_type: schemas_pb2.DocumentType, conventions: Conventions) -> None:
        self.sheet = sheet
        self.conventions = conventions
        self.document_type = document_type
        self.targets = targets(document_type)
        keys: set[Key] = {key for target in self.targets for key in target.keys}
        self.labels = Labels(sheet, keys | LABEL_KEYS)
        self.parties = Parties(sheet, self.labels)
        self.letterhead = Letterhead(sheet)
        self.is_receipt = self._is_receipt()

    def _is_receipt(self) -> bool:
        """Whether this comes out of a till: by its schema, or because cash was given and change returned."""
        said = {
            t.name
            for text in (self.document_type.name.replace("_", " "), *self.document_type.hints)
            for t in tokens(text)
        }
        paid = all(self.labels.with_key(frozenset({word})) for word in ("cash", "change"))
        return paid or "receipt" in said

    def found(self) -> dict[str, Candidate]:
        """The best candidate of each target that has one, by path, with its confidence for a score."""
        chosen = self.chosen()
        return {t.path: c.worth(confidence(t, c)) for t in self.targets if (c := chosen.get(t.path)) is not None}

    def chosen(self) -> dict[str, Candidate]:
        """The best candidate of each target that has one, by path."""
        chosen = self._sums()
        for target in self.targets:
            if target.concept not in totals.CONCEPTS and (candidate := self._best(target)):
                chosen[target.path] = candidate
        return {path: c for path, c in chosen.items() if c.score >= ACCEPTED}

    def candidates(self, target: Target) -> list[Candidate]:
        """All candidates of a target, best first."""
        if target.attribute in ("name", "street", "postcode", "city", "address"):
            found = self._labelled(target) + self._of_parties(target)
        elif target.role and target.attribute:
            found = self._of_party(target)
        else:
            found = self._labelled(target) + self._by_form(target)
        if target.kind == "currency":
            found = [self._as_code(c) for c in found]
        if target.concept == "due_date":
            found += until_dates(self.sheet)
        if target.concept == "document_date":
            found += bare_dates(self.sheet)
        if target.kind == "amount":
            found = sums_of_columns(found, self.conventions.decimal_mark)
        if target.concept in ("period_start", "period_end"):
            found += bare_ranges(self.sheet)
            found = _ranges(found, last=target.concept == "period_end")
        return best_first(found)

    def _of_parties(self, target: Target) -> list[Candidate]:
        found = self.parties.candidates(target.role, target.attribute)
        if target.role == "seller":
            heads = self.letterhead.candidates(target.attribute)
            if self.is_receipt:
                return heads or found
            found += [c.worth(c.score - 0.25) for c in heads]
        return found

    def _labelled(self, target: Target) -> list[Candidate]:
        return labelled(self.sheet, self.labels, target.keys, target.kind, target.field)

    def _of_party(self, target: Target) -> list[Candidate]:
        """Particulars that both parties have: those of the other one are kept apart."""
        found = []
        for candidate in self._labelled(target) + self._by_form(target):
            owner = self._owner(candidate)
            if owner == target.role:
                found.append(candidate.worth(candidate.score + 0.02))
            elif not owner and target.role == "seller":
                found.append(candidate)
        return found

    def _owner(self, candidate: Candidate) -> str:
        """Whose particular a candidate is, by the words before it or the block it stands in; empty if nothing tells."""
        cell = candidate.cell
        before = {t.name for t in tokens(cell.text[: candidate.spans[0].start])}
        if candidate.label is not None:
            before |= candidate.label.key | {t.name for t in tokens(candidate.label.cell.text[: candidate.label.end])}
        if before & {"buyer", "customer", "your"}:
            return "buyer"
        if before & {"seller", "our"}:
            return "seller"
        return self.parties.of_cell(candidate.label.cell if candidate.label else cell)

    def _best(self, target: Target) -> Candidate | None:
        found = self.candidates(target)
        return found[0] if found else None

    def _by_form(self, target: Target) -> list[Candidate]:
        """Values that are known by their form, wherever they stand."""
        if target.kind not in _BY_FORM:
            return []
        found = [
            Candidate((Span(cell, start, end),), _BY_FORM[target.kind], "form")
            for cell in self.sheet.cells
            for start, end in pieces(target.kind, cell.text, target.field)
        ]
        if target.kind == "iban":
            return [self._whole_iban(c) for c in found]
        return found

    def _as_code(self, candidate: Candidate) -> Candidate:
        code = currency_of(candidate.text)
        usual = 0.1 if code == self.conventions.currency and candidate.label is None else 0.0
        return replace(candidate, meaning=code, score=min(candidate.score + usual, 1.0))

    def _whole_iban(self, candidate: Candidate) -> Candidate:
        """An account that goes on in the line below, as it does in narrow columns; doubted if its check digits fail."""
        if is_iban(candidate.text):
            return candidate.worth(candidate.score + 0.1)
        cell = candidate.cell
        for below in self.sheet.under(cell, cell.x0 - cell.height, cell.x1, 2)[:1]:
            joined = replace(candidate, spans=(*candidate.spans, Span(below, 0, len(below.text))))
            if is_iban(joined.text):
                return joined.worth(candidate.score + 0.24)
        return candidate.worth(candidate.score - (0.1 if len(candidate.text.replace(" ", "")) >= 18 else 0.4))

    def _sums(self) -> dict[str, Candidate]:
        by_concept = {t.concept: t for t in self.targets if t.kind == "amount" and t.concept in totals.CONCEPTS}
        if not by_concept:
            return {}
        sums = {
            concept: totals.read_sums(
                self._sum_candidates(concept, by_concept.get(concept)), self.conventions.decimal_mark
            )
            for concept in (*totals.CONCEPTS, *totals.HELPERS)
            if concept in CONCEPTS
        }
        sums["total"] = [*sums["total"], *self._paid(sums), *totals.less(sums["amount_due"], sums["total"])]
        chosen = totals.choose(sums)
        return {
            target.path: chosen[concept][0].candidate.worth(chosen[concept][1])
            for concept, target in by_concept.items()
            if concept in chosen
        }

    def _paid(self, sums: Mapping[str, Sequence[totals.Sum]]) -> list[totals.Sum]:
        """Where the amount stands that was paid, cash less change, if no label leads there."""
        known = {s.amount for s in sums["total"]}
        pairs = [(c.amount, r.amount) for c in sums["cash"][:2] for r in sums["change"][:2]]
        paid = {cash - change for cash, change in pairs if cash > change > 0}
        return [
            totals.Sum(Candidate((Span(cell, amount.start, amount.end),), 0.5, "paid"), value)
            for cell in reversed(self.sheet.cells)
            for amount in cell.amounts
            if (value := amount.settled(self.conventions.decimal_mark)) in paid - known and amount.decimals == 2
        ][:1]

    def _sum_candidates(self, concept: str, target: Target | None) -> Sequence[Candidate]:
        keys = target.keys if target else {k: 0.9 - 0.005 * i for i, k in enumerate(CONCEPTS[concept].keys)}
        money = schemas_pb2.Field(type=schemas_pb2.FIELD_TYPE_MONEY)
        found = labelled(self.sheet, self.labels, keys, "amount", money)
        return sums_of_columns(found, self.conventions.decimal_mark)


def _ranges(found: Sequence[Candidate], *, last: bool) -> list[Candidate]:
    """Dates of a period: where two stand together, the first begins and the last ends it."""
    together: dict[int, list[Candidate]] = {}
    for candidate in found:
        together.setdefault(candidate.cell.index, []).append(candidate)
    chosen = []
    for group in together.values():
        ordered = sorted(group, key=lambda c: c.spans[0].start)
        starts = {c.spans[0].start for c in ordered}
        if len(starts) >= 2:
            best = max(c.score for c in group)
            chosen.append(ordered[-1 if last else 0].worth(best + 0.03))
        else:
            chosen += group
    return chosen
