"""Names of resources: `jobs/{uuid}`, `endpoints/{uuid}`, `deliveries/{webhook-id}~{endpoint}`."""

from uuid import UUID

from gleaner_repo.deliveries import CALLBACK

_JOBS = "jobs/"
_ENDPOINTS = "endpoints/"
_DELIVERIES = "deliveries/"
_CALLBACK = "callback"


def of_job(job_id: UUID) -> str:
    """The job's name."""
    return f"{_JOBS}{job_id}"


def job_id(name: str) -> UUID:
    """The id in a name that the rules of the protos let pass."""
    return UUID(name.removeprefix(_JOBS))


def of_endpoint(endpoint_id: UUID) -> str:
    """The endpoint's name."""
    return f"{_ENDPOINTS}{endpoint_id}"


def endpoint_id(name: str) -> UUID:
    """The id in a name that the rules of the protos let pass."""
    return UUID(name.removeprefix(_ENDPOINTS))


def of_delivery(event_id: UUID, endpoint_id: UUID) -> str:
    """The delivery's name."""
    return f"{_DELIVERIES}{event_id}~{_CALLBACK if endpoint_id == CALLBACK else endpoint_id}"


def delivery_key(name: str) -> tuple[UUID, UUID]:
    """The event's and the endpoint's id in a name that the rules of the protos let pass."""
    event_id, endpoint = name.removeprefix(_DELIVERIES).split("~")
    return UUID(event_id), CALLBACK if endpoint == _CALLBACK else UUID(endpoint)
