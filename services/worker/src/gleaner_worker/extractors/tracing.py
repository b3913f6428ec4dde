"""Spans of model calls, by the conventions for generative AI: names and counts, never what was asked or answered.

https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans/
"""

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from opentelemetry import trace
from opentelemetry.trace import Span, SpanKind
from pydantic_ai.messages import ModelResponse
from pydantic_ai.usage import RunUsage

from gleaner_telemetry import span

_tracer = trace.get_tracer("gleaner.worker")


@contextmanager
def chat_span(model: str, base_url: str | None) -> Iterator[Span]:
    """A span for one call of an OpenAI-compatible model; errors are told as those of ours that they become."""
    attributes: dict[str, str | int | float] = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": model,
        "gen_ai.request.temperature": 0.0,
        "gen_ai.output.type": "json",
    }
    if base_url:
        url = urlsplit(base_url)
        attributes["server.address"] = url.hostname or ""
        attributes["server.port"] = url.port or (80 if url.scheme == "http" else 443)
    with span(_tracer, f"chat {model}", kind=SpanKind.CLIENT, attributes=attributes) as made:
        yield made


def answered(made: Span, response: ModelResponse, usage: RunUsage) -> None:
    """The span says who answered, and what it took."""
    made.set_attribute("gen_ai.usage.input_tokens", usage.input_tokens)
    made.set_attribute("gen_ai.usage.output_tokens", usage.output_tokens)
    if response.model_name:
        made.set_attribute("gen_ai.response.model", response.model_name)
    if response.provider_response_id:
        made.set_attribute("gen_ai.response.id", response.provider_response_id)
    if response.finish_reason:
        made.set_attribute("gen_ai.response.finish_reasons", [response.finish_reason])
