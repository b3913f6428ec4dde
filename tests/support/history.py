"""An append-only record of calls and answers, and what must hold of it whatever the interleaving.

One recorder for property tests and chaos: who called what of which job, when the call began and when its answer came
(by one clock, so that "before" means something), and what the answer was. The log of the database is put beside it at
the end.
"""

import itertools
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path


@dataclass(slots=True)
class Call:
    """A call: `token` is the fencing token it carried or was given, `made` whether it changed anything.

    `ended` is None for a call that was never answered: it may or may not have been carried out.
    """

    actor: str
    what: str
    job: str
    began: int
    token: int | None = None
    made: bool | None = None
    ended: int | None = None


@dataclass(frozen=True, slots=True)
class Logged:
    """An event as the database's log has it."""

    job: str
    seq: int
    type: str
    series: int
    final: bool
    event_id: str


@dataclass(frozen=True, slots=True)
class Received:
    """A webhook as its receiver got it."""

    webhook_id: str
    job: str
    body_digest: str


@dataclass
class History:
    """What happened. `path`: where each call is written as well, a JSON line, as soon as it is answered."""

    path: Path | None = None
    calls: list[Call] = field(default_factory=list)
    _clock: Iterator[int] = field(default_factory=itertools.count)

    @contextmanager
    def call(self, actor: str, what: str, job: str, token: int | None = None) -> Iterator[Call]:
        """The call made within the block; set `made` (and `token`, for a claim) to its answer."""
        record = Call(actor, what, job, next(self._clock), token)
        self.calls.append(record)
        try:
            yield record
            record.ended = next(self._clock)
        finally:
            if self.path:
                with self.path.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(asdict(record)) + "\n")


CLAIMS = ("mark_running", "mark_suspect_running", "mark_bbox_refining", "mark_suspect_bbox_refining")
SUBMIT = "submit"
RENEW = "renew"


def violations(calls: Sequence[Call], log: Iterable[Logged], received: Iterable[Received] = ()) -> list[str]:
    """Everything in which a history is not what the suite promises; empty if it is."""
    events: dict[str, list[Logged]] = defaultdict(list)
    for event in log:
        events[event.job].append(event)
    for of_job in events.values():
        of_job.sort(key=lambda event: event.seq)
    return [
        *_submits(calls, events),
        *itertools.chain.from_iterable(_log_of(job, of_job) for job, of_job in events.items()),
        *_fencing(calls),
        *_counted(calls, events),
        *_deliveries(events, received),
    ]


def _submits(calls: Sequence[Call], events: dict[str, list[Logged]]) -> Iterator[str]:
    for job in {call.job for call in calls if call.what == SUBMIT and call.made}:
        if not events[job]:
            yield f"{job}: submitted, and the log does not know it: lost"


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


def lost_and_doubled(found: Sequence[str]) -> tuple[int, int]:
    """How many violations mean a lost job, and how many one that ended twice."""
    return sum(text.endswith("lost") for text in found), sum(text.endswith("doubled") for text in found)
