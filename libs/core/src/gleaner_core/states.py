"""The states of a job, and of the search for its boxes."""

from enum import StrEnum


class State(StrEnum):
    """Where a job is in its life."""

    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    PARTIAL_SUCCEEDED = "PARTIAL_SUCCEEDED"
    REFINING_BBOXES = "REFINING_BBOXES"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


class Refinement(StrEnum):
    """Where the search for a job's boxes is."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
