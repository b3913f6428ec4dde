"""A request on its way into the database: what is stored of it, under which fingerprint, however often it is tried."""

import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial

from opentelemetry import trace
from opentelemetry.trace import SpanKind

from gleaner.internal.v1 import stored_pb2
from gleaner.v1 import jobs_pb2 as pb
from gleaner.v1.documents_pb2 import InputDocument
from gleaner_api.documents import DocumentStore
from gleaner_api.patience import patiently
from gleaner_core.errors import DocumentGone, KeyReused
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


class Submission:
    """Stores requests as jobs. `submit` stores one job, and may be repeated with the same: a SubmitCoalescer's."""

    def __init__(self, submit: Callable[[NewJob], Awaitable[Submitted]], documents: DocumentStore) -> None:
        self._submit = submit
        self._documents = documents

    async def store(self, tenant_id: str, request: pb.SubmitJobRequest, digests: Sequence[bytes]) -> Submitted:
        """Stores the job, documents first, and tells who has the request now. Its id is made here, so that every try
        stores the same rows. `digests` are the documents', in their order.

        Raises KeyReused if the request id belongs to another request.
        """
        with span(_tracer, "submit extraction", kind=SpanKind.PRODUCER, attributes=_SUBMITTING) as made:
            job = new_job(tenant_id, request, digests)  # keeps this span's context
            if made.is_recording():
                made.set_attributes({names.TENANT: tenant_id, names.MESSAGE: str(job.id)})
            submitted = await self._with_documents(job, dict(zip(digests, request.request.documents, strict=True)))
        if submitted.fingerprint != job.fingerprint:
            raise KeyReused(str(submitted.id))
        return submitted

    async def _with_documents(self, job: NewJob, documents: Mapping[bytes, InputDocument]) -> Submitted:
        for left in reversed(range(_TRIES)):
            for digest, document in documents.items():
                await self._documents.store(job.tenant_id, document, digest)
            try:
                return await patiently(partial(self._submit, job))
            except DocumentGone:  # removed since it was stored: send it again
                self._documents.forget(job.tenant_id, documents)
                if not left:
                    raise
        raise AssertionError


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
