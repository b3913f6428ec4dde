"""A program of somebody who uses the client, and OpenTelemetry: `traced_caller ADDRESS SCHEMA DOCUMENT`.

--callback URL, --extractor NAME, --extract (at once, without a job). Everything happens in one span, `order`, whose
trace it prints; with OTEL_TRACES_SAMPLER=always_off there is a trace, too, but nobody is to keep it.
"""

import argparse
import asyncio
import sys

from opentelemetry import baggage, context, trace
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from gleaner.v1 import extraction_pb2
from gleaner_client import GleanerClient
from gleaner_client.schema_files import load_schema


async def main(options: argparse.Namespace) -> None:
    schema = load_schema(options.schema)
    asked = extraction_pb2.ExtractionOptions(extractor=options.extractor)
    with trace.get_tracer("shop").start_as_current_span("order") as span:
        token = context.attach(baggage.set_baggage("customer", "acme"))
        async with GleanerClient(options.address) as client:
            if options.extract:
                await client.extract([options.document], schema, options=asked)
            else:
                await client.submit_and_wait([options.document], schema, options=asked, callback_url=options.callback)
        context.detach(token)
        sys.stdout.write(f"{span.get_span_context().trace_id:032x}\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    for name in ("address", "schema", "document"):
        parser.add_argument(name)
    parser.add_argument("--callback", default="")
    parser.add_argument("--extractor", default="")
    parser.add_argument("--extract", action="store_true")
    provider = TracerProvider(resource=Resource.create({"service.name": "shop"}))
    provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    asyncio.run(main(parser.parse_args()))
    provider.shutdown()
