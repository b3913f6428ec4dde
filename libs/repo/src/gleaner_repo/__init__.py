"""The only code that speaks SQL: moves, claims, events, migrations."""

from gleaner_repo.documents import DocumentRepository
from gleaner_repo.jobs import JobRepository
from gleaner_repo.pool import Database, open_database
from gleaner_repo.rows import (
    ClaimedJob,
    Doubt,
    Event,
    Finished,
    Job,
    JobFilter,
    Lease,
    MovedJob,
    NewJob,
    Renewal,
    StaleLease,
    StaleWait,
    Submitted,
)
from gleaner_repo.settings import DatabaseSettings

__all__ = [
    "ClaimedJob",
    "Database",
    "DatabaseSettings",
    "DocumentRepository",
    "Doubt",
    "Event",
    "Finished",
    "Job",
    "JobFilter",
    "JobRepository",
    "Lease",
    "MovedJob",
    "NewJob",
    "Renewal",
    "StaleLease",
    "StaleWait",
    "Submitted",
    "open_database",
]
