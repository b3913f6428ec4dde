"""One long document made of many: 290 pages of real text layers, 200 labelled values, located in one go."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import cycle

from bench.accuracy import grounding
from bench.accuracy.data import SCHEMA_OF, Sample, schema
from gleaner.v1 import results_pb2, schemas_pb2
from gleaner_bbox_worker.grounding import ground
from gleaner_documents.pages import Page, ReadDocument

PAGES, VALUES = 290, 200


def measure(samples: Sequence[Sample], read: Callable[[Sample], ReadDocument]) -> str:
    """Located in a pack of so many pages, and the time it took, as a line to print."""
    pages: list[Page] = []
    wanted: list[tuple[Sample, grounding.Label]] = []
    for sample in cycle(samples):
        found = read(sample).pages[: PAGES - len(pages)]
        if not found:
            break
        if len(wanted) < VALUES and sample not in [known for known, _ in wanted]:
            wanted += [(sample, label) for label in grounding.labels_of(sample) if "[" not in label.path]
        pages += [replace(page, number=len(pages) + number) for number, page in enumerate(found, 1)]
    wanted = wanted[:VALUES]
    result, asked = _request(wanted)
    started, cpu = time.perf_counter(), time.process_time()
    answer = ground(result, asked, [ReadDocument("pack.pdf", tuple(pages))])
    seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    states = [leaf.provenance.state for leaf in answer.documents[0].fields]
    located = states.count(results_pb2.GROUNDING_STATE_GROUNDED)
    return (
        f"pack: {len(pages)} pages, {sum(len(page.words) for page in pages)} words, {located}/{len(wanted)} values "
        f"found in {seconds:.1f} s ({cpu:.1f} s CPU, {1000 * cpu / max(len(wanted), 1):.1f} ms a value)"
    )


def _request(
    wanted: Sequence[tuple[Sample, grounding.Label]],
) -> tuple[results_pb2.ExtractionResult, schemas_pb2.Schema]:
    """All values as fields of one document type, each of a group of its own document."""
    asked = schemas_pb2.Schema(document_types=[schemas_pb2.DocumentType(name="pack")])
    document = results_pb2.DocumentResult(document="pack.pdf", document_type="pack")
    groups: dict[str, schemas_pb2.FieldGroup] = {}
    for sample, label in wanted:
        known = {
            f"{group.name}.{entry.name}": entry
            for group in schema(SCHEMA_OF[sample.set]).document_types[0].field_groups
            for entry in group.fields
        }
        if sample.name not in groups:
            groups[sample.name] = asked.document_types[0].field_groups.add(name=f"paper_{len(groups)}")
        group = groups[sample.name]
        entry = group.fields.add()
        entry.CopyFrom(
            known[label.path] if label.path in known else grounding.guessed(label.path.rpartition(".")[2], label.value)
        )
        document.fields.append(grounding.as_result(f"{group.name}.{entry.name}", entry, label.value))
    return results_pb2.ExtractionResult(documents=[document]), asked
