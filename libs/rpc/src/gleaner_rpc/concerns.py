"""What every call needs around its servicer: a span with its metrics, the answer to errors, limits, and the rules."""

import asyncio
import logging
import time
from collections.abc import Collection
from datetime import timedelta
from typing import Any
from uuid import uuid4

import grpc
import grpc.aio
from google.rpc import status_pb2
from opentelemetry import trace
from opentelemetry.trace import SpanKind

from gleaner_core.errors import Finding, GleanerError, InvalidRequest
from gleaner_rpc import rules
from gleaner_rpc.calls import Behaviour, Concern, Context, Malformed, Method, each
from gleaner_rpc.limits import Gate
from gleaner_rpc.relayed import Relayed
from gleaner_rpc.status import internal, status_of
from gleaner_telemetry import about, context_from, failed, metrics, names, span

_log = logging.getLogger(__name__)
_tracer = trace.get_tracer("gleaner.rpc")
_duration = metrics.RPC_SERVER_DURATION.make()
# What is the server's fault; the rest is the caller's, and the conventions want no error in a server's span for that.
_FAULTS = frozenset({"UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"})
DETAILS = "grpc-status-details-bin"


def tenant(context: Context) -> str:
    """Whose call it is. All are the same tenant's until there is authentication; only this function will know."""
    return "default"


def observed(method: Method, inner: Behaviour) -> Behaviour:
    """A span, a duration and log lines that belong to the call, by the semantic conventions for RPC."""
    name = method.name.removeprefix("/")
    attributes = {names.RPC_SYSTEM: "grpc", names.RPC_METHOD: name}

    async def call(request: Any, context: Context) -> Any:
        metadata = {key: value for key, value in context.invocation_metadata() or () if isinstance(value, str)}
        facts = {"tenant": tenant(context), "rpc": name}
        if correlation := metadata.get("x-correlation-id"):
            facts["correlation"] = correlation[:255]
        began = time.perf_counter()
        code = "OK"
        with (
            span(
                _tracer,
                name,
                kind=SpanKind.SERVER,
                context=context_from(metadata),
                attributes=attributes,
                error_is_told=False,
            ) as made,
            about(**facts),
        ):
            try:
                return await inner(request, context)
            except asyncio.CancelledError:
                code = "CANCELLED"
                raise
            except BaseException:
                code = _code(context)
                raise
            finally:
                made.set_attribute(names.RPC_STATUS, code)
                if code in _FAULTS:
                    failed(made, code)
                _duration.record(time.perf_counter() - began, attributes | {names.RPC_STATUS: code})

    return call


def _code(context: Context) -> str:
    code: Any = context.code()  # a number, where gRPC itself set it
    return next((known.name for known in grpc.StatusCode if code in (known, known.value[0])), "UNKNOWN")


def told(error: BaseException) -> status_pb2.Status:
    """The error as the table has it; what it does not know is INTERNAL, logged here and not told."""
    if isinstance(error, Relayed):
        return error.status
    if isinstance(error, GleanerError):
        status = status_of(error)
        if status.code == grpc.StatusCode.INTERNAL.value[0]:
            _log.error("an error without a row in the table", exc_info=error)
        return status
    span = trace.get_current_span().get_span_context()
    request_id = trace.format_trace_id(span.trace_id) if span.is_valid else uuid4().hex
    _log.error("a call failed that should not have", exc_info=error, extra={"request_id": request_id})
    return internal(request_id)


def answered(method: Method, inner: Behaviour) -> Behaviour:
    """Errors end the call with the status that they are told with."""

    async def call(request: Any, context: Context) -> Any:
        try:
            return await inner(request, context)
        except grpc.aio.AbortError:
            raise
        except Exception as error:
            status = told(error)
        code = next(known for known in grpc.StatusCode if known.value[0] == status.code)
        return await context.abort(code, status.message, ((DETAILS, status.SerializeToString()),))

    return call


def bounded_by(gate: Gate, upload_limit: timedelta) -> Concern:
    """The deadline is kept, a drain ends streams, and a single request has come in whole within `upload_limit`: else a
    caller who dawdles holds a slot for as long as he likes. Such methods are served as if they took a stream, which is
    read here. One timer a call for all of it: a timer is a tenth of what a small call costs.
    """
    uploading = upload_limit.total_seconds()

    def bounded(method: Method, inner: Behaviour) -> Behaviour:
        async def call(requests: Any, context: Context) -> Any:
            began = asyncio.get_running_loop().time()
            limit = gate.seconds(method.name, context.time_remaining())
            seconds = limit if method.request_streaming else min(limit, uploading)
            try:
                async with asyncio.timeout(seconds) as patience:
                    if method.response_streaming:
                        gate.follow(patience)
                    if method.request_streaming:
                        return await inner(requests, context)
                    request = await anext(requests, Malformed())
                    if method.response_streaming:
                        gate.follow(patience)  # it may be draining by now
                    if seconds < limit:
                        patience.reschedule(began + limit)
                        seconds = limit
                    return await inner(request, context)
            except TimeoutError as error:
                if not patience.expired():
                    raise  # the servicer's own, about something else
                raise gate.over(seconds) from error
            finally:
                gate.unfollow(patience)

        return call

    return bounded


def checked_but(themselves: Collection[str]) -> Concern:
    """The rules of the protos hold for every message of the caller; else InvalidRequest with all findings. Of methods
    that check themselves only that there is a message at all.
    """

    def checked(method: Method, inner: Behaviour) -> Behaviour:
        check = _well_formed if method.name in themselves else _check
        if method.request_streaming:
            return lambda requests, context: inner(each(requests, check), context)

        async def call(request: Any, context: Context) -> Any:
            check(request)
            return await inner(request, context)

        return call

    return checked


def _well_formed(message: Any) -> None:
    if isinstance(message, Malformed):
        raise InvalidRequest([Finding("", "MALFORMED", "the bytes are no message of the method's request type")])


def _check(message: Any) -> None:
    _well_formed(message)
    if found := rules.findings(message):
        raise InvalidRequest(found)
