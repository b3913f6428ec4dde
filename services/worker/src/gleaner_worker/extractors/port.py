"""The port between the pipeline and what finds values: with a model, or without."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from gleaner.v1 import extraction_pb2, results_pb2
from gleaner_documents.pages import ReadDocument


@dataclass(frozen=True, slots=True)
class Extraction:
    """What an extractor found: a result for each document in the request's order, and what it took.

    A result has every field of its document type, found or not; `pages` and validations are for the pipeline to fill.
    """

    documents: tuple[results_pb2.DocumentResult, ...]
    problems: tuple[results_pb2.Problem, ...] = ()
    input_tokens: int = 0
    output_tokens: int = 0


class Extractor(Protocol):
    """Finds the values of a schema's fields on the pages that were read."""

    @property
    def name(self) -> str:
        """What requests call it, and results are signed with: `embedded`, `openai:gpt-5`."""
        ...

    async def extract(self, documents: Sequence[ReadDocument], request: extraction_pb2.ExtractionRequest) -> Extraction:
        """The values found; `documents` are those of the request, read, in its order.

        Raises WorkError, whose class says whether another attempt may help.
        """
        ...
