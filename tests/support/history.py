"""An append-only record of calls and answers, and what must hold of it whatever the interleaving.

One recorder for property tests and chaos: who called what of which job, when the call began and when its answer came
(by one clock, so that "before" means something), and what the answer was; and which events the readers of consumer
groups were handed. The log of the database is put beside it at the end.
"""

import itertools
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path


@dataclass(slots=True)
class Call:
    """A call: `token` is the fencing token it carried or was given, `made` whether it changed anything.

    `key` is the request id of a submit, whose `job` is known only from the answer. `ended` is None for a call that was
    never answered: it may or may not have been carried out.
    """

    actor: str
    what: str
    job: str
    began: int
    token: int | None = None
    made: bool | None = None
    ended: int | None = None
    key: str | None = None


@dataclass(frozen=True, slots=True)
class Logged:
    """An event as the database's log has it, at its `place` (era, transaction, id).

    `owed`: whether a webhook must tell of it.
    """

    job: str
    seq: int
    type: str
    series: int
    final: bool
    event_id: str
    owed: bool = False
    place: tuple[int, int, int] = (0, 0, 0)


@dataclass(frozen=True, slots=True)
class Ended:
    """An outcome as the database has it: who held the job when its leg ended."""

    job: str
    seq: int
    token: int


@dataclass(frozen=True, slots=True)
class Due:
    """A delivery as the database has it."""

    event_id: str
    delivered: bool


@dataclass(frozen=True, slots=True)
class Received:
    """A webhook as its receiver got it."""

    webhook_id: str
    job: str
    body_digest: str


@dataclass(frozen=True, slots=True)
class Group:
    """A consumer group, from the log's beginning on. `once`: it has each event exactly once, else at least once."""

    name: str
    once: bool = False


@dataclass(slots=True)
class Handed:
    """An event as a reader of a group was handed it, or as its sink has it.

    `taken`: the reader was done with it, and then acknowledged it; else it refused it, or broke off over it.
    """

    group: str
    reader: str
    job: str
    event_id: str
    taken: bool = False


@dataclass(frozen=True, slots=True)
class Parked:
    """An event that a group gave up, as the database has it.

    `unseen`: how many of its tries may have failed before a reader saw it, because the server died on the way.
    """

    group: str
    event_id: str
    tries: int
    unseen: int = 0


@dataclass
class History:
    """What happened, in the order in which it began.

    `path`: where each call, and each event with its reader, is written as well, a JSON line, as soon as it is over.
    """

    path: Path | None = None
    calls: list[Call] = field(default_factory=list)
    handed: list[Handed] = field(default_factory=list)
    _clock: Iterator[int] = field(default_factory=itertools.count)

    @contextmanager
    def call(
        self, actor: str, what: str, job: str, token: int | None = None, *, key: str | None = None
    ) -> Iterator[Call]:
        """The call made within the block; set `made` (and `token`, for a claim) to its answer."""
        record = Call(actor, what, job, next(self._clock), token, key=key)
        self.calls.append(record)
        try:
            yield record
            record.ended = next(self._clock)
        finally:
            self._write(record)

    @contextmanager
    def hand(self, group: Group, reader: str, job: str, event_id: str) -> Iterator[Handed]:
        """The event that a reader is at within the block; set `taken` before it is acknowledged."""
        record = Handed(group.name, reader, job, event_id)
        self.handed.append(record)
        try:
            yield record
        finally:
            self._write(record)

    def _write(self, record: Call | Handed) -> None:
        if self.path:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(asdict(record)) + "\n")


CLAIMS = ("mark_running", "mark_suspect_running", "mark_bbox_refining", "mark_suspect_bbox_refining")
SUBMIT = "submit"
RENEW = "renew"
CANCEL = "cancel"
RETRY = "retry"


def violations(
    calls: Sequence[Call],
    log: Iterable[Logged],
    received: Sequence[Received] = (),
    outcomes: Iterable[Ended] = (),
    due: Iterable[Due] = (),
) -> list[str]:
    """Everything in which a history is not what the suite promises; empty if it is."""
    events: dict[str, list[Logged]] = defaultdict(list)
    for event in log:
        events[event.job].append(event)
    for of_job in events.values():
        of_job.sort(key=lambda event: event.seq)
    return [
        *_submits(calls, events),
        *_keys(calls),
        *_obeyed(calls, events),
        *itertools.chain.from_iterable(_log_of(job, of_job) for job, of_job in events.items()),
        *_fencing(calls),
        *_counted(calls, events),
        *_tokens(events, outcomes),
        *_deliveries(events, received),
        *_owed(events, received, {delivery.event_id: delivery for delivery in due}),
    ]


