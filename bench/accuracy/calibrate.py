"""`python -m bench.accuracy.calibrate`: counts how often each way of finding a value is right, and writes it down.

Before writing it tells what the calibration is worth on documents it was not made from: made from each half of the
documents in turn, and measured on the other.
"""

import argparse
import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

from bench.accuracy import data, extraction
from gleaner.v1 import results_pb2, schemas_pb2
from gleaner_documents.pages import ReadDocument
from gleaner_values import settle
from gleaner_worker.extractors.embedded import calibration
from gleaner_worker.extractors.embedded.candidates import Candidate
from gleaner_worker.extractors.embedded.cells import Sheet
from gleaner_worker.extractors.embedded.results import Reporter
from gleaner_worker.extractors.embedded.search import Search
from gleaner_worker.extractors.embedded.targets import Target

GUESSES = 6.0  # how many cautious guesses each count starts with
OUT = Path(calibration.__file__).with_name("calibration.json")


@dataclass(frozen=True, slots=True)
class Case:
    """One value that was given: by what, and whether it is right."""

    document: str
    target: Target
    candidate: Candidate
    right: bool


def main() -> None:
    """Counts, measures, writes."""
    parser = argparse.ArgumentParser(prog="python -m bench.accuracy.calibrate", description=__doc__)
    parser.add_argument("--cache", type=Path, help="folder that keeps what was read")
    parser.add_argument("--sets", default="sroie,einvoice,adbuy,i2d_invoice", help="comma-separated")
    arguments = parser.parse_args()
    read = data.cached(data.read, arguments.cache)
    cases = [case for name in arguments.sets.split(",") for s in data.samples(name) for case in _cases(s, read(s))]
    cases += [case for s in data.samples("sroie") for case in _cases(s, data.labelled_lines(s))]
    errors = []
    for half in (0, 1):
        shares = counted(case for case in cases if crc32(case.document.encode()) % 2 == half)
        errors.append(_error(shares, [case for case in cases if crc32(case.document.encode()) % 2 != half]))
    print(f"{len(cases)} values; calibration error on the other half: {errors[0]:.3f} and {errors[1]:.3f}")
    shares = counted(cases)
    entries = {name: {"right": round(s.right, 4), "score": round(s.score, 4)} for name, s in sorted(shares.items())}
    OUT.write_text(json.dumps(entries, indent=2) + "\n", "utf-8")


def counted(cases: Iterable[Case]) -> dict[str, calibration.Share]:
    """The share of each group, and of each way over all kinds."""
    groups: dict[str, list[Case]] = defaultdict(list)
    for case in cases:
        groups[calibration.group(case.target, case.candidate)].append(case)
        groups[case.candidate.source].append(case)
    return {
        name: calibration.Share(
            (sum(c.right for c in group) + GUESSES * calibration.CAUTIOUS) / (len(group) + GUESSES),
            sum(min(c.candidate.score, 1.2) for c in group) / len(group),
        )
        for name, group in groups.items()
    }


def _error(shares: dict[str, calibration.Share], cases: list[Case]) -> float:
    answers = [extraction.Answer(c.document, "", "x", "x" if c.right else "y", _confidence(shares, c)) for c in cases]
    return extraction.expected_calibration_error(answers)


def _confidence(shares: dict[str, calibration.Share], case: Case) -> float:
    return calibration.confidence(case.target, case.candidate, shares)


def _cases(sample: data.Sample, document: ReadDocument) -> list[Case]:
    kind: schemas_pb2.DocumentType = data.schema(data.SCHEMA_OF[sample.set]).document_types[0]
    sheet = Sheet(document)
    conventions = settle(sheet.texts, kind.locales)
    search = Search(sheet, kind, conventions)
    reporter = Reporter(document, conventions)
    chosen = search.chosen()
    by_name = {target.path.rpartition(".")[2]: target for target in search.targets}
    cases = []
    for label, wanted in sample.fields.items():
        target = by_name.get(extraction.I2D_NAMES.get(label, label) if sample.set == "i2d_invoice" else label)
        candidate = chosen.get(target.path) if target else None
        if target is not None and candidate is not None and isinstance(wanted, str):
            value = reporter.value(target.field, candidate) or results_pb2.Value()
            right = extraction.same(wanted, extraction.printed(value))
            cases.append(Case(sample.name, target, candidate, right))
    return cases


if __name__ == "__main__":
    main()
