"""Arguments and options that several commands share."""

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

DEFAULT_SERVER = "127.0.0.1:50051"

Server: TypeAlias = Annotated[
    str,
    typer.Option(envvar="GLEANER_SERVER", metavar="HOST:PORT", help="The server; https://HOST:PORT for TLS."),
]
Timeout: TypeAlias = Annotated[
    float | None, typer.Option(min=0.001, metavar="SECONDS", help="Give up after this time, with exit status 124.")
]
AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="Print protobuf JSON, and nothing else on stdout.")]
JobName: TypeAlias = Annotated[str, typer.Argument(metavar="JOB", help="The job: jobs/UUID, or the UUID.")]
Files: TypeAlias = Annotated[
    list[Path], typer.Argument(metavar="FILE...", exists=True, dir_okay=False, readable=True, help="The documents.")
]
SomeFiles: TypeAlias = Annotated[
    list[Path] | None,
    typer.Argument(metavar="[FILE]...", exists=True, dir_okay=False, readable=True, help="The documents, if any."),
]
SchemaPath: TypeAlias = Annotated[
    Path, typer.Option("--schema", exists=True, dir_okay=False, readable=True, help="The schema, JSON or YAML.")
]
Extractor: TypeAlias = Annotated[str, typer.Option(help="Which extractor; empty for the server's default.")]
NoBoxes: TypeAlias = Annotated[bool, typer.Option("--no-boxes", help="Do not look for the values' places.")]
CorrelationId: TypeAlias = Annotated[str, typer.Option(help="Your own id for it, kept in traces and logs.")]
