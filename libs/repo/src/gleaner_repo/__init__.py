"""The only code that speaks SQL: moves, claims, events, migrations."""

from gleaner_repo.backlog import Backlog, BacklogRepository, DeliveryBacklog, LegBacklog
from gleaner_repo.coalescer import SubmitCoalescer
from gleaner_repo.deliveries import (
    ClaimedDelivery,
    Content,
    Delivery,
    DeliveryLease,
    DeliveryRepository,
    DeliveryState,
    Tried,
)
from gleaner_repo.documents import DocumentRepository
from gleaner_repo.endpoints import Endpoint, EndpointChanges, EndpointRepository, Keyed, NewEndpoint
from gleaner_repo.groups import (
    Batch,
    Group,
    GroupLease,
    GroupRepository,
    Horizon,
    LoggedEvent,
    ParkedEvent,
    Position,
    Refused,
)
from gleaner_repo.jobs import JobRepository
from gleaner_repo.lag import Lag, LagRepository
from gleaner_repo.pool import FAILURES, Database, open_database
from gleaner_repo.retention import Retention
from gleaner_repo.rows import (
    Bodies,
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
    "FAILURES",
    "Backlog",
    "BacklogRepository",
    "Batch",
    "Bodies",
    "ClaimedDelivery",
    "ClaimedJob",
    "Content",
    "Database",
    "DatabaseSettings",
    "Delivery",
    "DeliveryBacklog",
    "DeliveryLease",
    "DeliveryRepository",
    "DeliveryState",
    "DocumentRepository",
    "Doubt",
    "Endpoint",
    "EndpointChanges",
    "EndpointRepository",
    "Event",
    "Finished",
    "Group",
    "GroupLease",
    "GroupRepository",
    "Horizon",
    "Job",
    "JobFilter",
    "JobRepository",
    "Keyed",
    "Lag",
    "LagRepository",
    "Lease",
    "LegBacklog",
    "LoggedEvent",
    "MovedJob",
    "NewEndpoint",
    "NewJob",
    "ParkedEvent",
    "Position",
    "Refused",
    "Renewal",
    "Retention",
    "StaleLease",
    "StaleWait",
    "SubmitCoalescer",
    "Submitted",
    "Tried",
    "open_database",
]
