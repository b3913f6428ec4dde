"""A request on its way into the database: what is stored of it, under which fingerprint, however often it is tried."""

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from opentelemetry import trace
from opentelemetry.trace import Span, SpanKind

from gleaner.internal.v1 import stored_pb2
from gleaner.v1 import jobs_pb2 as pb
from gleaner.v1.documents_pb2 import InputDocument
from gleaner_api.documents import DocumentStore
from gleaner_api.patience import patiently
from gleaner_core.errors import DocumentGone, KeyReused, Unavailable
from gleaner_core.ids import uuid7
from gleaner_repo import NewJob, Submitted
from gleaner_telemetry import kept, names, span

_tracer = trace.get_tracer("gleaner.api")
_TRIES = 3
_SUBMITTING = {
    names.SYSTEM: "gleaner",
    names.DESTINATION: "extraction",
    names.OPERATION: "send",
    names.OPERATION_NAME: "submit",
}


class Submits(Protocol):
    """Stores jobs, and may be asked to store the same ones again: a SubmitCoalescer."""

    async def submit(self, job: NewJob) -> Submitted:
        """What became of it."""
        ...

    async def submit_all(self, jobs: Sequence[NewJob]) -> list[Submitted | BaseException]:
        """What became of each."""
        ...


@dataclass(frozen=True, slots=True)
class Prepared:
    """A job to store, whose documents, by their digests, are in the database."""

    job: NewJob
    documents: Mapping[bytes, InputDocument]


class Submission:
    """Stores requests as jobs."""

    def __init__(self, submits: Submits, documents: DocumentStore) -> None:
        self._submits = submits
        self._documents = documents

    async def store(self, tenant_id: str, request: pb.SubmitJobRequest, digests: Sequence[bytes]) -> Submitted:
        """Stores the job, documents first, and tells who has the request now. `digests` are the documents', in their
        order.

        Raises KeyReused if the request id belongs to another request.
        """
        with span(_tracer, "submit extraction", kind=SpanKind.PRODUCER, attributes=_SUBMITTING) as made:
            return await self._stored(await self._prepared(tenant_id, request, digests, made))

    async def prepare(self, tenant_id: str, request: pb.SubmitJobRequest, digests: Sequence[bytes]) -> Prepared:
        """What `store_all` stores, its documents stored already."""
        with span(_tracer, "submit extraction", kind=SpanKind.PRODUCER, attributes=_SUBMITTING) as made:
            return await self._prepared(tenant_id, request, digests, made)

    async def store_all(self, prepared: Sequence[Prepared]) -> list[Submitted | BaseException]:
        """Stores many jobs, and tells of each what `store` returns or raises."""
        answers = await self._submits.submit_all([one.job for one in prepared])
        again = [n for n, answer in enumerate(answers) if isinstance(answer, Unavailable | DocumentGone)]
        told = await asyncio.gather(*(self._stored(prepared[n]) for n in again), return_exceptions=True)
        for n, answer in zip(again, told, strict=True):
            answers[n] = answer
        return [
            KeyReused(str(answer.id)) if isinstance(answer, Submitted) and _is_anothers(answer, one.job) else answer
            for one, answer in zip(prepared, answers, strict=True)
        ]

    async def _prepared(
        self, tenant_id: str, request: pb.SubmitJobRequest, digests: Sequence[bytes], made: Span
    ) -> Prepared:
        """Its id is made here, so that every try stores the same rows."""
        job = new_job(tenant_id, request, digests)  # keeps the present span's context
        if made.is_recording():
            made.set_attributes({names.TENANT: tenant_id, names.MESSAGE: str(job.id)})
        prepared = Prepared(job, dict(zip(digests, request.request.documents, strict=True)))
        await self._store_documents(prepared)
        return prepared

    async def _store_documents(self, prepared: Prepared) -> None:
        for digest, document in prepared.documents.items():
            await self._documents.store(prepared.job.tenant_id, document, digest)

    async def _stored(self, prepared: Prepared) -> Submitted:
        job = prepared.job
        for left in reversed(range(_TRIES)):
            try:
                submitted = await patiently(partial(self._submits.submit, job))
            except DocumentGone:  # removed since it was stored: send it again
                self._documents.forget(job.tenant_id, prepared.documents)
                if not left:
                    raise
                await self._store_documents(prepared)
            else:
                if _is_anothers(submitted, job):
                    raise KeyReused(str(submitted.id))
                return submitted
        raise AssertionError


def _is_anothers(submitted: Submitted, job: NewJob) -> bool:
    return submitted.fingerprint != job.fingerprint


def new_job(tenant_id: str, request: pb.SubmitJobRequest, digests: Sequence[bytes]) -> NewJob:
    """The job to store, with the digests of its documents in the request's order."""
    asked = request.request
    stored = stored_pb2.StoredRequest(schema=asked.schema, options=asked.options)
    for document, digest in zip(asked.documents, digests, strict=True):
        stored.documents.add(
            name=document.name, sha256=digest, media_type=document.media_type, document_type=document.document_type
        )
    about = stored_pb2.JobAbout(
        correlation_id=request.correlation_id, documents=[document.name for document in asked.documents]
    )
    if request.metadata:  # an empty one costs as much as all the rest
        about.metadata.update(request.metadata)
    parts = [message.SerializeToString(deterministic=True) for message in (stored, about)]
    return NewJob(
        id=uuid7(),
        tenant_id=tenant_id,
        fingerprint=_fingerprint(*parts, request.callback_url.encode()),
        request=parts[0],
        about=parts[1],
        request_key=request.request_id or None,
        callback_url=request.callback_url or None,
        trace_context=kept(),
        digests=tuple(dict.fromkeys(digests)),
    )


def _fingerprint(*parts: bytes) -> bytes:
    """SHA-256 of all that makes two requests the same; the lengths keep one part from passing for the next."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8))
        digest.update(part)
    return digest.digest()
