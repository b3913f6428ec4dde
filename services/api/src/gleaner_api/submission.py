"""A request on its way into the database: what is stored of it, under which fingerprint, however often it is tried."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial
from typing import TypeVar

from gleaner.internal.v1 import stored_pb2
from gleaner.v1 import jobs_pb2 as pb
from gleaner_api.validation import digest_of
from gleaner_core.backoff import backoff
from gleaner_core.errors import KeyReused, Unavailable
from gleaner_core.ids import uuid7
from gleaner_repo import DocumentRepository, JobRepository, NewJob, Submitted
from gleaner_telemetry import traceparent

T = TypeVar("T")
_TRIES = 4
_BASE, _CAP = timedelta(milliseconds=100), timedelta(seconds=2)


async def patiently(call: Callable[[], Awaitable[T]]) -> T:
    """The answer of a call that may be repeated, tried again a few times while the database does not answer."""
    for attempt in range(1, _TRIES):
        try:
            return await call()
        except Unavailable:
            await asyncio.sleep(backoff(attempt, _BASE, _CAP).total_seconds())
    return await call()


class Submission:
    """Stores requests as jobs."""

    def __init__(self, jobs: JobRepository, documents: DocumentRepository) -> None:
        self._jobs = jobs
        self._documents = documents

    async def store(self, tenant_id: str, request: pb.SubmitJobRequest) -> Submitted:
        """The job that has the request, documents first. Its id is made here, so that every try stores the same rows.

        Raises KeyReused if the request id belongs to another request.
        """
        digests = [await digest_of(document.content) for document in request.request.documents]
        job = new_job(tenant_id, request, digests)
        for document in request.request.documents:
            await patiently(partial(self._documents.put, tenant_id, document.content, document.media_type))
        [submitted] = await patiently(lambda: self._jobs.submit([job]))
        if submitted.fingerprint != job.fingerprint:
            raise KeyReused(str(submitted.id))
        return submitted


def new_job(tenant_id: str, request: pb.SubmitJobRequest, digests: list[bytes]) -> NewJob:
    """The job to store, with the digests of its documents in the request's order."""
    asked = request.request
    stored = stored_pb2.StoredRequest(schema=asked.schema, options=asked.options)
    for document, digest in zip(asked.documents, digests, strict=True):
        stored.documents.add(
            name=document.name, sha256=digest, media_type=document.media_type, document_type=document.document_type
        )
    about = stored_pb2.JobAbout(
        correlation_id=request.correlation_id,
        metadata=request.metadata,
        documents=[document.name for document in asked.documents],
    )
    parts = [message.SerializeToString(deterministic=True) for message in (stored, about)]
    return NewJob(
        id=uuid7(),
        tenant_id=tenant_id,
        fingerprint=_fingerprint(*parts, request.callback_url.encode()),
        request=parts[0],
        about=parts[1],
        request_key=request.request_id or None,
        callback_url=request.callback_url or None,
        trace_context=traceparent() or None,
        digests=tuple(dict.fromkeys(digests)),
    )


def _fingerprint(*parts: bytes) -> bytes:
    """SHA-256 of all that makes two requests the same; the lengths keep one part from passing for the next."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8))
        digest.update(part)
    return digest.digest()
