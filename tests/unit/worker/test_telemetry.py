"""What the worker counts by wrapping what it uses."""

from gleaner_documents import OcrMode, PageReader
from gleaner_telemetry import metrics
from gleaner_worker.telemetry import CountedReader
from support.measured import Measured
from support.pdf_bytes import a_pdf, text


async def test_pages_are_counted_by_where_their_text_came_from(measured: Measured) -> None:
    content = a_pdf(text(72, 700, "first page"), text(72, 700, "second page"))
    async with PageReader() as reader:
        counted = CountedReader(reader)
        outcome = await counted.read("a.pdf", content, media_type="", ocr=OcrMode.NEVER, max_pages=None)

    assert len(outcome.document.pages) == 2
    assert measured.of(metrics.PAGES) == {("pdf_text",): 2}