def unfinished(jobs: Iterable[str], log: Iterable[Logged]) -> list[str]:
    """The jobs that are not over by the log; to be asked when nothing is left to do."""
    last: dict[str, Logged] = {}
    for event in log:
        if event.job not in last or last[event.job].seq < event.seq:
            last[event.job] = event
    return [
        f"{job}: never ended, its last event is {last[job].type if job in last else 'none'}: lost"
        for job in jobs
        if job not in last or not last[job].final
    ]


def _submits(calls: Sequence[Call], events: dict[str, list[Logged]]) -> Iterator[str]:
    for job in {call.job for call in calls if call.what == SUBMIT and call.made}:
        if not events[job]:
            yield f"{job}: submitted, and the log does not know it: lost"


def _keys(calls: Sequence[Call]) -> Iterator[str]:
    """A request id makes one job, however often and by however many it is submitted."""
    jobs: dict[str, set[str]] = defaultdict(set)
    for call in calls:
        if call.key and call.job:
            jobs[call.key].add(call.job)
    for key, made in jobs.items():
        if len(made) > 1:
            yield f"request id {key} made {len(made)} jobs: doubled"


def _obeyed(calls: Sequence[Call], events: dict[str, list[Logged]]) -> Iterator[str]:
    """A client that was told that its job is cancelled, or retried, finds that in the log."""
    for call in calls:
        if call.made and (told := TOLD.get(call.what)) and not told & {event.type for event in events[call.job]}:
            yield f"{call.job}: {call.what} was answered, and the log knows nothing of it"


def _log_of(job: str, events: list[Logged]) -> Iterator[str]:
    seqs = [event.seq for event in events]
    if seqs and seqs != list(range(1, len(seqs) + 1)):
        yield f"{job}: seq is {seqs}, not 1, 2, 3, ..."
    ended: set[int] = set()
    for event in events:
        if event.series in ended:
            yield f"{job}: {event.type} (seq {event.seq}) after series {event.series} had ended: doubled"
        if event.final:
            ended.add(event.series)


def _fencing(calls: Sequence[Call]) -> Iterator[str]:
    """No write is accepted that began after a claim with a higher token was answered."""
    claims: dict[str, list[Call]] = defaultdict(list)
    for call in calls:
        if call.what in CLAIMS and call.made and call.ended is not None:
            claims[call.job].append(call)
    for call in calls:
        if call.what in (SUBMIT, *CLAIMS) or call.token is None or not call.made:
            continue
        for claim in claims[call.job]:
            assert claim.token is not None and claim.ended is not None
            if claim.token > call.token and claim.ended < call.began:
                yield (
                    f"{call.job}: {call.what} by {call.actor} with token {call.token} was accepted after"
                    f" {claim.actor} had claimed with {claim.token}"
                )


def _counted(calls: Sequence[Call], events: dict[str, list[Logged]]) -> Iterator[str]:
    """Each claim, and each ending, that was answered is one event; a token is given once."""
    given: dict[tuple[str, int | None], str] = {}
    answered: dict[tuple[str, str], int] = defaultdict(int)
    for call in calls:
        if not call.made:
            continue
        if call.what in CLAIMS:
            if (call.job, call.token) in given:
                yield f"{call.job}: token {call.token} was given to {given[call.job, call.token]} and to {call.actor}"
            given[call.job, call.token] = call.actor
        if event := EVENT_OF.get(call.what):
            answered[call.job, event] += 1
    for (job, event), count in answered.items():
        logged = sum(one.type == event for one in events[job])
        if logged < count:
            yield f"{job}: {count} calls were told {event}, the log has {logged}"


TOLD = {
    CANCEL: {"job.cancelled", "job.refinement_cancelled"},
    RETRY: {"job.retried"},
}
EVENT_OF = {
    "mark_succeeded": "job.succeeded",
    "mark_bbox_refined": "job.succeeded",
    "mark_failed": "job.failed",
    "mark_partial_succeeded": "job.partial_succeeded",
    "mark_running": "job.started",
    "mark_suspect_running": "job.started",
    "mark_bbox_refining": "job.refinement_started",
    "mark_suspect_bbox_refining": "job.refinement_started",
    "mark_bbox_refine_failed": "job.refinement_failed",
}


STARTS = frozenset(EVENT_OF[claim] for claim in CLAIMS)


