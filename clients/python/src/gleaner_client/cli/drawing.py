"""What `overlay` does."""

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import typer
from google.protobuf import json_format

from gleaner.v1.jobs_pb2 import GetJobResultResponse
from gleaner.v1.results_pb2 import DocumentResult, ExtractionResult
from gleaner_client import printing
from gleaner_client.cli.choices import Colour
from gleaner_client.cli.running import run
from gleaner_client.client import GleanerClient
from gleaner_client.exits import Exit
from gleaner_client.inputs import document_names
from gleaner_client.overlay import draw, file_stems, pages_with_boxes
from gleaner_core.errors import GleanerError as DocumentTrouble
from gleaner_documents.reading import render_page


@dataclass(frozen=True, slots=True)
class Look:
    """How the pictures look, and of which pages there are some."""

    colour: Colour
    all_pages: bool
    dpi: int


def overlay(
    arguments: Sequence[str],
    out: Path,
    result_file: Path | None,
    look: Look,
    *,
    server: str,
    timeout: float | None,
    as_json: bool,
) -> None:
    """Draw the documents' pages into the folder."""
    if result_file:
        files = _files(arguments)
        raise typer.Exit(_draw_all(_saved(result_file), files, out, look, as_json))
    job, files = arguments[0], _files(arguments[1:])

    async def work(client: GleanerClient) -> Exit:
        answer = await client.result(job, wait=math.inf)  # the boxes are what is drawn
        return _draw_all(answer.result, files, out, look, as_json)

    run(work, server=server, timeout=timeout)


def _files(arguments: Sequence[str]) -> list[Path]:
    files = [Path(argument) for argument in arguments]
    if not files:
        raise typer.BadParameter("name the documents too", param_hint="FILE...")
    for file in files:
        if not file.is_file():
            raise typer.BadParameter(f"there is no file {file}", param_hint="FILE...")
    return files


def _saved(path: Path) -> ExtractionResult:
    """A result from what `result --json` or `extract --json` printed, or the bare result."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        if "result" in data:
            return json_format.ParseDict(data, GetJobResultResponse(), ignore_unknown_fields=True).result
        return json_format.ParseDict(data, ExtractionResult())
    except (ValueError, TypeError, json_format.ParseError) as error:
        raise typer.BadParameter(f"{path} holds no result: {error}", param_hint="--result") from None


def _draw_all(result: ExtractionResult, files: Sequence[Path], out: Path, look: Look, as_json: bool) -> Exit:
    out.mkdir(parents=True, exist_ok=True)
    drawn: list[Path] = []
    status = Exit.OK
    stems = file_stems(document.document for document in result.documents)
    for document, file, stem in zip(result.documents, _matched(result, files), stems, strict=True):
        if file is None:
            printing.note(f"no file is named {document.document}; its pages are not drawn", "yellow")
            continue
        try:
            for path in _draw_document(document, file, out / stem, look):
                drawn.append(path)
                if not as_json:
                    printing.say(str(path))
        except DocumentTrouble as error:
            printing.note(f"error: {file}: {error}", "red")
            status = Exit.INVALID
    if as_json:
        printing.say(json.dumps([str(path) for path in drawn]))
    elif not drawn and status is Exit.OK:
        printing.note("nothing was found on any page; --all-pages draws them all the same", "yellow")
    return status


def _matched(result: ExtractionResult, files: Sequence[Path]) -> list[Path | None]:
    """The file of each document: by its name, or by its place if no name fits and the numbers do."""
    by_name = dict(zip(document_names(files), files, strict=True))
    matched = [by_name.get(document.document) for document in result.documents]
    if not any(matched) and len(files) == len(matched):
        return list(files)
    return matched


def _draw_document(document: DocumentResult, file: Path, stem: Path, look: Look) -> Iterator[Path]:
    content = file.read_bytes()
    numbers = [page.number for page in document.pages] if look.all_pages else pages_with_boxes(document)
    for number in numbers:
        picture = render_page(content, number, look.dpi)
        path = stem.with_name(f"{stem.name}-p{number}.png")
        draw(picture, document, number, by_confidence=look.colour is Colour.CONFIDENCE).save(path)
        yield path
