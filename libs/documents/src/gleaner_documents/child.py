"""A child process that reads documents."""

from gleaner.internal.v1 import pages_pb2
from gleaner_children import Header, Note, arguments, serve
from gleaner_documents import artefact
from gleaner_documents.reading import OcrMode, check_now, read_now
from gleaner_documents.settings import ReaderSettings


def main(settings: ReaderSettings) -> None:
    """Read what the parent asks for, within `settings`."""

    def answer(header: Header, content: bytes, note: Note) -> tuple[Header, bytes]:
        if header["ask"] == "check":
            return {"pages": check_now(content, header["media_type"], settings=settings)}, b""
        outcome = read_now(
            header["name"],
            content,
            media_type=header["media_type"],
            ocr=OcrMode(header["ocr"]),
            max_pages=header["max_pages"],
            settings=settings,
            on_page=lambda page: note({"page": page.number, "source": page.source}),
        )
        read: pages_pb2.ReadDocuments = artefact.to_pb([outcome.document])
        problems = [[p.reason, p.message, p.page] for p in outcome.problems]
        return {"ocr_pages": outcome.ocr_pages, "problems": problems}, read.SerializeToString()

    serve(answer)


if __name__ == "__main__":
    main(ReaderSettings.model_validate_json(arguments()[0]))