def _tokens(events: dict[str, list[Logged]], outcomes: Iterable[Ended]) -> Iterator[str]:
    """Each claim raises the token by one: an outcome bears the number of claims before it, or it is a zombie's."""
    for outcome in outcomes:
        claims = sum(event.type in STARTS and event.seq < outcome.seq for event in events[outcome.job])
        if claims != outcome.token:
            yield f"{outcome.job}: seq {outcome.seq} was written under token {outcome.token} after {claims} claims"


def _owed(events: dict[str, list[Logged]], received: Sequence[Received], due: dict[str, Due]) -> Iterator[str]:
    """What must be told has a delivery, and what counts as delivered was received."""
    arrived = {webhook.webhook_id for webhook in received}
    for event in itertools.chain.from_iterable(events.values()):
        if event.owed and event.event_id not in due:
            yield f"{event.job}: nobody is to be told of {event.type} (seq {event.seq})"
    for delivery in due.values():
        if delivery.delivered and delivery.event_id not in arrived:
            yield f"webhook {delivery.event_id} counts as delivered and never arrived"


def _deliveries(events: dict[str, list[Logged]], received: Iterable[Received]) -> Iterator[str]:
    known = {event.event_id: event for of_job in events.values() for event in of_job}
    bodies: dict[str, set[str]] = defaultdict(set)
    for webhook in received:
        bodies[webhook.webhook_id].add(webhook.body_digest)
        event = known.get(webhook.webhook_id)
        if event is None or event.job != webhook.job:
            yield f"{webhook.job}: webhook {webhook.webhook_id} tells of no event of it"
    for webhook_id, said in bodies.items():
        if len(said) > 1:
            yield f"webhook {webhook_id} said {len(said)} things"


def misread(group: Group, log: Iterable[Logged], handed: Iterable[Handed], parked: Iterable[Parked] = ()) -> list[str]:
    """Everything in which a group did not read the log as is promised; to be asked when nothing is left to read."""
    events = {event.event_id: event for event in sorted(log, key=lambda event: event.place)}
    mine = [one for one in handed if one.group == group.name]
    given_up = [one for one in parked if one.group == group.name]
    return [
        *_made_up(group, events, mine),
        *_skipped(group, events, mine, given_up),
        *_disordered(group, events, mine),
        *(_repeated(group, events, mine) if group.once else ()),
        *_given_up(group, mine, given_up),
    ]


def _made_up(group: Group, events: dict[str, Logged], handed: Iterable[Handed]) -> Iterator[str]:
    for one in handed:
        event = events.get(one.event_id)
        if event is None or event.job != one.job:
            yield f"{one.job}: {group.name} was handed {one.event_id}, which is no event of it"


def _skipped(
    group: Group, events: dict[str, Logged], handed: Iterable[Handed], parked: Iterable[Parked]
) -> Iterator[str]:
    """A reader that refused an event, or broke off over it, has not had it; what is parked waits for its replay."""
    had = {one.event_id for one in handed if one.taken}
    if not group.once:
        had |= {one.event_id for one in parked}
    for event in events.values():
        if event.event_id not in had:
            yield f"{event.job}: {event.type} (seq {event.seq}) passed {group.name} by: lost"


def _disordered(group: Group, events: dict[str, Logged], handed: Iterable[Handed]) -> Iterator[str]:
    """What is handed for the first time comes in the log's order, whoever reads and however often others come again."""
    reached = (0, 0, 0)
    for event_id in dict.fromkeys(one.event_id for one in handed if one.event_id in events):
        event = events[event_id]
        if event.place < reached:
            yield f"{event.job}: {event.type} (seq {event.seq}) came to {group.name} after later ones of the log"
        reached = max(reached, event.place)


def _repeated(group: Group, events: dict[str, Logged], handed: Iterable[Handed]) -> Iterator[str]:
    for event_id, count in Counter(one.event_id for one in handed).items():
        if count > 1 and (event := events.get(event_id)):
            yield f"{event.job}: {event.type} (seq {event.seq}) is {count} times in {group.name}: doubled"


def _given_up(group: Group, handed: Iterable[Handed], parked: Iterable[Parked]) -> Iterator[str]:
    """Each try of a parked event was one of its readers', or one that none of them could see."""
    times = Counter(one.event_id for one in handed)
    for one in parked:
        seen = times[one.event_id]
        if one.tries > seen + one.unseen:
            yield f"{group.name} parked {one.event_id} for {one.tries} tries, and its readers know of {seen}"


def lost_and_doubled(found: Sequence[str]) -> tuple[int, int]:
    """How many violations mean that a job, or an event on its way to a group, was lost, and how many that a job ended,
    or an event came to a sink, twice."""
    return sum(text.endswith("lost") for text in found), sum(text.endswith("doubled") for text in found)
