"""Reading documents in child processes: a hostile one kills a child, not the service."""

import asyncio
from types import TracebackType
from typing import Self

from gleaner.internal.v1 import pages_pb2
from gleaner_children import ChildPool, Header
from gleaner_core.errors import DocumentTooLarge
from gleaner_documents import artefact
from gleaner_documents.reading import OcrMode, OnPage, PageProblem, ReadOutcome, ignored
from gleaner_documents.settings import ReaderSettings
from gleaner_documents.tracing import PageSpans


class PageReader:
    """Reads documents in `settings.children` child processes, each one document at a time; others wait their turn.

    Children stay, with their models loaded; one that dies, takes too long or loses its caller is replaced.
    """

    def __init__(self, settings: ReaderSettings | None = None) -> None:
        self._settings = settings or ReaderSettings()
        self.children = ChildPool(
            "gleaner_documents.child",
            self._settings.limits,
            work="reading the document",
            children=self._settings.children,
            arguments=[self._settings.model_dump_json()],
        )

    async def __aenter__(self) -> Self:
        await self.children.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.children.__aexit__(kind, error, traceback)

    async def read(
        self,
        name: str,
        content: bytes,
        *,
        media_type: str = "",
        ocr: OcrMode = OcrMode.AUTO,
        max_pages: int | None = None,
        on_page: OnPage = ignored,
    ) -> ReadOutcome:
        """The pages of a document; `on_page` hears the number of each when it has been read.

        Raises a DocumentError, ChildDied or WorkTimeout. Cancelling ends the child that works on it.
        """
        self._check_size(content)
        asked = {"ask": "read", "name": name, "media_type": media_type, "ocr": ocr, "max_pages": max_pages}
        spans = PageSpans()

        def heard(note: Header) -> None:
            spans.heard(note)
            on_page(note["page"])

        header, body = await self.children.ask(asked, content, heard)
        # A second and more of Python for thousands of pages: beside the event loop.
        [document] = await asyncio.to_thread(lambda: artefact.from_pb(pages_pb2.ReadDocuments.FromString(body)))
        problems = tuple(PageProblem(*problem) for problem in header["problems"])
        return ReadOutcome(document, header["ocr_pages"], problems)

    async def check(self, content: bytes, media_type: str = "") -> int:
        """How many pages the document has. Raises what `read` would raise before the first page."""
        self._check_size(content)
        header, _ = await self.children.ask({"ask": "check", "media_type": media_type}, content)
        return int(header["pages"])

    def _check_size(self, content: bytes) -> None:
        most = self._settings.max_document_bytes
        if len(content) > most:
            raise DocumentTooLarge(f"the document has {len(content):,} bytes; at most {most:,} are read")
