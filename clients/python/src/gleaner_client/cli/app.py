"""The commands and their arguments. What they do is imported when they run, so that `--help` is quick."""

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from gleaner_client.cli import plugins, webhooks
from gleaner_client.cli.choices import Colour, Ocr, Refinement, State
from gleaner_client.cli.options import (
    DEFAULT_SERVER,
    AsJson,
    CorrelationId,
    Extractor,
    Files,
    JobName,
    NoBoxes,
    SchemaPath,
    Server,
    SomeFiles,
    Timeout,
)

app = typer.Typer(
    name="gleaner",
    help="Extract typed fields from documents, each with its place on the page.",
    epilog=(
        "Exit status: 0 done; 1 the job failed, or another error; 2 wrong usage; 3 no such job, endpoint or delivery; "
        "4 the job was cancelled; 5 the server cannot be reached; 6 the request, schema or document is not accepted; "
        "7 not now: no result yet, not as the command needs it, no room; 124 out of time; 130 interrupted."
    ),
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,  # they would print local variables, and with them documents
)
app.add_typer(webhooks.app, name="webhooks")


def main() -> None:
    """Run the command line, with the commands that other packages add."""
    plugins.add_to(app)
    app()


@app.command()
def submit(
    files: Files,
    schema: SchemaPath,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for the result, and print it.")] = False,
    request_id: Annotated[
        str, typer.Option(help="Makes the command safe to repeat: the same id, the same job. Default: a new UUID.")
    ] = "",
    callback_url: Annotated[str, typer.Option(help="Where the job's webhooks go.")] = "",
    meta: Annotated[list[str] | None, typer.Option("--meta", metavar="KEY=VALUE", help="Your own data.")] = None,
    correlation_id: CorrelationId = "",
    no_boxes: NoBoxes = False,
    extractor: Extractor = "",
    ocr: Annotated[Ocr, typer.Option(help="Which pages are read from their picture.")] = Ocr.AUTO,
    server: Server = DEFAULT_SERVER,
    timeout: Timeout = None,
    as_json: AsJson = False,
) -> None:
    """Submit documents as one job."""
    from gleaner_client.cli import extracting

    extracting.submit(
        files,
        schema,
        extracting.options(no_boxes=no_boxes, extractor=extractor, ocr=ocr),
        extracting.Submission(request_id, callback_url, _pairs(meta or []), correlation_id),
        wait=wait,
        server=server,
        timeout=timeout,
        as_json=as_json,
    )


@app.command()
def extract(
    files: Files,
    schema: SchemaPath,
    correlation_id: CorrelationId = "",
    no_boxes: NoBoxes = False,
    extractor: Extractor = "",
    ocr: Annotated[Ocr, typer.Option(help="Which pages are read from their picture.")] = Ocr.AUTO,
    server: Server = DEFAULT_SERVER,
    timeout: Timeout = None,
    as_json: AsJson = False,
) -> None:
    """Extract at once, without a job; for a few pages."""
    from gleaner_client.cli import extracting

    extracting.extract(
        files,
        schema,
        extracting.options(no_boxes=no_boxes, extractor=extractor, ocr=ocr),
        correlation_id,
        server=server,
        timeout=timeout,
        as_json=as_json,
    )


@app.command()
def validate(
    schema: SchemaPath,
    files: SomeFiles = None,
    server: Server = DEFAULT_SERVER,
    timeout: Timeout = None,
    as_json: AsJson = False,
) -> None:
    """Ask the server what is wrong with a schema, and with documents; nothing is run."""
    from gleaner_client.cli import extracting

    extracting.validate(files or [], schema, server=server, timeout=timeout, as_json=as_json)


@app.command()
def get(job: JobName, server: Server = DEFAULT_SERVER, timeout: Timeout = None, as_json: AsJson = False) -> None:
    """Show a job."""
    from gleaner_client.cli import jobs

    jobs.get(job, server=server, timeout=timeout, as_json=as_json)


@app.command("list")
def list_(
    state: Annotated[list[State] | None, typer.Option(case_sensitive=False, help="Only these states.")] = None,
    refinement: Annotated[
        list[Refinement] | None, typer.Option(case_sensitive=False, help="Only these states of the search for boxes.")
    ] = None,
    created_after: Annotated[datetime | None, typer.Option(help="Only jobs submitted then or later.")] = None,
    created_before: Annotated[datetime | None, typer.Option(help="Only jobs submitted earlier.")] = None,
    request_id: Annotated[str, typer.Option(help="Only the job with this request id.")] = "",
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 50,
    server: Server = DEFAULT_SERVER,
    timeout: Timeout = None,
    as_json: AsJson = False,
) -> None:
    """List jobs, newest first."""
    from gleaner_client.cli import jobs

    jobs.list_(
        jobs.Filter(state or (), refinement or (), created_after, created_before, request_id),
        limit,
        server=server,
        timeout=timeout,
        as_json=as_json,
    )


