"""What callers hand in, as the API wants it: documents from files, names of jobs."""

import asyncio
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

from gleaner.v1.documents_pb2 import InputDocument
from gleaner.v1.extraction_pb2 import ExtractionOptions, ExtractionRequest
from gleaner.v1.jobs_pb2 import BatchSubmitJobsRequest, SubmitJobRequest
from gleaner.v1.schemas_pb2 import Schema
from gleaner_client.channel import MAX_MESSAGE

_JOBS_A_CALL = 1000
_FRAME = 8  # bytes that a request takes in a batch beside its own

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


def endpoint_name(endpoint: str) -> str:
    """`endpoints/{uuid}`, from that or from the UUID alone."""
    return endpoint if endpoint.startswith("endpoints/") else f"endpoints/{endpoint}"


async def extraction_request(
    sources: Sequence[Source], schema: Schema, options: ExtractionOptions | None
) -> ExtractionRequest:
    """The request, its files read in a thread."""
    documents = await asyncio.to_thread(_read, sources)
    return ExtractionRequest(documents=documents, schema=schema, options=options)


async def submit_request(
    documents: Sequence[Source],
    schema: Schema,
    *,
    options: ExtractionOptions | None = None,
    request_id: str = "",
    callback_url: str = "",
    metadata: Mapping[str, str] | None = None,
    correlation_id: str = "",
) -> SubmitJobRequest:
    """What `submit` sends, for `submit_many`; files are read in a thread."""
    return SubmitJobRequest(
        request=await extraction_request(documents, schema, options),
        request_id=request_id,
        callback_url=callback_url,
        metadata=metadata,
        correlation_id=correlation_id,
    )


def batches(requests: Sequence[SubmitJobRequest]) -> Iterator[BatchSubmitJobsRequest]:
    """The requests in their order, as many a call as it may have; one that is too large for any goes alone."""
    batch, size = BatchSubmitJobsRequest(), 0
    for request in requests:
        more = request.ByteSize() + _FRAME
        if batch.requests and (len(batch.requests) == _JOBS_A_CALL or size + more > MAX_MESSAGE):
            yield batch
            batch, size = BatchSubmitJobsRequest(), 0
        batch.requests.append(request)
        size += more
    if batch.requests:
        yield batch


def _read(sources: Sequence[Source]) -> list[InputDocument]:
    names = iter(document_names(source for source in sources if not isinstance(source, InputDocument)))
    return [source if isinstance(source, InputDocument) else document(source, name=next(names)) for source in sources]
