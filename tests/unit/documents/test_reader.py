import asyncio
import io
import os
import signal
from collections.abc import AsyncIterator

import pytest
from PIL import Image

from gleaner_core.errors import ChildDied, DocumentDamaged, DocumentEncrypted, DocumentTooLarge, WorkTimeout
from gleaner_documents import OcrMode, PageReader, ReaderSettings, read_now
from support.pdf_bytes import a_pdf, an_encrypted_pdf, text
from support.processes import is_alive

LETTER = a_pdf(text(72, 700, "Dear reader"))
LONG = a_pdf(*[text(72, 700, "word " * 15)] * 1500)


@pytest.fixture
async def reader() -> AsyncIterator[PageReader]:
    async with PageReader(ReaderSettings()) as opened:
        yield opened


def pid_of_child(reader: PageReader) -> int:
    process = reader.children._children[0]._process
    assert process is not None
    return process.pid


async def test_a_child_reads_what_we_read_ourselves(reader: PageReader) -> None:
    content = a_pdf(text(72, 700, "first page"), text(300, 20, "second", size=8))
    heard: list[int] = []

    outcome = await reader.read("a.pdf", content, on_page=heard.append)

    ours = read_now("a.pdf", content)
    assert [[word.text for word in page.words] for page in outcome.document.pages] == [["first", "page"], ["second"]]
    for theirs, our in zip(outcome.document.pages, ours.document.pages, strict=True):
        assert (theirs.width, theirs.height, theirs.source) == (our.width, our.height, our.source)
        assert [w.x0 for w in theirs.words] == pytest.approx([w.x0 for w in our.words], abs=1e-6)
    assert heard == [1, 2]


async def test_a_child_stays_for_the_next_document(reader: PageReader) -> None:
    await reader.read("a.pdf", LETTER)
    pid = pid_of_child(reader)

    with pytest.raises(DocumentDamaged):
        await reader.read("b.pdf", b"%PDF-1.7 rubbish")
    with pytest.raises(DocumentEncrypted):
        await reader.check(an_encrypted_pdf())
    assert await reader.check(LETTER, "application/pdf") == 1

    assert pid_of_child(reader) == pid
    assert reader.children.restarts == 0


async def test_a_child_that_dies_over_a_document_fails_it_and_is_replaced(reader: PageReader) -> None:
    def kill(number: int) -> None:
        if number == 1:
            os.kill(pid_of_child(reader), signal.SIGKILL)

    with pytest.raises(ChildDied, match="died"):
        await reader.read("a.pdf", LONG, on_page=kill)

    assert await reader.check(LETTER) == 1
    assert reader.children.restarts == 1


async def test_cancelling_ends_the_work_at_once(reader: PageReader) -> None:
    begun = asyncio.Event()
    task = asyncio.create_task(reader.read("a.pdf", LONG, on_page=lambda number: begun.set()))
    await begun.wait()
    pid = pid_of_child(reader)

    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert not is_alive(pid)
    assert await reader.check(LETTER) == 1
    assert reader.children.restarts == 1


async def test_a_document_that_takes_too_much_memory_is_ended() -> None:
    out = io.BytesIO()
    Image.new("1", (9500, 9500)).save(out, "PNG")

    async with PageReader(ReaderSettings(memory_limit_mb=160)) as reader:
        with pytest.raises(ChildDied, match="more than 160 MiB of memory"):
            await reader.read("bomb.png", out.getvalue(), ocr=OcrMode.NEVER)
        assert await reader.check(LETTER) == 1


async def test_a_document_that_takes_too_long_is_ended() -> None:
    async with PageReader(ReaderSettings(document_timeout_s=0.01)) as reader:
        with pytest.raises(WorkTimeout):
            await reader.read("a.pdf", LONG)


async def test_a_document_beyond_the_limit_reaches_no_child() -> None:
    async with PageReader(ReaderSettings(max_document_bytes=100)) as reader:
        with pytest.raises(DocumentTooLarge):
            await reader.check(LETTER)
