"""What callers hand in, as the API wants it: documents from files, names of jobs."""

import asyncio
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TypeAlias

from gleaner.v1.documents_pb2 import InputDocument
from gleaner.v1.extraction_pb2 import ExtractionOptions, ExtractionRequest
from gleaner.v1.schemas_pb2 import Schema

Source: TypeAlias = str | os.PathLike[str] | InputDocument
"""A path, or a document that is in memory already."""


def document(source: str | os.PathLike[str] | bytes, *, name: str = "", document_type: str = "") -> InputDocument:
    """The file at a path, or the bytes given, as a document; bytes need a name."""
    if isinstance(source, bytes):
        if not name:
            raise ValueError("a document given as bytes needs a name")
        return InputDocument(name=name, content=source, document_type=document_type)
    path = Path(source)
    return InputDocument(name=name or path.name, content=path.read_bytes(), document_type=document_type)


def document_names(paths: Iterable[str | os.PathLike[str]]) -> list[str]:
    """A name for each path, unique in the request: the file's name, or the whole path where two files share theirs."""
    given = [Path(path) for path in paths]
    count = Counter(path.name for path in given)
    return [path.name if count[path.name] == 1 else str(path) for path in given]


def job_name(job: str) -> str:
    """`jobs/{uuid}`, from that or from the UUID alone."""
    return job if job.startswith("jobs/") else f"jobs/{job}"


async def extraction_request(
    sources: Sequence[Source], schema: Schema, options: ExtractionOptions | None
) -> ExtractionRequest:
    """The request, its files read in a thread."""
    documents = await asyncio.to_thread(_read, sources)
    return ExtractionRequest(documents=documents, schema=schema, options=options)


def _read(sources: Sequence[Source]) -> list[InputDocument]:
    names = iter(document_names(source for source in sources if not isinstance(source, InputDocument)))
    return [source if isinstance(source, InputDocument) else document(source, name=next(names)) for source in sources]
