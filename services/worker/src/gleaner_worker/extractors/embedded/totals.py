"""The sums of a document, chosen together: net and tax make the total, cash less change too."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import product

from gleaner_values import DecimalMark, find_amounts
from gleaner_worker.extractors.embedded.candidates import Candidate, best_first

CONCEPTS = ("line_total", "net_total", "tax_total", "total", "amount_due")
HELPERS = ("cash", "change", "rounding", "prepaid", "discount", "sub_total")
_CENT = Decimal("0.011")
_HALF_CENT = Decimal("0.0051")
_SUM = 0.30  # what it is worth that two sums make a third
_SAME = 0.08
_PAID = 0.35  # that it is what was paid, or what rounding leads to
_MOST = 7


@dataclass(frozen=True, slots=True)
class Sum:
    """A candidate and its amount."""

    candidate: Candidate
    amount: Decimal


def read_sums(candidates: Sequence[Candidate], mark: DecimalMark) -> list[Sum]:
    """The candidates with their amounts, best first, each amount once."""
    found: dict[Decimal, Sum] = {}
    for candidate in best_first(candidates):
        amounts = find_amounts(candidate.text)
        if not amounts:
            continue
        reading = amounts[0]
        amount = reading.settled(mark)
        score = candidate.score
        kept = found.get(amount)
        if kept is None or score > kept.candidate.score:
            found[amount] = Sum(candidate.worth(score), amount)
    with_cents = [s for s in found.values() if "." in s.candidate.text or "," in s.candidate.text]
    return sorted(with_cents or found.values(), key=lambda s: -s.candidate.score)[:_MOST]


def less(sums: Sequence[Sum], known: Sequence[Sum]) -> list[Sum]:
    """Those of the sums that are not known yet, as second best."""
    amounts = {s.amount for s in known}
    return [Sum(s.candidate.worth(s.candidate.score - 0.15), s.amount) for s in sums if s.amount not in amounts]


def choose(sums: Mapping[str, Sequence[Sum]]) -> dict[str, tuple[Sum, float]]:
    """For each concept the sum that fits best with the others, and its score with what agreement is worth."""
    chosen: dict[str, Sum] = {}
    best = -1.0
    options = [(*sums.get(concept, ()), None) for concept in ("total", "net_total", "tax_total")]
    if len(options[0]) == 1:  # nothing is called a total: the sum before it, then
        options[0] = (
            *(Sum(s.candidate.worth(s.candidate.score - 0.3), s.amount) for s in sums.get("sub_total", ())),
            None,
        )
    for total, net, tax in product(*options):
        worth = sum(s.candidate.score for s in (total, net, tax) if s) + _agreement(total, net, tax, sums)
        if (
            total is not None
            and net is not None
            and net.candidate.cell is total.candidate.cell
            and net.amount == total.amount
        ):
            worth -= 0.4
        if worth > best:
            best = worth
            chosen = {
                concept: s for concept, s in (("total", total), ("net_total", net), ("tax_total", tax)) if s is not None
            }
    result = {concept: (s, _boosted(s, concept, chosen, sums)) for concept, s in chosen.items()}
    if "net_total" not in result and "total" in chosen and not (chosen.get("tax_total") and chosen["tax_total"].amount):
        result["net_total"] = chosen["total"], 0.5  # no tax is told of
    for concept in ("line_total", "amount_due"):
        if picked := _follower(concept, chosen, sums):
            result[concept] = picked
    return result


def _agreement(total: Sum | None, net: Sum | None, tax: Sum | None, sums: Mapping[str, Sequence[Sum]]) -> float:
    worth = 0.0
    if total and net and tax:
        if _adds_up(total, net, tax, sums):
            worth += _SUM if tax.amount else _SAME
        else:
            worth -= 0.25
    elif total and ((net and abs(total.amount) < abs(net.amount)) or (tax and abs(tax.amount) > abs(total.amount) / 2)):
        worth -= 0.3
    if total and total.amount < 0 and any(s.amount > 0 for s in sums.get("total", ())):
        worth -= 0.4
    if total:
        worth += _paid(total.amount, sums)
        if all(abs(s.amount) <= abs(total.amount) for s in sums.get("total", ())):
            worth += 0.15  # parts of it, by rate of tax, add up too
    if net and tax and tax.amount and abs(tax.amount) > abs(net.amount) / 2:
        worth -= 0.3
    return worth


def _adds_up(total: Sum, net: Sum, tax: Sum, sums: Mapping[str, Sequence[Sum]]) -> bool:
    roundings = {Decimal(0), *(s.amount for s in sums.get("rounding", ())[:3])}
    return any(abs(net.amount + tax.amount + rounding - total.amount) < _HALF_CENT for rounding in roundings)


def _paid(total: Decimal, sums: Mapping[str, Sequence[Sum]]) -> float:
    """What it is worth that cash less change, or a part sum with its rounding, makes the total."""
    for cash, change in product(sums.get("cash", ())[:3], sums.get("change", ())[:3]):
        if abs(cash.amount - abs(change.amount) - total) < _CENT and cash.amount > 0:
            return _PAID
    for part, rounding in product(sums.get("total", ())[:4], sums.get("rounding", ())[:3]):
        if rounding.amount and abs(part.amount + rounding.amount - total) < Decimal("0.001"):
            return _PAID
    return 0.0


def _boosted(chosen: Sum, concept: str, together: Mapping[str, Sum], sums: Mapping[str, Sequence[Sum]]) -> float:
    score = chosen.candidate.score
    parts = [together.get(name) for name in ("total", "net_total", "tax_total")]
    if all(parts):
        total, net, tax = (part for part in parts if part)
        score += (0.15 if tax.amount else 0.0) if _adds_up(total, net, tax, sums) else -0.25
    if concept == "total" and _paid(chosen.amount, sums) > 0:
        score += 0.15
    return score


def _follower(concept: str, chosen: Mapping[str, Sum], sums: Mapping[str, Sequence[Sum]]) -> tuple[Sum, float] | None:
    """The sum of the lines is the net total unless charges come in between; what is due is the total less advances."""
    leader = chosen.get("net_total" if concept == "line_total" else "total")
    options = list(sums.get(concept, ()))
    scored = [(s, s.candidate.score + (0.1 if leader and s.amount == leader.amount else 0.0)) for s in options]
    best = max(scored, key=lambda pair: pair[1], default=None)
    if best and best[1] >= 0.5:
        return best
    if leader is not None:
        return leader, min(leader.candidate.score, 1.0) - 0.12
    return best
