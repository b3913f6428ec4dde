"""`python -m bench.accuracy`: measures extraction and grounding on the labelled documents and prints a table."""

import argparse
import json
from pathlib import Path

from bench.accuracy import data, extraction, grounding, pack, rasterised
from bench.files import file_to_write


def main() -> None:
    """Measures what the command line asks for."""
    arguments = _arguments()
    results: dict[str, dict[str, object]] = {}
    if arguments.grounding:
        results = _grounding(arguments)
        _write(arguments, results)
        return
    for name in arguments.sets.split(","):
        samples = data.samples(name, arguments.data, arguments.limit)
        lines = name == "sroie" and arguments.words == "lines"
        read = data.labelled_lines if lines else data.cached(data.read, arguments.cache)
        report = extraction.measure(samples, read)
        results[name] = _printed(f"{name} (labelled lines)" if lines else name, report)
        if arguments.wrong:
            _print_wrong(report)
    _write(arguments, results)


def _grounding(arguments: argparse.Namespace) -> dict[str, dict[str, object]]:
    """Where true values are found, and absent ones are not."""
    read = data.cached(data.read, arguments.cache)
    results: dict[str, dict[str, object]] = {}
    print(grounding.HEADER)
    for name in arguments.sets.split(","):
        samples = data.samples(name, arguments.data, arguments.limit)
        lines = name == "sroie" and arguments.words == "lines"
        found = [(name, grounding.measure(samples, data.labelled_lines if lines else read))]
        if arguments.rasterised and name in rasterised.SETS:
            found += rasterised.measure(samples, arguments.cache)
        for title, figures in found:
            results[title] = {**figures.figures()}
            print(figures.row(title), flush=True)
            if arguments.wrong:
                print(*(f"      {miss}" for miss in figures.misses), sep="\n")
    if arguments.pack:
        print(pack.measure([s for name in ("nda", "adbuy") for s in data.samples(name, arguments.data)], read))
    return results


def _write(arguments: argparse.Namespace, results: dict[str, dict[str, object]]) -> None:
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=2) + "\n", "utf-8")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.accuracy", description=__doc__)
    parser.add_argument("--sets", default="sroie,einvoice,adbuy,i2d_invoice", help="comma-separated")
    parser.add_argument("--words", choices=("ocr", "lines"), default="ocr", help="what sroie is read by")
    parser.add_argument("--limit", type=int, help="at most so many documents of a set")
    parser.add_argument("--data", type=Path, default=data.DATA, help="folder of the sets")
    parser.add_argument("--cache", type=Path, help="folder that keeps what was read")
    parser.add_argument("--json", type=file_to_write, help="file to write the figures to")
    parser.add_argument("--grounding", action="store_true", help="measure the places of true values instead")
    parser.add_argument(
        "--rasterised", action="store_true", help="with --grounding: PDFs also as clean and noisy scans"
    )
    parser.add_argument("--pack", action="store_true", help="with --grounding: also one document of 290 pages")
    parser.add_argument("--wrong", action="store_true", help="print every wrong answer")
    return parser.parse_args()


def _printed(title: str, report: extraction.Report) -> dict[str, object]:
    sure, count = extraction.right_when_sure(report.answers)
    figures: dict[str, object] = {
        "f1": round(report.f1(), 4),
        "documents": report.documents,
        "fields": {name: round(report.f1(name), 4) for name in report.names()},
        "rows": [report.rows_right, report.rows_wanted, report.rows_given],
        "calibration_error": round(extraction.expected_calibration_error(report.answers), 4),
        "right_at_95": [round(sure, 4), count],
        "documents_per_second": round(report.documents / max(report.seconds, 1e-9), 1),
    }
    print(f"{title}: F1 {report.f1():.3f} on {len(report.answers)} fields of {report.documents} documents")
    print("   " + ", ".join(f"{name} {report.f1(name):.2f}" for name in report.names()))
    if report.rows_wanted:
        print(f"   rows exact {report.rows_right}/{report.rows_wanted}, given {report.rows_given}")
    print(
        f"   calibration error {figures['calibration_error']}, right at >= .95: {sure:.3f} of {count}, "
        f"{figures['documents_per_second']} documents/s"
    )
    return figures


def _print_wrong(report: extraction.Report) -> None:
    for answer in report.answers:
        if not answer.right:
            where = f"{answer.sample[:30]:30} {answer.name:16} {answer.confidence:.2f}"
            print(f"      {where} {answer.wanted!r} != {answer.given!r}")


if __name__ == "__main__":
    main()
