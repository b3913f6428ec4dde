"""What the command prints: tables for people, protobuf JSON for programs.

The answer goes to stdout, everything else to stderr. What came from a document or a server is shown as text without
control characters, never as markup.
"""

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC

from google.protobuf import json_format
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from rich.console import Console
from rich.control import strip_control_codes
from rich.table import Table
from rich.text import Text

from gleaner.v1 import events_pb2, results_pb2, webhooks_pb2
from gleaner.v1 import jobs_pb2 as pb
from gleaner_client.errors import Finding, GleanerError

LineOf = Callable[[str], int | None]
"""Where a finding's field stands in the schema's file."""

_STYLES = {
    "QUEUED": "yellow",
    "RUNNING": "cyan",
    "REFINING_BBOXES": "cyan",
    "PARTIAL_SUCCEEDED": "green",
    "SUCCEEDED": "bold green",
    "FAILED": "bold red",
    "CANCELLED": "magenta",
}
_DELIVERY_STYLES = {"DELIVERED": "green", "DEAD": "red"}


def out() -> Console:
    """The console for answers. Nothing is cut off where nobody's window is the limit."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=200)


def err() -> Console:
    """The console for everything else."""
    return Console(stderr=True, highlight=False)


def as_json(message: Message) -> str:
    """A message as protobuf JSON, with the protos' own names."""
    return json_format.MessageToJson(message, preserving_proto_field_name=True, ensure_ascii=False)


def as_json_line(message: Message) -> str:
    """A message as protobuf JSON on one line."""
    return json_format.MessageToJson(message, preserving_proto_field_name=True, ensure_ascii=False, indent=None)


def say(text: str) -> None:
    """One line of an answer for programs, as it is."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def note(text: str, style: str = "") -> None:
    """One line on stderr."""
    err().print(_text(text, style), soft_wrap=True)


def complain(error: GleanerError, line_of: LineOf | None = None) -> None:
    """An error on stderr: what happened, its reason, and each finding."""
    reason = f" [{error.reason}]" if error.reason else ""
    known_as = f"; the server's log has it as {error.request}" if error.request else ""
    message = "the request is not accepted" if error.findings else error.message  # which repeats the findings
    note(f"error: {message}{reason}{known_as}", "red")
    list_findings(error.findings, line_of)


def list_findings(findings: Iterable[Finding], line_of: LineOf | None = None) -> None:
    """Findings on stderr, one a line; with the line of the schema file where that is known."""
    for finding in findings:
        line = line_of(finding.field) if line_of else None
        place = f" (line {line} of the schema)" if line else ""
        note(f"  {finding.field}{place}: {finding.description} [{finding.reason}]")


def state_text(job: pb.Job) -> Text:
    """A job's state, and its refinement's where that tells more."""
    state = pb.JobState.Name(job.state).removeprefix("JOB_STATE_")
    text = Text(state, _STYLES.get(state, ""))
    if job.state == pb.JOB_STATE_PARTIAL_SUCCEEDED and job.refinement:
        text.append(f" (boxes {pb.RefinementState.Name(job.refinement).removeprefix('REFINEMENT_STATE_').lower()})")
    return text


def jobs_table(jobs: Iterable[pb.Job]) -> Table:
    """Jobs, one a row."""
    table = Table("job", "state", "submitted", "documents", "error", box=None, pad_edge=False)
    for job in jobs:
        table.add_row(
            Text(job.name.removeprefix("jobs/"), no_wrap=True),
            state_text(job),
            _when(job.create_time if job.HasField("create_time") else None),
            _text(", ".join(job.documents)),
            _text(job.error.reason),
        )
    return table


def job_table(job: pb.Job) -> Table:
    """One job, one fact a row; facts that are not there are left out."""
    table = Table.grid(padding=(0, 2))
    for name, fact in _facts(job):
        if fact:
            table.add_row(Text(name, "dim"), fact)
    return table


def _facts(job: pb.Job) -> Iterator[tuple[str, Text]]:
    yield "job", Text(job.name)
    yield "state", state_text(job)
    yield "documents", _text(", ".join(job.documents))
    for field in ("create_time", "start_time", "end_time", "available_time"):
        yield field.replace("_", " "), _when(getattr(job, field) if job.HasField(field) else None)
    yield "attempt", Text(str(job.attempt) if job.attempt else "")
    if job.HasField("error"):
        retry = ", will be tried again" if job.error.retryable and not job.HasField("end_time") else ""
        yield "error", _text(f"{job.error.message} [{job.error.reason}]{retry}", "red")
    yield "cancelled", _text(job.cancel_reason)
    yield "request id", _text(job.request_id)
    yield "correlation id", _text(job.correlation_id)
    yield "callback", _text(job.callback_url)
    for key, value in sorted(job.metadata.items()):
        yield key, _text(value)


def move_text(message: pb.WatchJobResponse) -> Text:
    """A message of a watch in one line: when, which move, and the state it left."""
    line = Text()
    if message.HasField("event"):
        line.append_text(_when(message.event.time)).append(f"  {message.event.type:<28}  ")
    else:
        line.append_text(_when(message.job.create_time)).append(f"  {'(as it is)':<28}  ")
    line.append_text(state_text(message.job))
    if message.job.error.reason:
        line.append_text(_text(f"  {message.job.error.message} [{message.job.error.reason}]", "red"))
    return line


@contextmanager
def progress(job: pb.Job) -> Iterator[Callable[[pb.Job], None]]:
    """Shows on stderr where the job is: a turning line on a terminal, a line for each state elsewhere."""
    console = err()
    if console.is_terminal:
        with console.status(state_text(job)) as status:
            yield lambda changed: status.update(state_text(changed))
        return
    states = [state_text(job).plain]
    console.print(states[-1])

    def show(changed: pb.Job) -> None:
        if (state := state_text(changed).plain) != states[-1]:
            states.append(state)
            console.print(state)

    yield show


def result_tables(result: results_pb2.ExtractionResult) -> Iterator[Table | Text]:
    """A table of fields for each document, and what went wrong beside."""
    for document in result.documents:
        pages = f"{len(document.pages)} page{'s' if len(document.pages) != 1 else ''}"
        title = _text(f"{document.document}: {document.document_type}, {pages}")
        table = Table("field", "value", "sure", "place", "remarks", title=title, title_justify="left", box=None)
        for field in document.fields:
            _add_rows(table, field)
        yield table
    for problem in result.problems:
        place = f" ({problem.document}{f', page {problem.page}' if problem.page else ''})" if problem.document else ""
        yield _text(f"{problem.message}{place} [{problem.reason}]", "yellow")


def _add_rows(table: Table, field: results_pb2.FieldResult) -> None:
    if field.children:
        for child in field.children:
            _add_rows(table, child)
        return
    found = field.HasField("value")
    table.add_row(
        Text(field.path),
        _text(value_text(field.value)) if found else Text("not found", "dim"),
        Text(f"{field.confidence:.2f}" if found else "", "" if field.confidence >= 0.5 else "yellow"),
        Text(place_text(field.provenance) if found else ""),
        _remarks(field),
    )


def value_text(value: results_pb2.Value) -> str:
    """A value in one line."""
    match value.WhichOneof("kind"):
        case "money":
            return f"{value.money.amount} {value.money.currency_code}".strip()
        case "flag":
            return "yes" if value.flag else "no"
        case None:
            return ""
        case kind:
            return str(getattr(value, kind))


def place_text(provenance: results_pb2.Provenance) -> str:
    """Where a value stands: `p. 2`, with `~` while that is the extractor's guess."""
    if provenance.state == results_pb2.GROUNDING_STATE_NOT_FOUND:
        return "on no page"
    if not provenance.boxes:
        return ""
    guess = "~" if provenance.state == results_pb2.GROUNDING_STATE_ESTIMATED else ""
    return f"{guess}p. {provenance.boxes[0].page}"


