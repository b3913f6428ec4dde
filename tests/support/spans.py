"""Spans as a test sees them, whoever received them, and what holds of all of them."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

Place = tuple[str, str]  # trace and span


@dataclass(frozen=True)
class Seen:
    """A span that was received."""

    service: str
    name: str
    kind: str
    trace: str
    id: str
    parent: str
    begun: int
    ended: int
    attributes: dict[str, Any]
    links: tuple[tuple[Place, dict[str, Any]], ...]
    events: tuple[tuple[str, dict[str, Any]], ...]
    error: bool
    text: str
    resource: dict[str, Any]

    @property
    def place(self) -> Place:
        return self.trace, self.id


def seen(request: ExportTraceServiceRequest) -> Iterator[Seen]:
    """The spans of an export."""
    for group in request.resource_spans:
        resource = _values(group.resource.attributes)
        for scope in group.scope_spans:
            for span in scope.spans:
                yield Seen(
                    service=str(resource["service.name"]),
                    name=span.name,
                    kind=Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_"),
                    trace=span.trace_id.hex(),
                    id=span.span_id.hex(),
                    parent=span.parent_span_id.hex(),
                    begun=span.start_time_unix_nano,
                    ended=span.end_time_unix_nano,
                    attributes=_values(span.attributes),
                    links=tuple(
                        ((link.trace_id.hex(), link.span_id.hex()), _values(link.attributes)) for link in span.links
                    ),
                    events=tuple((event.name, _values(event.attributes)) for event in span.events),
                    error=span.status.code == Status.STATUS_CODE_ERROR,
                    text=str(span),
                    resource=resource,
                )


def _values(pairs: Iterable[KeyValue]) -> dict[str, Any]:
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_value(one) for one in value.array_value.values]
    return getattr(value, kind) if kind else None


def of(spans: Iterable[Seen], trace: str) -> list[Seen]:
    """The spans of that trace."""
    return [span for span in spans if span.trace == trace]


def named(spans: Iterable[Seen], name: str) -> list[Seen]:
    """The spans of that name, in the order they began."""
    return sorted((span for span in spans if span.name == name), key=lambda span: span.begun)


def orphans(spans: Sequence[Seen]) -> list[str]:
    """Spans whose parent, or what they are linked to, is not there."""
    there = {span.place for span in spans}
    return [
        f"{span.service}: {span.name}"
        for span in spans
        if (span.parent and (span.trace, span.parent) not in there)
        or any(place not in there for place, _ in span.links)
    ]


def way_to(span: Seen, spans: Sequence[Seen]) -> list[str]:
    """The names from the root of the trace down to the span."""
    by_place = {each.place: each for each in spans}
    way = [span.name]
    while span.parent:
        span = by_place[span.trace, span.parent]
        way.append(span.name)
    return way[::-1]


_WANTED: dict[str, set[str]] = {
    "rpc.system.name": {"rpc.method", "rpc.response.status_code"},
    "messaging.system": {"messaging.operation.name", "messaging.operation.type", "messaging.destination.name"},
    "http.request.method": {"server.address", "server.port", "url.full"},
    "gen_ai.operation.name": {"gen_ai.provider.name", "gen_ai.request.model", "server.address"},
}
_KINDS = {
    "send": "PRODUCER",
    "receive": "CLIENT",
    "process": "CONSUMER",
    "settle": "CLIENT",
}


def against_the_conventions(span: Seen) -> Iterator[str]:
    """What is wrong with a span: attributes that are missing, a kind or a name that does not fit."""
    who, has = f"{span.service}: {span.name}", span.attributes
    for mark, wanted in _WANTED.items():
        if mark in has and not wanted <= has.keys():
            yield f"{who} lacks {sorted(wanted - has.keys())}"
    if "rpc.system.name" in has:
        if span.kind == "CLIENT" and "server.address" not in has:
            yield f"{who} does not say whom it calls"
        if span.name != has["rpc.method"] or span.kind not in ("CLIENT", "SERVER"):
            yield f"{who} is no name or kind of a call"
    if operation := has.get("messaging.operation.type"):
        if span.kind != _KINDS[operation]:
            yield f"{who} is {span.kind}, and {operation}s"
        if span.name != f"{has['messaging.operation.name']} {has['messaging.destination.name']}":
            yield f"{who} is no name of a messaging span"
        if operation in ("receive", "process") and not span.links:
            yield f"{who} is not linked to what made its message"
    if "gen_ai.operation.name" in has and span.name != f"{has['gen_ai.operation.name']} {has['gen_ai.request.model']}":
        yield f"{who} is no name of a model's span"
    if span.error != ("error.type" in has):
        yield f"{who} has an error and no kind of it, or the other way round"
    for needed in ("service.name", "service.version", "service.instance.id"):
        if needed not in span.resource and span.service.startswith("gleaner-"):
            yield f"{who}'s resource lacks {needed}"
