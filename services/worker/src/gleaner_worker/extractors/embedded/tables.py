"""Tables."""

from collections.abc import Mapping, Sequence

from gleaner.v1 import schemas_pb2
from gleaner_worker.extractors.embedded.candidates import Candidate
from gleaner_worker.extractors.embedded.search import Search


def rows_for(search: Search, group: schemas_pb2.FieldGroup, field: schemas_pb2.Field) -> Sequence[Mapping[str, Candidate]]:
    """The rows."""
    return []