def _remarks(field: results_pb2.FieldResult) -> Text:
    broken = [f"{v.rule}: {v.message}" if v.message else v.rule for v in field.validations if not v.passed]
    return _text("; ".join(broken), "yellow")


def event_text(event: events_pb2.SubscribedEvent) -> Text:
    """An event of a group in one line: when, which move, and whose."""
    return _when(event.event.time).append(f"  {event.event.type:<28}  ").append_text(_text(event.job))


def endpoints_table(endpoints: Iterable[webhooks_pb2.Endpoint]) -> Table:
    """Endpoints, one a row."""
    table = Table("endpoint", "state", "url", "told of", "description", box=None, pad_edge=False)
    for endpoint in endpoints:
        table.add_row(
            Text(endpoint.name.removeprefix("endpoints/"), no_wrap=True),
            _enabled(endpoint),
            _text(endpoint.url),
            _text(", ".join(endpoint.event_types)),
            _text(endpoint.description),
        )
    return table


def endpoint_table(endpoint: webhooks_pb2.Endpoint, *, secret: str = "") -> Table:
    """One endpoint, one fact a row, with its secret where that may be shown."""
    table = Table.grid(padding=(0, 2))
    facts = {
        "endpoint": Text(endpoint.name),
        "state": _enabled(endpoint),
        "url": _text(endpoint.url),
        "told of": _text(", ".join(endpoint.event_types)),
        "description": _text(endpoint.description),
        "create time": _when(endpoint.create_time),
        "disable time": _when(endpoint.disable_time if endpoint.disabled else None),
        "secrets": Text(str(endpoint.secret_count)),
        "secret": Text(secret, no_wrap=True),
    }
    for name, fact in facts.items():
        if fact:
            table.add_row(Text(name, "dim"), fact)
    return table


def deliveries_table(deliveries: Iterable[webhooks_pb2.Delivery]) -> Table:
    """Deliveries, one a row; names are whole, for they are what a delivery is sent again by."""
    table = Table("delivery", "state", "type", "tries", "made", "last answer", "url", box=None, pad_edge=False)
    for delivery in deliveries:
        state = webhooks_pb2.DeliveryState.Name(delivery.state).removeprefix("DELIVERY_STATE_")
        table.add_row(
            Text(delivery.name, no_wrap=True),
            Text(state, _DELIVERY_STYLES.get(state, "")),
            _text(delivery.type),
            Text(str(delivery.attempt)),
            _when(delivery.create_time),
            _text(delivery.last_error or (str(delivery.last_status) if delivery.last_status else "")),
            _text(delivery.url),
        )
    return table


def _enabled(endpoint: webhooks_pb2.Endpoint) -> Text:
    return Text("disabled", "red") if endpoint.disabled else Text("enabled", "green")


def _text(text: str, style: str = "") -> Text:
    return Text(strip_control_codes(text).replace("\x1b", "").replace("\n", " "), style)


def _when(moment: Timestamp | None) -> Text:
    if moment is None:
        return Text("")
    return Text(moment.ToDatetime(UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S"))
