"""The labelled documents: what is printed on them, what they hold, and how they are read.

The sets lie beside the repository in `../shared/data`, one folder each: `<name>.pdf` or `.jpg`, and `<name>.json` with
the labels. Reading is cached, for recognising a scan takes a second or two.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from google.protobuf import json_format

from gleaner.internal.v1 import pages_pb2
from gleaner.v1 import schemas_pb2
from gleaner_documents import artefact
from gleaner_documents.pages import Page, ReadDocument, TextSource, Word
from gleaner_documents.reading import read_now

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT.parent / "shared" / "data"
SCHEMAS = ROOT / "bench" / "schemas"
SETS = ("sroie", "einvoice", "adbuy", "i2d_invoice", "nda")
SCHEMA_OF = {"sroie": "receipt", "einvoice": "invoice", "i2d_invoice": "invoice", "adbuy": "adbuy", "nda": "nda"}


@dataclass(frozen=True, slots=True)
class Sample:
    """A document and its labels. `labels` is the whole label file, as the data's README describes it."""

    set: str
    name: str
    path: Path
    labels: dict[str, Any]

    @property
    def fields(self) -> dict[str, Any]:
        """Value by field name; a list for a field with several."""
        fields: dict[str, Any] = self.labels["fields"]
        return fields

    @property
    def rows(self) -> list[dict[str, str]]:
        """The line items; empty where none are labelled."""
        rows: list[dict[str, str]] = self.labels.get("fields_list", {}).get("line_items", [])
        return rows


def samples(name: str, data: Path = DATA, limit: int | None = None) -> list[Sample]:
    """The documents of a set, in the order of their names."""
    found = []
    for label_file in sorted((data / name).glob("*.json")):
        beside = label_file.parent.glob(f"{label_file.stem}.*")
        document = next((p for p in beside if p.suffix in (".pdf", ".jpg", ".png")), label_file)
        found.append(Sample(name, label_file.stem, document, json.loads(label_file.read_text("utf-8"))))
    return found[:limit]


def schema(name: str) -> schemas_pb2.Schema:
    """The schema of this name in bench/schemas."""
    text = (SCHEMAS / f"{name}.json").read_text("utf-8")
    return json_format.Parse(text, schemas_pb2.Schema())


def labelled_lines(sample: Sample) -> ReadDocument:
    """An SROIE receipt by its labelled text lines: what a perfect reading would give.

    A line's box is shared out among its words by their length.
    """
    words: list[Word] = []
    for number, (_, x0, y0, x1, y1, text) in enumerate(sample.labels["lines"]):
        width, at = (x1 - x0) / max(len(text), 1), 0
        for part in text.split():
            at = text.index(part, at)
            words.append(Word(part, x0 + at * width, y0, x0 + (at + len(part)) * width, y1, number))
            at += len(part)
    width, height = sample.labels["page_size"]
    return ReadDocument(sample.path.name, (Page(1, width, height, TextSource.OCR, tuple(words)),))


def read(sample: Sample) -> ReadDocument:
    """The document as the suite reads it: text layer, or OCR of a scan. Embedded XML is not looked at."""
    return read_now(sample.path.name, sample.path.read_bytes()).document


def cached(read: Callable[[Sample], ReadDocument], cache: Path | None) -> Callable[[Sample], ReadDocument]:
    """`read`, with its answers kept in the folder `cache`."""
    if cache is None:
        return read

    def through_cache(sample: Sample) -> ReadDocument:
        file = cache / sample.set / f"{sample.name}.pb"
        if file.exists():
            [document] = artefact.from_pb(pages_pb2.ReadDocuments.FromString(file.read_bytes()))
            return document
        document = read(sample)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(artefact.to_pb([document]).SerializeToString())
        return document

    return through_cache
