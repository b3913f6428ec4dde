"""What is asked of a webhook endpoint before it is stored, and its secrets."""

import base64
import secrets
from collections.abc import Collection, Iterable, Iterator

from gleaner.v1 import webhooks_pb2 as pb
from gleaner_core.errors import Finding
from gleaner_core.webhook_urls import why_refused
from gleaner_repo import EndpointChanges
from gleaner_repo.moves import EVENT_TYPES

EVERYTHING = frozenset({"url", "event_types", "description", "disabled"})
"""What an owner says of an endpoint, as a field mask has it."""

_SECRET_BYTES = 32


def new_secret() -> str:
    """A secret as Standard Webhooks has them."""
    return f"whsec_{base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()}"


def findings(endpoint: pb.Endpoint, fields: Collection[str], *, allow_private: bool) -> Iterator[Finding]:
    """What is wrong with these fields, besides what the rules of the protos say."""
    if "url" in fields and (why := why_refused(endpoint.url, allow_private=allow_private)):
        yield Finding("endpoint.url", "BAD_URL", why)
    if "event_types" in fields:
        if not endpoint.event_types:
            yield Finding("endpoint.event_types", "REQUIRED", "there must be at least one")
        yield from unknown_types(endpoint.event_types, "endpoint.event_types")


def unknown_types(event_types: Iterable[str], field: str) -> Iterator[Finding]:
    """Those that are no type of event."""
    for index, name in enumerate(event_types):
        if name not in EVENT_TYPES:
            yield Finding(f"{field}[{index}]", "UNKNOWN_TYPE", "is no type of event")


def changes(endpoint: pb.Endpoint, fields: Collection[str]) -> EndpointChanges:
    """These fields of the endpoint; the others are left as they are."""
    return EndpointChanges(
        url=endpoint.url if "url" in fields else None,
        event_types=frozenset(endpoint.event_types) if "event_types" in fields else None,
        description=endpoint.description if "description" in fields else None,
        disabled=endpoint.disabled if "disabled" in fields else None,
    )