@app.command()
def cancel(
    job: JobName,
    running: Annotated[bool, typer.Option("--running", help="Also if a worker is at it.")] = False,
    reason: Annotated[str, typer.Option(help="Why, kept with the job.")] = "",
    server: Server = DEFAULT_SERVER,
    timeout: Timeout = None,
    as_json: AsJson = False,
) -> None:
    """Cancel a job."""
    from gleaner_client.cli import jobs

    jobs.cancel(job, running, reason, server=server, timeout=timeout, as_json=as_json)


@app.command()
def retry(job: JobName, server: Server = DEFAULT_SERVER, timeout: Timeout = None, as_json: AsJson = False) -> None:
    """Start a job that failed or was cancelled again."""
    from gleaner_client.cli import jobs

    jobs.retry(job, server=server, timeout=timeout, as_json=as_json)


@app.command()
def delete(
    job: JobName,
    allow_missing: Annotated[bool, typer.Option("--allow-missing", help="It is no error if there is none.")] = False,
    server: Server = DEFAULT_SERVER,
    timeout: Timeout = None,
) -> None:
    """Remove a job that is over, with its request and results."""
    from gleaner_client.cli import jobs

    jobs.delete(job, allow_missing, server=server, timeout=timeout)


@app.command()
def watch(
    job: JobName,
    after_seq: Annotated[int, typer.Option(min=0, help="Only moves after this one.")] = 0,
    server: Server = DEFAULT_SERVER,
    timeout: Timeout = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print protobuf JSON, one message a line.")] = False,
) -> None:
    """Follow a job until it is over."""
    from gleaner_client.cli import jobs

    jobs.watch(job, after_seq, server=server, timeout=timeout, as_json=as_json)


@app.command()
def result(
    job: JobName,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until the job is over.")] = False,
    server: Server = DEFAULT_SERVER,
    timeout: Timeout = None,
    as_json: AsJson = False,
) -> None:
    """Show what a job found."""
    from gleaner_client.cli import jobs

    jobs.result(job, wait, server=server, timeout=timeout, as_json=as_json)


@app.command()
def overlay(
    job_and_files: Annotated[
        list[str], typer.Argument(metavar="JOB FILE...", help="The job, and its documents; no job with --result.")
    ],
    out: Annotated[Path, typer.Option(file_okay=False, help="The folder for the pictures; made if need be.")],
    result_file: Annotated[
        Path | None,
        typer.Option("--result", exists=True, dir_okay=False, help="A result saved as JSON, instead of a job."),
    ] = None,
    colour: Annotated[Colour, typer.Option(help="What the colours tell.")] = Colour.GROUP,
    all_pages: Annotated[bool, typer.Option("--all-pages", help="Also pages on which nothing was found.")] = False,
    dpi: Annotated[int, typer.Option(min=36, max=400, help="Resolution of the pictures.")] = 110,
    server: Server = DEFAULT_SERVER,
    timeout: Timeout = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the pictures' paths as a JSON list.")] = False,
) -> None:
    """Draw the pages with the boxes of what was found, as PNG files."""
    from gleaner_client.cli.drawing import Look
    from gleaner_client.cli.drawing import overlay as draw

    draw(
        job_and_files,
        out,
        result_file,
        Look(colour, all_pages, dpi),
        server=server,
        timeout=timeout,
        as_json=as_json,
    )


@app.command()
def events(
    group: Annotated[str, typer.Option(metavar="NAME", help="The consumer group; made if there is none.")],
    earliest: Annotated[bool, typer.Option("--earliest", help="Start a new group at the oldest event.")] = False,
    event_type: Annotated[
        list[str] | None, typer.Option("--type", metavar="TYPE", help="For a new group: only these, job.failed say.")
    ] = None,
    limit: Annotated[int, typer.Option(min=0, help="End after so many; 0: never.")] = 0,
    restart_expired: Annotated[bool, typer.Option(help="Start the group anew if it has expired.")] = False,
    server: Server = DEFAULT_SERVER,
    timeout: Timeout = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print protobuf JSON, one event a line.")] = False,
) -> None:
    """Print the events of a consumer group, and acknowledge each once it is printed."""
    from gleaner_client.cli import events as command

    terms = command.Terms(group, earliest, event_type or [], restart_expired)
    command.events(terms, limit, server=server, timeout=timeout, as_json=as_json)


@app.command()
def version(server: Server = DEFAULT_SERVER, timeout: Timeout = None, as_json: AsJson = False) -> None:
    """Show the versions of this command and of the server, and its extractors."""
    from gleaner_client.cli import extracting

    extracting.version(server=server, timeout=timeout, as_json=as_json)


def _pairs(pairs: list[str]) -> dict[str, str]:
    for pair in pairs:
        if "=" not in pair:
            raise typer.BadParameter(f"{pair!r} is not KEY=VALUE", param_hint="--meta")
    return dict(pair.split("=", 1) for pair in pairs)
