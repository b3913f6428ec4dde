"""Names of resources: `jobs/{uuid}`."""

from uuid import UUID

_JOBS = "jobs/"


def of_job(job_id: UUID) -> str:
    """The job's name."""
    return f"{_JOBS}{job_id}"


def job_id(name: str) -> UUID:
    """The id in a name that the rules of the protos let pass."""
    return UUID(name.removeprefix(_JOBS))
