"""Whether a request can be carried out, asked before anything is stored: all findings at once."""

import hashlib
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from typing import Protocol

from gleaner.v1 import extraction_pb2, jobs_pb2, schemas_pb2
from gleaner.v1.documents_pb2 import InputDocument
from gleaner_api import outlines, schema_rules
from gleaner_api.documents import digest_of
from gleaner_api.turns import Turns
from gleaner_core.errors import ChildDied, DocumentError, Finding, InvalidRequest, WorkTimeout
from gleaner_core.webhook_urls import why_refused
from gleaner_rpc import rules

_REMEMBERED = 4096
_SCHEMA = "request.schema"


class Checker(Protocol):
    """Tells how many pages a document has, or raises what reading it would raise: a PageReader."""

    async def check(self, content: bytes, media_type: str = "") -> int:
        """How many pages."""
        ...


class DocumentCheck:
    """Looks whether documents can be read; remembers what it found, by their bytes."""

    def __init__(self, checker: Checker) -> None:
        self._checker = checker
        self._verdicts: OrderedDict[tuple[bytes, str], int | DocumentError] = OrderedDict()
        self._turns = Turns()

    async def pages(self, document: InputDocument, digest: bytes) -> int:
        """How many pages the document has; 0 if that could not be found out in time. Raises DocumentError."""
        key = (digest, document.media_type)
        if (verdict := self._verdicts.get(key)) is None:
            async with self._turns.at(key):
                if (verdict := self._verdicts.get(key)) is None:
                    verdict = await self._look(document)
                    self._remember(key, verdict)
        if isinstance(verdict, DocumentError):
            raise type(verdict)(str(verdict))
        return verdict

    async def _look(self, document: InputDocument) -> int | DocumentError:
        try:
            return await self._checker.check(document.content, document.media_type)
        except DocumentError as error:
            return error.with_traceback(None)
        except (ChildDied, WorkTimeout):
            return 0  # more than a look is needed: the worker has the time and the room for it

    def _remember(self, key: tuple[bytes, str], verdict: int | DocumentError) -> None:
        self._verdicts[key] = verdict
        if len(self._verdicts) > _REMEMBERED:
            self._verdicts.popitem(last=False)


class SchemaCheck:
    """Everything that is wrong with a schema; remembers those with which nothing is, by their bytes."""

    def __init__(self) -> None:
        self._good: OrderedDict[bytes, None] = OrderedDict()

    def findings(self, schema: schemas_pb2.Schema) -> list[Finding]:
        """All findings, by their place in a request."""
        digest = hashlib.sha256(schema.SerializeToString()).digest()
        if digest in self._good:
            return []
        found = [*rules.findings(schema, _SCHEMA), *schema_rules.findings(schema, _SCHEMA)]
        if not found:
            self._good[digest] = None
            if len(self._good) > _REMEMBERED:
                self._good.popitem(last=False)
        return found


class RequestCheck:
    """Everything that SubmitJob, Extract and ValidateRequest say of a request."""

    def __init__(
        self,
        documents: DocumentCheck,
        *,
        extractors: Sequence[str],
        max_pages: int,
        allow_private: bool,
        signs_webhooks: bool,
    ) -> None:
        self._documents = documents
        self._schemas = SchemaCheck()
        self._extractors = extractors
        self._max_pages = max_pages
        self._allow_private = allow_private
        self._signs_webhooks = signs_webhooks

    async def admitted(self, message: jobs_pb2.SubmitJobRequest) -> list[bytes]:
        """The digests of a submit's documents, in their order. Raises InvalidRequest with all that is wrong with it."""
        digests = [await digest_of(document.content) for document in message.request.documents]
        if findings := await self.of_submit(message, digests):
            raise InvalidRequest(findings)
        return digests

    async def of_submit(self, message: jobs_pb2.SubmitJobRequest, digests: Sequence[bytes]) -> list[Finding]:
        """What is wrong with a submit. `digests` are its documents', in their order."""
        return [
            *outlines.findings_of_call(message),
            *self._of_request(message.request),
            *_missing_documents(message.request),
            *self._of_callback(message.callback_url),
            *await self._of_documents(message.request, digests),
        ]

    def of_call(self, message: extraction_pb2.ExtractRequest) -> list[Finding]:
        """What is wrong with a synchronous call; its documents are the worker's to judge, who reads them at once."""
        return [
            *outlines.findings_of_call(message),
            *self._of_request(message.request),
            *_missing_documents(message.request),
        ]

    async def of_request(self, request: extraction_pb2.ExtractionRequest) -> list[Finding]:
        """What is wrong with a request; its documents may be left out."""
        digests = [await digest_of(document.content) for document in request.documents]
        return [
            *outlines.findings_of_request(request),
            *self._of_request(request),
            *await self._of_documents(request, digests),
        ]

    def _of_request(self, request: extraction_pb2.ExtractionRequest) -> Iterator[Finding]:
        if request.HasField("schema"):
            yield from self._schemas.findings(request.schema)
        yield from _document_names(request)
        wanted = request.options.extractor
        if wanted and wanted not in self._extractors:
            known = ", ".join(self._extractors)
            yield Finding("request.options.extractor", "UNKNOWN_EXTRACTOR", f"is not set up here; there is: {known}")

    def _of_callback(self, url: str) -> Iterator[Finding]:
        if url and (why := why_refused(url, allow_private=self._allow_private)):
            yield Finding("callback_url", "BAD_URL", why)
        if url and not self._signs_webhooks:
            text = "is refused where webhooks cannot be signed: set GLEANER_WEBHOOK_SECRETS for api and worker"
            yield Finding("callback_url", "WEBHOOKS_NOT_SIGNED", f"{text}, or follow the job with WatchJob")

    async def _of_documents(self, request: extraction_pb2.ExtractionRequest, digests: Sequence[bytes]) -> list[Finding]:
        found, pages = [], 0
        for i, (document, digest) in enumerate(zip(request.documents, digests, strict=True)):
            if not document.content:
                continue  # the rules have said so
            try:
                pages += await self._documents.pages(document, digest)
            except DocumentError as error:
                found.append(Finding(f"request.documents[{i}].content", error.reason, str(error)))
        if pages > self._max_pages:
            text = f"have {pages} pages in all; at most {self._max_pages} are allowed in one request"
            found.append(Finding("request.documents", "TOO_MANY_PAGES", text))
        return found


def _missing_documents(request: extraction_pb2.ExtractionRequest) -> list[Finding]:
    if request.documents:
        return []
    return [Finding("request.documents", "REQUIRED", "there must be at least one")]


def _document_names(request: extraction_pb2.ExtractionRequest) -> Iterator[Finding]:
    seen: set[str] = set()
    for i, document in enumerate(request.documents):
        where = f"request.documents[{i}]"
        if document.name and document.name in seen:
            yield Finding(f"{where}.name", "DUPLICATE_NAME", "another document has this name; rename one")
        seen.add(document.name)
        if document.document_type and document.document_type not in _types(request):
            yield Finding(f"{where}.document_type", "UNKNOWN_DOCUMENT_TYPE", "is not in the schema's document_types")


def _types(request: extraction_pb2.ExtractionRequest) -> set[str]:
    return {kind.name for kind in request.schema.document_types}
