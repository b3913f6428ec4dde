"""Which type of document this is: by the words that stand on such documents, and by how many labels are found."""

from collections.abc import Sequence

from gleaner.v1 import schemas_pb2
from gleaner_values import fold
from gleaner_worker.extractors.embedded.cells import Sheet
from gleaner_worker.extractors.embedded.labels import Labels
from gleaner_worker.extractors.embedded.targets import targets

_HEAD = 25  # cells at the top, where a document says what it is


def choose_type(
    sheet: Sheet, types: Sequence[schemas_pb2.DocumentType], named: str = ""
) -> tuple[schemas_pb2.DocumentType, float]:
    """The type that fits best, and how sure that is; 1 if the caller named it."""
    for document_type in types:
        if document_type.name == named:
            return document_type, 1.0
    if len(types) == 1:
        return types[0], 1.0
    scores = [_fit(sheet, document_type) for document_type in types]
    best = max(range(len(types)), key=lambda i: scores[i])
    total = sum(scores)
    return types[best], round(scores[best] / total, 4) if total else 1 / len(types)


def _fit(sheet: Sheet, document_type: schemas_pb2.DocumentType) -> float:
    head = " ".join(cell.folded for cell in sheet.cells[:_HEAD])
    whole = " ".join(cell.folded for cell in sheet.cells)
    hints = [fold(hint) for hint in (*document_type.hints, document_type.name.replace("_", " "))]
    by_hint = sum(3.0 * (_stands(hint, head)) + 1.0 * (_stands(hint, whole)) for hint in hints) / max(len(hints), 1)
    wanted = targets(document_type)
    keys = {key for target in wanted for key in target.keys}
    labels = Labels(sheet, keys)
    by_label = sum(any(labels.with_key(key) for key in target.keys) for target in wanted) / max(len(wanted), 1)
    return float((by_hint + by_label) ** 2)


def _stands(hint: str, text: str) -> bool:
    return f" {hint} " in f" {text} " or (len(hint) > 6 and hint in text)
