"""Every metric of the suite: name, unit, meaning, labels. Instruments, docs/telemetry.md and the tests of the dashboard
and of the alerts are made from this one list.

Names and units are those of the semantic conventions where there are some, else `gleaner.*`. No label has values that
grow with jobs, documents or tenants.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from opentelemetry import metrics
from opentelemetry.metrics import CallbackOptions, Observation

from gleaner_telemetry import names

Labels = Mapping[str, str]
Observe = Callable[[], Iterable[tuple[float, Labels]]]

# The conventions' buckets for durations of calls, in seconds; runs and waits last longer.
SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
RUN_SECONDS: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1200.0)
AGE_SECONDS: Final = (0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0, 14400.0, 86400.0, 259200.0)
SHORT_SECONDS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
ROWS: Final = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0)


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric; `by` are its services."""

    name: str
    unit: str
    description: str
    labels: tuple[str, ...] = ()
    by: str = "worker, bbox_worker"

    @property
    def kind(self) -> str:
        """The name of its kind."""
        return type(self).__name__.lower()


class Counter(Metric):
    """What only grows."""

    __slots__ = ()

    def make(self, *known: Labels) -> metrics.Counter:
        """The instrument. It begins at 0 for each of the `known` labels: of a series that begins with its first event
        an alert on its growth would not see that event.
        """
        made = _meter().create_counter(self.name, unit=self.unit, description=self.description)
        for labels in known:
            made.add(0, labels)
        return made

    def observed(self, observe: Observe) -> None:
        """Has the value asked for whenever it is exported, on another thread."""
        _meter().create_observable_counter(self.name, [_callback(observe)], self.unit, self.description)


class Gauge(Metric):
    """What goes up and down."""

    __slots__ = ()

    def observed(self, observe: Observe) -> None:
        """Has the value asked for whenever it is exported, on another thread; what is not told then is not exported."""
        _meter().create_observable_gauge(self.name, [_callback(observe)], self.unit, self.description)


@dataclass(frozen=True, slots=True)
class Histogram(Metric):
    """What is distributed over buckets."""

    buckets: tuple[float, ...] = SECONDS

    def make(self) -> metrics.Histogram:
        """The instrument."""
        return _meter().create_histogram(
            self.name,
            unit=self.unit,
            description=self.description,
            explicit_bucket_boundaries_advisory=self.buckets,
        )


def _meter() -> metrics.Meter:
    return metrics.get_meter("gleaner")


def _callback(observe: Observe) -> Callable[[CallbackOptions], Iterable[Observation]]:
    return lambda options: [Observation(value, dict(labels)) for value, labels in observe()]


_RPC = (names.RPC_SYSTEM, names.RPC_METHOD, names.RPC_STATUS)
SERVERS: Final = "api, worker, bbox_worker"
ALL_SERVICES: Final = "all"

# Calls.
RPC_SERVER_DURATION = Histogram("rpc.server.call.duration", "s", "Duration of calls served.", _RPC, SERVERS)
RPC_CLIENT_DURATION = Histogram(
    "rpc.client.call.duration", "s", "Duration of calls to other services of the suite.", _RPC, "api, worker, reaper"
)
OFFERS = Counter(
    "gleaner.offers",
    "{offer}",
    "Offers sent: accepted by a worker with room, full, or the status of those that were lost.",
    (names.OFFER_OUTCOME,),
    "api, worker, reaper",
)
SUBMIT_BATCH_SIZE = Histogram(
    "gleaner.submit.batch.size", "{job}", "Jobs that were stored by one statement.", (), "api", ROWS
)

# The queue, as every api reads it: the same figures from each.
QUEUE_DEPTH = Gauge(
    "gleaner.queue.depth",
    "{job}",
    "Jobs that may be claimed now, wait for a later attempt, or run. Each count stops at 10,000.",
    (names.LEG, names.QUEUE_STATE),
    "api",
)
QUEUE_OLDEST_AGE = Gauge(
    "gleaner.queue.oldest.age",
    "s",
    "How long the first claimable job has been due; 0 without any.",
    (names.LEG,),
    "api",
)
QUEUE_SUSPECTS = Gauge(
    "gleaner.queue.suspects",
    "{job}",
    "Waiting jobs that lost two leases or more: each runs alone.",
    (names.LEG,),
    "api",
)
WEBHOOK_BACKLOG = Gauge(
    "gleaner.webhook.backlog",
    "{delivery}",
    "Deliveries that are due, wait for a later try, or are being sent.",
    (names.QUEUE_STATE,),
    "api",
)
WEBHOOK_OLDEST_AGE = Gauge(
    "gleaner.webhook.oldest.age", "s", "How long the first due delivery has been due; 0 without any.", (), "api"
)

# The log.
EVENTS_LAG = Gauge(
    "gleaner.events.lag",
    "s",
    "Age of the next event that a group has to read: of each of the suite's own groups by name, and of the slowest of"
    " all tenants' as `tenants`; 0 at the log's end.",
    (names.GROUP,),
    "api",
)
EVENTS_STALL = Gauge(
    "gleaner.events.stall",
    "s",
    "Age of the oldest event that no group may read yet, because a writer older than it is still open.",
    (),
    "api",
)
EVENTS_WRITER_AGE = Gauge(
    "gleaner.events.oldest_writer.age",
    "s",
    "Age of the oldest open writer of the whole server, which the log waits for, and who it is. Nothing if the role may"
    " not see it (pg_read_all_stats).",
    (names.DATABASE, names.APPLICATION, names.SESSION_STATE),
    "api",
)
EVENTS_PARKED = Gauge(
    "gleaner.events.parked", "{event}", "Events that groups gave up and that nobody has looked at yet.", (), "api"
)

