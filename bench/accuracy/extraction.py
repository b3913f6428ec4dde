"""How right the extracted values are: field F1, exact rows of line items, and what the confidences are worth.

A value is right if it means the same day or amount as the label, or has the same letters and digits. Only labelled
fields count: a document may well hold what nobody labelled.
"""

import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any

from bench.accuracy.data import SCHEMA_OF, Sample, schema
from gleaner.v1 import results_pb2
from gleaner_documents.pages import ReadDocument
from gleaner_values import find_amounts, find_dates, letters
from gleaner_worker.extractors.embedded.extractor import extract_one

# Names of the vendor invoices' labels in the invoice schema.
I2D_NAMES = {
    "issuer": "seller_name",
    "partner_name": "seller_name",
    "date": "invoice_date",
    "amount": "total",
    "amount_untaxed": "net_total",
    "amount_tax": "tax_total",
    "vat": "seller_vat_id",
    "partner_zip": "seller_postcode",
    "partner_city": "seller_city",
    "partner_street": "seller_street",
}
UNSCHEMED = frozenset({"partner_coc"})
BINS = 10


@dataclass(slots=True)
class Answer:
    """One labelled field: what was wanted, what was given, and how sure."""

    sample: str
    name: str
    wanted: str
    given: str
    confidence: float

    @property
    def right(self) -> bool:
        """Whether they mean the same."""
        return bool(self.given) and same(self.wanted, self.given)


@dataclass(slots=True)
class Report:
    """What was measured on one set."""

    answers: list[Answer] = field(default_factory=list)
    rows_wanted: int = 0
    rows_right: int = 0
    rows_given: int = 0
    documents: int = 0
    seconds: float = 0.0

    def f1(self, name: str | None = None) -> float:
        """Field F1, of one field or of all."""
        answers = [a for a in self.answers if name is None or a.name == name]
        right = sum(a.right for a in answers)
        given = sum(bool(a.given) for a in answers)
        return 2 * right / (given + len(answers)) if answers else 0.0

    def names(self) -> list[str]:
        """The labelled fields."""
        return list(dict.fromkeys(a.name for a in self.answers))


def measure(samples: list[Sample], read: Callable[[Sample], ReadDocument]) -> Report:
    """The report on these documents; reading them is not part of the time."""
    report = Report()
    for sample in samples:
        document = read(sample)
        begun = time.perf_counter()
        result = extract_one(document, schema(SCHEMA_OF[sample.set]))
        report.seconds += time.perf_counter() - begun
        report.documents += 1
        values = {f.path.rpartition(".")[2]: f for f in result.fields}
        _count_fields(report, sample, values)
        if sample.rows and sample.set == "einvoice":
            _count_rows(report, sample, values.get("line_items"))
    return report


def expected_calibration_error(answers: list[Answer]) -> float:
    """Mean distance between confidence and share of right answers, over ten bins of confidence."""
    bins: dict[int, list[Answer]] = defaultdict(list)
    for answer in answers:
        if answer.given:
            bins[min(int(answer.confidence * BINS), BINS - 1)].append(answer)
    count = sum(len(group) for group in bins.values())
    return sum(abs(sum(a.right for a in group) - sum(a.confidence for a in group)) for group in bins.values()) / max(
        count, 1
    )


def right_when_sure(answers: list[Answer], least: float = 0.95) -> tuple[float, int]:
    """Share of right answers among those with at least this confidence, and how many there are."""
    sure = [a for a in answers if a.given and a.confidence >= least]
    return (sum(a.right for a in sure) / len(sure) if sure else 0.0), len(sure)


def same(wanted: str, given: str) -> bool:
    """Whether two prints mean the same: as days, as amounts, or by their letters and digits."""
    days = find_dates(wanted)
    if len(days) == 1 and len(days[0].text) >= len(wanted.strip()) - 1:
        return any(set(days[0].values) & set(d.values) for d in find_dates(given))
    amount, other = _amount(wanted), _amount(given)
    if amount is not None and other is not None:
        return amount == other
    return letters(wanted) == letters(given)


def printed(value: results_pb2.Value) -> str:
    """A value as text."""
    match value.WhichOneof("kind"):
        case "money":
            return value.money.amount
        case None:
            return ""
        case kind:
            return str(getattr(value, kind))


def _amount(text: str) -> Decimal | None:
    try:
        return Decimal(text.strip())
    except InvalidOperation:
        found = find_amounts(text)
        whole = len(found) == 1 and len(found[0].text) == len(text.strip())
        return found[0].values[0] if whole and not text.strip().isdigit() else None


def _count_fields(report: Report, sample: Sample, values: dict[str, results_pb2.FieldResult]) -> None:
    for label, wanted in sample.fields.items():
        name = I2D_NAMES.get(label, label) if sample.set == "i2d_invoice" else label
        if label in UNSCHEMED or isinstance(wanted, list):
            continue
        result = values[name]
        report.answers.append(Answer(sample.name, label, str(wanted), printed(result.value), result.confidence))


def _count_rows(report: Report, sample: Sample, result: results_pb2.FieldResult | None) -> None:
    given: list[dict[str, Any]] = [
        {m.path.rpartition(".")[2]: printed(m.value) for m in row.children}
        for row in (result.children if result else ())
    ]
    report.rows_wanted += len(sample.rows)
    report.rows_given += len(given)
    left = list(given)
    for row in sample.rows:
        match = next((g for g in left if all(g.get(k) and same(v, g[k]) for k, v in row.items())), None)
        if match is not None:
            left.remove(match)
            report.rows_right += 1
