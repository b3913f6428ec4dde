"""How fast and how well documents are read.

Text layers: pages a second, words with boxes, one process. OCR of labelled receipts: pages a second, F1 of words
(multisets of upper-case tokens), recall of tokens with a digit, and how many of the labelled lines are covered by the
boxes of the words read in them (IoU >= .5).
"""

import argparse
import json
import resource
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gleaner_documents import OcrMode, Page, ReaderSettings, Word, read_now

DATA = Path(__file__).parents[2] / "shared" / "data"
SETS = ("adbuy", "deep", "einvoice", "i2d_invoice", "nda")

Box = tuple[float, float, float, float]


def main() -> None:
    options = _options()
    if not options.data.is_dir():
        raise SystemExit(f"there is no data at {options.data}")
    if not options.ocr_only:
        _text_layers(options.data, options.limit)
    if not options.text_only:
        _ocr(options.data, options.limit, ReaderSettings(ocr_threads=options.threads), options.misses)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA, help="the folder of the sets")
    parser.add_argument("--limit", type=int, help="documents of a set at most, for a smoke run")
    parser.add_argument("--threads", type=int, default=2, help="threads of the OCR")
    parser.add_argument("--text-only", action="store_true")
    parser.add_argument("--ocr-only", action="store_true")
    parser.add_argument("--misses", action="store_true", help="print the tokens that were misread")
    return parser.parse_args()


def _text_layers(data: Path, limit: int | None) -> None:
    documents = [path.read_bytes() for name in SETS for path in sorted((data / name).glob("*.pdf"))[:limit]]
    pages = words = 0
    begun = time.perf_counter()
    for content in documents:
        outcome = read_now("document", content, ocr=OcrMode.NEVER)
        pages += len(outcome.document.pages)
        words += sum(len(page.words) for page in outcome.document.pages)
    took = time.perf_counter() - begun
    print(f"text layer   {pages} pages, {words} words: {pages / took:.0f} pages/s, {words / took:,.0f} words/s")


def _ocr(data: Path, limit: int | None, settings: ReaderSettings, misses: bool) -> None:
    right = read = labelled = worded = worded_all = digits_right = digits = lines = covered = pages = 0
    shares: list[float] = []
    took = 0.0
    for path in sorted((data / "sroie").glob("*.jpg"))[:limit]:
        truth = json.loads(path.with_suffix(".json").read_text())["lines"]
        begun = time.perf_counter()
        [page] = read_now(path.name, path.read_bytes(), settings=settings).document.pages
        took += time.perf_counter() - begun
        pages += 1
        said = Counter(word.text.upper() for word in page.words)
        meant = Counter(token.upper() for line in truth for token in line[5].split())
        both = said & meant
        right, read, labelled = right + both.total(), read + said.total(), labelled + meant.total()
        worded, worded_all = worded + _with_letter(both), worded_all + _with_letter(said) + _with_letter(meant)
        digits_right, digits = digits_right + _with_digit(both), digits + _with_digit(meant)
        overlaps = [_covered(page, line) for line in truth]
        shares += overlaps
        lines, covered = lines + len(overlaps), covered + sum(share >= 0.5 for share in overlaps)
        if misses:
            f1 = 2 * both.total() / max(said.total() + meant.total(), 1)
            print(f"{path.stem} {f1:.3f}  read {_listed(said - meant)}\n          meant {_listed(meant - said)}")
    precision, recall = right / max(read, 1), right / max(labelled, 1)
    print(f"OCR          {pages} pages: {pages / took:.2f} pages/s with {settings.ocr_threads} threads")
    print(f"words        P {precision:.3f} R {recall:.3f} F1 {2 * right / max(read + labelled, 1):.3f}")
    print(f"  not punctuation alone    F1 {2 * worded / max(worded_all, 1):.3f}")
    print(f"with digits  R {digits_right / max(digits, 1):.3f}")
    print(f"lines        {covered / max(lines, 1):.3f} with IoU >= .5, mean {sum(shares) / max(lines, 1):.3f}")
    print(f"memory       {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MiB at most")


def _with_digit(tokens: Counter[str]) -> int:
    return sum(count for token, count in tokens.items() if any(c.isdigit() for c in token))


def _with_letter(tokens: Counter[str]) -> int:
    return sum(count for token, count in tokens.items() if any(c.isalnum() for c in token))


def _listed(tokens: Counter[str]) -> str:
    return " ".join(tokens.elements())


def _covered(page: Page, line: list[Any]) -> float:
    """IoU of a labelled line with the hull of the words whose middle lies in it."""
    truth: Box = (line[1], line[2], line[3], line[4])
    inside = [word for word in page.words if _holds(truth, word)]
    return _iou(truth, _hull(inside)) if inside else 0.0


def _holds(box: Box, word: Word) -> bool:
    x, y = (word.x0 + word.x1) / 2, (word.y0 + word.y1) / 2
    return box[0] <= x <= box[2] and box[1] <= y <= box[3]


def _hull(words: Sequence[Word]) -> Box:
    return (
        min(w.x0 for w in words),
        min(w.y0 for w in words),
        max(w.x1 for w in words),
        max(w.y1 for w in words),
    )


def _iou(a: Box, b: Box) -> float:
    wide = max(min(a[2], b[2]) - max(a[0], b[0]), 0)
    high = max(min(a[3], b[3]) - max(a[1], b[1]), 0)
    both = wide * high
    return both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both)


if __name__ == "__main__":
    main()
