"""What `submit`, `extract`, `validate` and `version` do."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from google.protobuf import json_format

from gleaner.v1 import extraction_pb2
from gleaner.v1 import jobs_pb2 as pb
from gleaner_client import printing
from gleaner_client.cli.choices import Ocr
from gleaner_client.cli.jobs import show_job, show_result
from gleaner_client.cli.running import run, the_schema
from gleaner_client.client import GleanerClient
from gleaner_client.errors import Finding
from gleaner_client.exits import Exit, of_job

_OCR = {
    Ocr.AUTO: extraction_pb2.OCR_MODE_AUTO,
    Ocr.ALWAYS: extraction_pb2.OCR_MODE_ALWAYS,
    Ocr.NEVER: extraction_pb2.OCR_MODE_NEVER,
}


@dataclass(frozen=True, slots=True)
class Submission:
    """What goes with a job beside its documents and schema."""

    request_id: str
    callback_url: str
    metadata: Mapping[str, str]
    correlation_id: str


def options(*, no_boxes: bool, extractor: str, ocr: Ocr) -> extraction_pb2.ExtractionOptions:
    """The options as the API wants them."""
    return extraction_pb2.ExtractionOptions(
        grounding=extraction_pb2.GROUNDING_MODE_NONE if no_boxes else extraction_pb2.GROUNDING_MODE_REFINE,
        ocr=_OCR[ocr],
        extractor=extractor,
    )


def submit(
    files: Sequence[Path],
    schema_path: Path,
    how: extraction_pb2.ExtractionOptions,
    with_it: Submission,
    *,
    wait: bool,
    server: str,
    timeout: float | None,
    as_json: bool,
) -> None:
    """Submit the files as one job and show it, or wait for its result and show that."""
    schema = the_schema(schema_path)

    async def work(client: GleanerClient) -> Exit:
        job = await client.submit(
            files,
            schema.schema,
            options=how,
            request_id=with_it.request_id,
            callback_url=with_it.callback_url,
            metadata=with_it.metadata,
            correlation_id=with_it.correlation_id,
        )
        if wait:
            return await _wait(client, job, as_json)
        show_job(job, as_json)
        return Exit.OK

    run(work, server=server, timeout=timeout, schema=schema)


async def _wait(client: GleanerClient, job: pb.Job, as_json: bool) -> Exit:
    printing.note(f"{job.name}; if this ends early: gleaner result {job.name} --wait", "dim")
    with printing.progress(job) as show:
        async for message in client.watch(job.name):
            if message.job.seq >= job.seq:
                job = message.job
                show(job)
    if of_job(job) is not Exit.OK:
        show_job(job, as_json)
        return of_job(job)
    return show_result(await client.result(job.name, wait=math.inf), as_json)


def extract(
    files: Sequence[Path],
    schema_path: Path,
    how: extraction_pb2.ExtractionOptions,
    correlation_id: str,
    *,
    server: str,
    timeout: float | None,
    as_json: bool,
) -> None:
    """Extract at once and show what was found."""
    schema = the_schema(schema_path)

    async def work(client: GleanerClient) -> Exit:
        result = await client.extract(files, schema.schema, options=how, correlation_id=correlation_id)
        if as_json:
            printing.say(printing.as_json(extraction_pb2.ExtractResponse(result=result)))
        else:
            for part in printing.result_tables(result):
                printing.out().print(part)
        return Exit.OK

    run(work, server=server, timeout=timeout, schema=schema)


def validate(files: Sequence[Path], schema_path: Path, *, server: str, timeout: float | None, as_json: bool) -> None:
    """Show the server's findings; exit status 6 if there are any."""
    schema = the_schema(schema_path)

    async def work(client: GleanerClient) -> Exit:
        answer = await client.validate(files, schema.schema)
        if as_json:
            printing.say(printing.as_json(answer))
        elif answer.valid:
            printing.out().print("valid")
        printing.list_findings((Finding(f.field, f.reason, f.description) for f in answer.findings), schema.line_of)
        return Exit.OK if answer.valid else Exit.INVALID

    run(work, server=server, timeout=timeout, schema=schema)


def version(*, server: str, timeout: float | None, as_json: bool) -> None:
    """Show this command's version, and the server's if it answers."""
    own = metadata.version("gleaner-client")
    if not as_json:
        printing.out().print(f"gleaner {own}")

    async def work(client: GleanerClient) -> Exit:
        answer = await client.version()
        if as_json:
            theirs = json_format.MessageToDict(answer, preserving_proto_field_name=True)
            printing.say(json.dumps({"client": own, "server": theirs}, indent=2))
        else:
            extractors = ", ".join(answer.extractors)
            printing.out().print(f"server {answer.version} at {server}, {answer.api}; extractors: {extractors}")
        return Exit.OK

    run(work, server=server, timeout=timeout)
