"""The extractor without a model, on the labelled samples: it may get better, not worse."""

from pathlib import Path

import pytest

from bench.accuracy import data, extraction

ROOT = Path(__file__).resolve().parents[3]
SAMPLES = ROOT / "tests" / "samples"
FLOORS = {"sroie": 0.90, "einvoice": 0.92, "i2d_invoice": 0.80}


@pytest.mark.parametrize("name", FLOORS)
def test_accuracy_on_the_samples_does_not_fall(name: str) -> None:
    read = data.labelled_lines if name == "sroie" else data.read

    report = extraction.measure(data.samples(name, SAMPLES), read)

    wrong = [(a.sample, a.name, a.wanted, a.given) for a in report.answers if not a.right]
    assert report.f1() >= FLOORS[name], wrong
    assert report.rows_right >= 0.8 * report.rows_wanted


def test_an_answer_that_is_sure_is_right() -> None:
    reports = [
        extraction.measure(data.samples(n, SAMPLES), data.labelled_lines if n == "sroie" else data.read) for n in FLOORS
    ]
    answers = [answer for report in reports for answer in report.answers]

    share, count = extraction.right_when_sure(answers)

    assert count > 20
    assert share >= 0.95


@pytest.mark.parametrize(
    ("wanted", "given", "alike"),
    [
        ("2021-04-03", "2021-04-03", True),
        ("3 APR 21", "2021-04-03", True),
        ("1234.50", "1234.5", True),
        ("RM 9.00", "9.00", True),
        ("S.H.H. MOTOR", "SHH Motor", True),
        ("2021-04-03", "2021-04-04", False),
    ],
)
def test_two_prints_are_the_same_by_what_they_mean(wanted: str, given: str, alike: bool) -> None:
    assert extraction.same(wanted, given) is alike
