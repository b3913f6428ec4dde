"""Page tokens: where the page before ended, bound to the filter that it was made with. Opaque, no authorisation."""

import base64
import hashlib
import hmac
from typing import Any
from uuid import UUID

from google.protobuf.message import Message

from gleaner_core.errors import Finding, InvalidRequest

_DIGEST = 8


def next_token(request: Message, tenant_id: str, *last: UUID) -> str:
    """The token for what comes after the resource with these ids."""
    position = b"".join(part.bytes for part in last)
    return base64.urlsafe_b64encode(position + _filter_digest(request, tenant_id)).decode().rstrip("=")


def position(request: Any, tenant_id: str, ids: int = 1) -> tuple[UUID, ...] | None:
    """The ids, as many as there are, of what the page before ended with; None for the first page.

    Raises InvalidRequest for a token that is none of ours, or another filter's.
    """
    if not request.page_token:
        return None
    try:
        token = base64.b64decode(
            request.page_token + "=" * (-len(request.page_token) % 4), altchars=b"-_", validate=True
        )
    except ValueError:
        token = b""
    size = 16 * ids
    if len(token) != size + _DIGEST:
        raise InvalidRequest([Finding("page_token", "UNKNOWN_TOKEN", "was not given by this method; leave it out")])
    if not hmac.compare_digest(token[size:], _filter_digest(request, tenant_id)):
        raise InvalidRequest([Finding("page_token", "OTHER_FILTER", "was given for another filter; keep the filter")])
    return tuple(UUID(bytes=token[start : start + 16]) for start in range(0, size, 16))


def _filter_digest(request: Message, tenant_id: str) -> bytes:
    only = type(request)()
    only.CopyFrom(request)
    only.ClearField("page_token")
    only.ClearField("page_size")
    return hashlib.sha256(tenant_id.encode() + b"\0" + only.SerializeToString(deterministic=True)).digest()[:_DIGEST]
