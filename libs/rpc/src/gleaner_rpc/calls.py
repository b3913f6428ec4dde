"""A call as our servers see it, and the one interceptor that puts what every call needs around its servicer.

Each concern (spans, errors, limits, rules) is a plain function that takes a behaviour and returns one. They are put
together once a method, not once a call.
"""

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, TypeAlias

import grpc
import grpc.aio
from google.protobuf.message import DecodeError

from gleaner_core.errors import GleanerError
from gleaner_rpc.limits import Gate

Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
Found: TypeAlias = "Handler | None"
Context = grpc.aio.ServicerContext[Any, Any]
# Takes the request, or an iterator of requests; returns the answer, or writes a stream of answers and returns None.
Behaviour = Callable[[Any, Context], Awaitable[Any]]
GRPC_OWN = "/grpc."  # health and reflection: they answer whatever happens


@dataclass(frozen=True, slots=True)
class Method:
    """What is called: `/gleaner.v1.JobService/GetJob`."""

    name: str
    request_streaming: bool
    response_streaming: bool


Concern = Callable[[Method, Behaviour], Behaviour]


class Malformed:
    """Stands for a request whose bytes are no message of its type."""


class Interceptor(grpc.aio.ServerInterceptor):
    """Lets calls of our own services in through the gate and puts the concerns around them, the first one outermost."""

    def __init__(self, gate: Gate, concerns: Sequence[Concern]) -> None:
        self._gate = gate
        self._concerns = concerns
        self._handlers: dict[str, Handler] = {}

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Found]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Found:
        """The method's handler with everything around it; one that refuses if the gate is closed."""
        name = handler_call_details.method
        if (handler := self._handlers.get(name)) is None:
            found = await continuation(handler_call_details)
            if found is None or name.startswith(GRPC_OWN):
                return found
            handler = self._handlers[name] = self._wrapped(name, found)
        try:
            await self._gate.admit(name)
        except GleanerError as refusal:
            return self._refusing(name, refusal)
        return handler

    def _wrapped(self, name: str, found: Handler) -> Handler:
        method = Method(name, found.request_streaming, found.response_streaming)
        behaviour = _behaviour(found)
        for concern in reversed(self._concerns):
            behaviour = concern(method, behaviour)
        return _HANDLERS[method.response_streaming](
            behaviour, _tolerant(found.request_deserializer), found.response_serializer
        )

    def _refusing(self, name: str, refusal: GleanerError) -> Handler:
        """Whatever the method's form: a handler of a stream of requests is called before any of them is read."""

        async def refuse(_: object, __: Context) -> None:
            raise refusal

        behaviour: Behaviour = refuse
        for concern in reversed(self._concerns):
            behaviour = concern(Method(name, True, False), behaviour)
        return grpc.stream_unary_rpc_method_handler(behaviour)


# A handler of a stream of requests is called before any of them is read: the concerns read a single one too.
_HANDLERS: dict[bool, Callable[..., Handler]] = {
    False: grpc.stream_unary_rpc_method_handler,
    True: grpc.stream_stream_rpc_method_handler,
}


def _behaviour(found: Handler) -> Behaviour:
    function: Any = found.unary_unary or found.unary_stream or found.stream_unary or found.stream_stream
    if not inspect.isasyncgenfunction(function):
        return function  # type: ignore[no-any-return]

    async def written(request: Any, context: Context) -> None:
        # One task from end to end: as a chain of generators, a cancelled call would leave its innermost ones to the
        # garbage collector, and what they hold with them.
        async with aclosing(function(request, context)) as answers:
            async for answer in answers:
                await context.write(answer)

    return written


def _tolerant(deserialize: Callable[[bytes], Any] | None) -> Callable[[bytes], Any] | None:
    """gRPC answers INTERNAL for bytes that it cannot read; it is the caller's doing, and the rules say so."""
    if deserialize is None:
        return None

    def read(content: bytes) -> Any:
        try:
            return deserialize(content)
        except DecodeError:
            return Malformed()

    return read


async def each(messages: AsyncIterator[Any], check: Callable[[Any], None]) -> AsyncIterator[Any]:
    """The messages, each one checked as it comes."""
    async for message in messages:
        check(message)
        yield message
