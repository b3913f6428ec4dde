"""The Python client, and the `gleaner` command.

Names are imported when they are first asked for, so that the command starts without what it does not need.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gleaner_client.client import GleanerClient, is_over
    from gleaner_client.errors import (
        Denied,
        DocumentRejected,
        FailedPrecondition,
        Finding,
        GleanerError,
        GroupExpired,
        InvalidRequest,
        KeyReused,
        NoResult,
        NoRoom,
        NotCancellable,
        NotDeletable,
        NotFound,
        NotReady,
        NotRetryable,
        ServerFault,
        TimedOut,
        Unavailable,
    )
    from gleaner_client.inputs import document, job_name, submit_request
    from gleaner_client.plain import Money, values
    from gleaner_client.schema_files import SchemaError, load_schema
    from gleaner_client.tls import CertificateError, Tls

__all__ = [
    "CertificateError",
    "Denied",
    "DocumentRejected",
    "FailedPrecondition",
    "Finding",
    "GleanerClient",
    "GleanerError",
    "GroupExpired",
    "InvalidRequest",
    "KeyReused",
    "Money",
    "NoResult",
    "NoRoom",
    "NotCancellable",
    "NotDeletable",
    "NotFound",
    "NotReady",
    "NotRetryable",
    "SchemaError",
    "ServerFault",
    "TimedOut",
    "Tls",
    "Unavailable",
    "document",
    "is_over",
    "job_name",
    "load_schema",
    "submit_request",
    "values",
]

_ELSEWHERE = {
    "CertificateError": "tls",
    "Tls": "tls",
    "GleanerClient": "client",
    "is_over": "client",
    "document": "inputs",
    "job_name": "inputs",
    "submit_request": "inputs",
    "SchemaError": "schema_files",
    "load_schema": "schema_files",
    "Money": "plain",
    "values": "plain",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_ELSEWHERE.get(name, 'errors')}"), name)
