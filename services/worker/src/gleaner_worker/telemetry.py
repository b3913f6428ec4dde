"""What the worker counts by wrapping what it uses."""

from gleaner_documents import OcrMode, ReadOutcome
from gleaner_telemetry import metrics, names
from gleaner_worker.pipeline import Reader


class CountedReader:
    """A reader whose pages are counted, by where their text came from."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._pages = metrics.PAGES.make()

    async def read(
        self, name: str, content: bytes, *, media_type: str, ocr: OcrMode, max_pages: int | None
    ) -> ReadOutcome:
        """As the reader's."""
        outcome = await self._reader.read(name, content, media_type=media_type, ocr=ocr, max_pages=max_pages)
        for page in outcome.document.pages:
            self._pages.add(1, {names.TEXT_SOURCE: page.source.value.lower()})
        return outcome
