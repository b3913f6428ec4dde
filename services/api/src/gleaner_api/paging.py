"""Page tokens: where the page before ended, bound to the filter that it was made with. Opaque, no authorisation."""

import base64
import hashlib
import hmac
from uuid import UUID

from gleaner.v1 import jobs_pb2 as pb
from gleaner_core.errors import Finding, InvalidRequest

_DIGEST = 8


def next_token(request: pb.ListJobsRequest, tenant_id: str, last: UUID) -> str:
    """The token for the jobs after `last`."""
    return base64.urlsafe_b64encode(last.bytes + _filter_digest(request, tenant_id)).decode().rstrip("=")


def position(request: pb.ListJobsRequest, tenant_id: str) -> UUID | None:
    """The job that the page before ended with, None for the first page.

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
    if len(token) != 16 + _DIGEST:
        raise InvalidRequest([Finding("page_token", "UNKNOWN_TOKEN", "was not given by ListJobs; leave it out")])
    if not hmac.compare_digest(token[16:], _filter_digest(request, tenant_id)):
        raise InvalidRequest([Finding("page_token", "OTHER_FILTER", "was given for another filter; keep the filter")])
    return UUID(bytes=token[:16])


def _filter_digest(request: pb.ListJobsRequest, tenant_id: str) -> bytes:
    only = pb.ListJobsRequest()
    only.CopyFrom(request)
    only.ClearField("page_token")
    only.ClearField("page_size")
    return hashlib.sha256(tenant_id.encode() + b"\0" + only.SerializeToString(deterministic=True)).digest()[:_DIGEST]