# The loop of both workers.
CLAIMS = Counter("gleaner.claims", "{job}", "Jobs claimed.", (names.LEG,))
POLLS = Counter("gleaner.polls", "{poll}", "Looks for work; empty ones found nothing.", (names.LEG, names.FOUND))
QUEUE_WAIT = Histogram(
    "gleaner.queue.wait",
    "s",
    "From when a job was due to its claim, by the database's clock.",
    (names.LEG,),
    buckets=AGE_SECONDS,
)
RUN_DURATION = Histogram(
    "gleaner.run.duration",
    "s",
    "Duration of runs, by the move that ended them.",
    (names.LEG, names.MOVE),
    buckets=RUN_SECONDS,
)
RUN_ERRORS = Counter(
    "gleaner.run.errors",
    "{run}",
    "Runs that ended with an error, by its reason and by whether the job is tried again (the move).",
    (names.LEG, names.MOVE, names.ERROR_TYPE),
)
RENEWALS = Counter("gleaner.lease.renewals", "{lease}", "Leases asked for, by answer.", (names.LEG, names.ANSWER))
RESCUES = Counter("gleaner.lease.rescues", "{job}", "Lapsed leases taken back, by move.", (names.MOVE,))
LOST_RACES = Counter("gleaner.lost_races", "{job}", "Endings that came too late.", (names.LEG, names.MOVE))
SLOTS = Gauge("gleaner.slots", "{slot}", "Places for jobs and synchronous calls: used and free.", (names.SLOT_STATE,))

# Webhooks.
WEBHOOK_DELIVERIES = Counter(
    "gleaner.webhook.deliveries", "{delivery}", "Deliveries that ended: delivered or dead.", (names.OUTCOME,), "worker"
)
WEBHOOK_TRIES = Counter(
    "gleaner.webhook.tries",
    "{try}",
    "Tries of deliveries, and those put off, by outcome and error.",
    (names.OUTCOME, names.ERROR_TYPE),
    "worker",
)
WEBHOOK_AGE = Histogram(
    "gleaner.webhook.delivery.age",
    "s",
    "Age of deliveries that were delivered or given up, from the move they tell of.",
    (names.OUTCOME,),
    "worker",
    AGE_SECONDS,
)
WEBHOOK_DURATION = Histogram(
    "gleaner.webhook.try.duration", "s", "Duration of tries, by outcome.", (names.OUTCOME,), "worker"
)

# Documents and models.
PAGES = Counter("gleaner.pages", "{page}", "Pages read, by where their text came from.", (names.TEXT_SOURCE,), "worker")
GEN_AI_TOKENS = Histogram(
    "gen_ai.client.token.usage",
    "{token}",
    "Tokens of calls to models.",
    (names.GEN_AI_OPERATION, names.GEN_AI_PROVIDER, names.GEN_AI_MODEL, names.GEN_AI_TOKEN_TYPE),
    "worker",
    tuple(float(4**power) for power in range(14)),
)
GEN_AI_DURATION = Histogram(
    "gen_ai.client.operation.duration",
    "s",
    "Duration of calls to models.",
    (names.GEN_AI_OPERATION, names.GEN_AI_PROVIDER, names.GEN_AI_MODEL, names.ERROR_TYPE),
    "worker",
    (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92),
)
MODEL_COST = Counter(
    "gleaner.model.cost",
    "{USD}",
    "What calls to models cost, by the public price list; nothing for a model that has no price.",
    (names.GEN_AI_PROVIDER, names.GEN_AI_MODEL),
    "worker",
)

# What a process stands on.
DB_DURATION = Histogram(
    "db.client.operation.duration",
    "s",
    "Duration of statements; with the class of the error of those that failed.",
    (names.DB_SYSTEM, names.ERROR_TYPE),
    ALL_SERVICES,
    SHORT_SECONDS,
)
DB_CONNECTIONS = Gauge(
    "db.client.connection.count", "{connection}", "Connections to the database.", (names.DB_STATE,), ALL_SERVICES
)
DB_CONNECTIONS_MAX = Gauge(
    "db.client.connection.max", "{connection}", "Connections that the pool may have.", (), ALL_SERVICES
)
DB_PENDING = Gauge(
    "db.client.connection.pending_requests", "{request}", "Statements that wait for a connection.", (), ALL_SERVICES
)
DB_WAIT = Histogram(
    "db.client.connection.wait_time",
    "s",
    "How long statements waited for a connection.",
    (),
    ALL_SERVICES,
    SHORT_SECONDS,
)
CHILD_RESTARTS = Counter(
    "gleaner.children.restarts",
    "{process}",
    "Child processes that died, took too much or lost their caller, and were replaced.",
    (names.CHILD_WORK,),
    SERVERS,
)
CHILD_QUESTIONS = Gauge(
    "gleaner.children.questions",
    "{question}",
    "Questions to child processes: being answered, and waiting for a child.",
    (names.CHILD_WORK, names.CHILD_STATE),
    SERVERS,
)
LOOP_LAG = Histogram(
    "gleaner.event_loop.lag",
    "s",
    "How much later than asked the event loop woke a task: heartbeats are late by as much.",
    (),
    SERVERS,
    SHORT_SECONDS,
)

# The reaper: figures of its last sweep, for its process ends with it.
REAPER_ORPHANS = Gauge(
    "gleaner.reaper.orphans",
    "{row}",
    "Orphans and what is old, in the last sweep, by class and what became of them.",
    (names.ORPHANS, names.OUTCOME),
    "reaper",
)
REAPER_SWEPT = Gauge("gleaner.reaper.swept", "s", "When the last sweep ended, in seconds since 1970.", (), "reaper")

METRICS: Final = tuple(each for each in tuple(vars().values()) if isinstance(each, Metric))
