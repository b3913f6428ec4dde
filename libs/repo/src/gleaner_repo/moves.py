"""The state machine: the only file that knows which move of a job is legal.

A statement is a head (which rows), a tail (the move, its stamps, what follows) and what the caller gets to see. The
heads: rows that the queue offers, rows that a caller names (as holder or as tenant), rows whose lease lapsed, jobs that
are over. The table in docs/moves.md, the property test's model and the metric's labels are read from MOVES too.

Plans cannot flip: rows are reached by `id = ANY(ARRAY(SELECT ...))` over a materialised pick or by LATERAL on the
primary key, never by a join (docs/adr/0004-plan-proof-statements.md).
"""

from collections.abc import Iterable
from dataclasses import dataclass

from gleaner_core.states import Refinement, State

Q, R, P, B, S, F, C = (
    State.QUEUED,
    State.RUNNING,
    State.PARTIAL_SUCCEEDED,
    State.REFINING_BBOXES,
    State.SUCCEEDED,
    State.FAILED,
    State.CANCELLED,
)

EXTRACTION, REFINEMENT = 1, 2
"""The legs of a job."""

SUSPECT_LAPSES = 2
"""From this many lapses on a job runs alone in its worker process. Stands in an index predicate too (0001)."""

SMALL_REQUEST = 8 * 1024
"""Bytes of a request up to which it comes with the claim: as many as a worker claims at once fit into the buffers of a
connection (docs/adr/0013-what-a-claim-returns.md)."""

EVENT_TYPES = {
    "job.submitted": 1,
    "job.started": 2,
    "job.requeued": 3,
    "job.handed_back": 4,
    "job.rescued": 5,
    "job.partial_succeeded": 6,
    "job.succeeded": 7,
    "job.failed": 8,
    "job.cancelled": 9,
    "job.refinement_started": 10,
    "job.refinement_requeued": 11,
    "job.refinement_handed_back": 12,
    "job.refinement_rescued": 13,
    "job.refinement_failed": 14,
    "job.refinement_cancelled": 15,
    "job.retried": 16,
}
EVENT_NAMES = {number: name for name, number in EVENT_TYPES.items()}


def event_name(number: int) -> str:
    """The event's name; `job.unknown_<number>` of one that a later version has written, during a roll-out."""
    return EVENT_NAMES.get(number, f"job.unknown_{number}")


FINAL_EVENTS = frozenset(
    {"job.succeeded", "job.failed", "job.cancelled", "job.refinement_failed", "job.refinement_cancelled"}
)
"""Each series has exactly one of these."""

CALLBACK_EVENTS = FINAL_EVENTS | {"job.partial_succeeded"}
"""What a job's callback URL is told of."""

# Guards: who may make a move.
DUE = "queue.available_at <= now() AND queue.available_at >= $5 AND queue.lapses < 2"
SUSPECT = "queue.available_at <= now() AND queue.available_at >= $5 AND queue.lapses >= 2"
HOLDER = "queue.lease_token = input.lease_token"
PATIENT_HOLDER = (
    HOLDER + " AND (queue.hand_backs < $3 OR queue.lapses + 1 < $4)"
)  # else the lease runs out, and ends it
LAST_HOLDER = """CASE WHEN (queue.id, queue.lease_token) IN (
        SELECT input.id, input.lease_token FROM unnest($1::uuid[], $2::int[]) AS input (id, lease_token)
    ) THEN true END"""
TENANT = "queue.tenant_id = $2"  # a client's move: never by id alone
LAPSED = "queue.lease_expires_at < now() AND queue.lapses + 1 < $2"
WORN_OUT = "queue.lease_expires_at < now() AND queue.lapses + 1 >= $2"
OVER = "ended.refinement IS NULL"
REFINEMENT_OVER = "ended.refinement IN ('FAILED', 'CANCELLED')"

# Stamps: what a move sets besides the state.
FREE = "ready = true, holder = NULL, lease_expires_at = NULL"
GRANT = """ready = false, lease_token = queue.lease_token + 1, attempt = queue.attempt + 1, holder = $4,
        started_at = clock_timestamp(), lease_expires_at = clock_timestamp() + $2"""
DEFER = f"""{FREE}, error = chosen.error, available_at = clock_timestamp() + chosen.delay"""
UNCOUNT = f"""{FREE}, attempt = queue.attempt - 1, hand_backs = queue.hand_backs + 1,
        lapses = queue.lapses + (queue.hand_backs >= $3)::int::smallint, available_at = clock_timestamp()"""
NEXT_LEG = f"""{FREE}, leg = 2, attempt = 0, lapses = 0, hand_backs = 0, error = NULL,
        available_at = clock_timestamp()"""
# At once the first time, so that a worker's death costs a lease and no more; then capped exponential with full jitter.
REVIVE = f"""{FREE}, attempt = queue.attempt - 1, lapses = queue.lapses + 1, available_at = clock_timestamp()
        + CASE queue.lapses WHEN 0 THEN interval '0' ELSE random() * least($7::interval, $6::interval * 2 ^ queue.lapses) END"""
END = ""  # the row goes; the outcome stays
AGAIN = ""  # the row comes back from the newest outcome

CRASHED = """'{"reason": "WORKER_CRASHED", "message": "the leases of this job ran out too often: its workers died over it", "retryable": false}'::jsonb"""


@dataclass(frozen=True, slots=True)
class Move:
    """One legal step. `refinement` is what the outcome says of the boxes, for a step that ends the job there."""

    name: str
    leg: int
    from_states: tuple[State, ...]
    to_state: State
    guard: str
    stamps: str
    event: str
    refinement: Refinement | None = None

    @property
    def ends(self) -> bool:
        """Whether the job is over after it."""
        return self.event in FINAL_EVENTS

    @property
    def leg_after(self) -> int:
        """The leg that the job is on after it, or ended on."""
        return REFINEMENT if self.stamps is NEXT_LEG else self.leg

    @property
    def told(self) -> tuple[str, ...]:
        """What its holder tells besides the lease: fields of `Finished`, the statement's arguments from $3 on."""
        told = {DEFER: ("delay", "error"), UNCOUNT: (), NEXT_LEG: ("result", "artefact")}
        return told.get(self.stamps, ("error",) if self.event in _BODIES else ("result",))


# fmt: off
MOVES = {move.name: move for move in (
    #    name                              leg  from    to guard            stamps    event
    Move("mark_running",                   1,   (Q,),   R, DUE,             GRANT,    "job.started"),
    Move("mark_suspect_running",           1,   (Q,),   R, SUSPECT,         GRANT,    "job.started"),
    Move("mark_succeeded",                 1,   (R,),   S, LAST_HOLDER,     END,      "job.succeeded"),
    Move("mark_partial_succeeded",         1,   (R,),   P, HOLDER,          NEXT_LEG, "job.partial_succeeded"),
    Move("mark_failed",                    1,   (R,),   F, LAST_HOLDER,     END,      "job.failed"),
    Move("requeue_for_retry",              1,   (R,),   Q, HOLDER,          DEFER,    "job.requeued"),
    Move("hand_back",                      1,   (R,),   Q, PATIENT_HOLDER,  UNCOUNT,  "job.handed_back"),
    Move("rescue",                         1,   (R,),   Q, LAPSED,          REVIVE,   "job.rescued"),
    Move("fail_crashed",                   1,   (R,),   F, WORN_OUT,        END,      "job.failed"),
    Move("mark_cancelled",                 1,   (Q,),   C, TENANT,          END,      "job.cancelled"),
    Move("cancel_even_running",            1,   (Q, R), C, TENANT,          END,      "job.cancelled"),
    Move("retry_job",                      1,   (F, C), Q, OVER,            AGAIN,    "job.retried"),

    Move("mark_bbox_refining",             2,   (P,),   B, DUE,             GRANT,    "job.refinement_started"),
    Move("mark_suspect_bbox_refining",     2,   (P,),   B, SUSPECT,         GRANT,    "job.refinement_started"),
    Move("mark_bbox_refined",              2,   (B,),   S, LAST_HOLDER,     END,      "job.succeeded",            Refinement.SUCCEEDED),
    Move("mark_bbox_refine_failed",        2,   (B,),   P, LAST_HOLDER,     END,      "job.refinement_failed",    Refinement.FAILED),
    Move("requeue_bbox_refine",            2,   (B,),   P, HOLDER,          DEFER,    "job.refinement_requeued"),
    Move("hand_back_bbox_refine",          2,   (B,),   P, PATIENT_HOLDER,  UNCOUNT,  "job.refinement_handed_back"),
    Move("rescue_bbox_refine",             2,   (B,),   P, LAPSED,          REVIVE,   "job.refinement_rescued"),
    Move("fail_crashed_bbox_refine",       2,   (B,),   P, WORN_OUT,        END,      "job.refinement_failed",    Refinement.FAILED),
    Move("cancel_bbox_refine",             2,   (P,),   P, TENANT,          END,      "job.refinement_cancelled", Refinement.CANCELLED),
    Move("cancel_bbox_refine_even_running", 2,  (P, B), P, TENANT,          END,      "job.refinement_cancelled", Refinement.CANCELLED),
    Move("retry_bbox_refine",              2,   (P,),   P, REFINEMENT_OVER, AGAIN,    "job.retried"),
)}
# fmt: on


def states_after(event: str, leg: int) -> tuple[State | None, Refinement | None]:
    """What a job is right after an event: its state, and that of its refinement. Of one that a later version wrote,
    during its roll-out, that is not known.
    """
    if event == "job.submitted":
        return State.QUEUED, None
    move = next((move for move in MOVES.values() if (move.event, move.leg) == (event, leg)), None)
    if move is None:
        return None, None
    waiting = {State.PARTIAL_SUCCEEDED: Refinement.PENDING, State.REFINING_BBOXES: Refinement.RUNNING}
    return move.to_state, move.refinement if move.ends else waiting.get(move.to_state)


# What a moved row tells the rest of its statement. Each column is written to memory once and read up to three times.
_ROW = """queue.id, queue.tenant_id, queue.series, queue.seq, queue.attempt, queue.lapses, queue.hand_backs,
        queue.lease_token, queue.started_at, queue.has_callback, gleaner_event_id(queue.id, queue.seq) AS event_id"""
_LAST = _ROW.replace("queue.seq,", "queue.seq + 1 AS seq,").replace("queue.seq)", "queue.seq + 1)")
_CLAIMED = """queue.id, queue.tenant_id, queue.series, queue.seq, queue.attempt, queue.lapses, queue.lease_token,
        queue.available_at, queue.started_at, gleaner_event_id(queue.id, queue.seq) AS event_id"""
_MOVED = """moved.id, moved.tenant_id, moved.series, moved.seq, moved.attempt, moved.lapses, moved.hand_backs,
    moved.lease_token"""


def offered(move: Move) -> str:
    """Make `move` for up to $1 jobs that the queue offers, the oldest; in no order.

    $2 interval: the lease. $3 smallint: the leg. $4 uuid: the holder. $5 timestamptz: skip what waits longer than this
    (a low watermark; -infinity for a full look). Index: queue_claim_idx, or queue_suspect_idx. Traps: without
    MATERIALIZED the planner may run the pick again and exceed the limit; and a statement commits once its answer is
    sent, so that a large one, to a worker that has stopped reading, would keep the jobs from everybody and hold up the
    log. Hence no bodies but small requests: `bodies.sql` reads the others.
    """
    request = (
        f"CASE WHEN octet_length(jobs.request) <= {SMALL_REQUEST} THEN jobs.request END"
        if move.leg == EXTRACTION
        else "NULL"
    )
    return f"""WITH chosen AS MATERIALIZED (
    SELECT queue.id
    FROM queue
    WHERE queue.ready AND queue.leg = $3 AND {move.guard}
    ORDER BY queue.available_at
    LIMIT $1
    FOR UPDATE SKIP LOCKED
),
{_tail(move, returning=_CLAIMED)}
SELECT moved.id, moved.lease_token, moved.tenant_id, moved.series, moved.seq, moved.attempt, moved.lapses,
    jobs.created_at, moved.available_at, moved.started_at, jobs.trace_context, {request} AS request
FROM moved
CROSS JOIN LATERAL (
    SELECT * FROM jobs WHERE jobs.tenant_id = moved.tenant_id AND jobs.id = moved.id
) AS jobs"""


_TYPES = {"delay": "interval", "error": "jsonb", "result": "bytea", "artefact": "bytea"}


def _input(move: Move) -> str:
    """The leases that the caller names, with what he tells."""
    arrays = ["$1::uuid[]", "$2::int[]", *(f"${n}::{_TYPES[name]}[]" for n, name in enumerate(move.told, 3))]
    return f"unnest({', '.join(arrays)}) AS input ({', '.join(('id', 'lease_token', *move.told))})"


def held(move: Move) -> str:
    """Make `move` for the leases that the caller names, while the job goes on.

    $1 uuid[] and $2 int[]: jobs and fencing tokens; from $3 on what is told, arrays too (`Move.told`), or of a hand-back
    how many are free and how many lapses end the leg. Locks in id order; one probe of the primary key a row.
    """
    return f"""WITH input AS MATERIALIZED (
    SELECT *
    FROM {_input(move)}
    ORDER BY id
),
chosen AS MATERIALIZED (
    SELECT DISTINCT ON (input.id) input.*, picked.attempt, picked.lapses
    FROM input
    CROSS JOIN LATERAL (
        SELECT queue.attempt, queue.lapses
        FROM queue
        WHERE queue.id = input.id AND {_from(move)} AND {move.guard}
        FOR UPDATE
    ) AS picked
),
{_tail(move, told=move.told)}
SELECT {_MOVED} FROM moved"""


def ended_by_holder(move: Move) -> str:
    """Make `move` for the leases that the caller names; it ends the job.

    Arguments as in `held`, but no lease twice. The deletion itself looks at the token, and looks again at the row as it
    is once it has waited for it: no lock before (54 bytes of WAL and a probe a job). Trap: outside of CASE the planner
    may turn the look into a join with the whole table; inside it is a hash of what was named.
    """
    return f"""WITH chosen AS (
    SELECT input.*
    FROM {_input(move)}
),
moved AS (
    DELETE FROM queue
    WHERE queue.id = ANY ($1::uuid[]) AND {_from(move)} AND {move.guard}
    RETURNING {_LAST}
),
{_outcome(move, told=move.told, counts="moved", on="id, lease_token")}{_follow_up(move, on="id, lease_token")}
SELECT {_MOVED} FROM moved"""


def owned(move: Move) -> str:
    """Make `move` for jobs of a tenant. $1 uuid[]: jobs; $2 text: the tenant; $3 text: the reason."""
    return f"""WITH input AS MATERIALIZED (
    SELECT DISTINCT id FROM unnest($1::uuid[]) AS input (id) ORDER BY id
),
chosen AS MATERIALIZED (
    SELECT input.id, picked.attempt, picked.lapses, nullif($3::text, '') AS reason
    FROM input
    CROSS JOIN LATERAL (
        SELECT queue.attempt, queue.lapses
        FROM queue
        WHERE queue.id = input.id AND {_from(move)} AND {move.guard}
        FOR UPDATE
    ) AS picked
),
{_tail(move, told=("reason",))}
SELECT {_MOVED} FROM moved"""


def lapsed(move: Move) -> str:
    """Make `move` for up to $1 jobs whose lease ran out.

    $2 int: how many lapses end a leg. $3 uuid[], $4 int[] and $5 timestamptz[]: only these leases, unchanged since
    they were seen; null for all. $6 and $7 interval (if the leg goes on): first and longest back-off. Reads the few
    leased rows by the front of queue_pkey: an index on the expiry would make no renewal HOT.
    """
    told = ("error",) if move.ends else ()
    return f"""WITH chosen AS MATERIALIZED (
    SELECT queue.id, queue.attempt, queue.lapses + 1 AS lapses{f", {CRASHED} AS error" if move.ends else ""}
    FROM queue
    WHERE {_from(move)} AND {move.guard}
        AND ($3::uuid[] IS NULL OR EXISTS (
            SELECT FROM unnest($3::uuid[], $4::int[], $5::timestamptz[]) AS seen (id, lease_token, lease_expires_at)
            WHERE seen.id = queue.id AND seen.lease_token = queue.lease_token
                AND seen.lease_expires_at = queue.lease_expires_at
        ))
    ORDER BY queue.id
    LIMIT $1
    FOR UPDATE SKIP LOCKED
),
{_tail(move, told=told)}
SELECT {_MOVED} FROM moved"""


def ended(move: Move) -> str:
    """Make `move` for jobs of a tenant that are over: the row comes back from the newest outcome, token and seq kept.

    $1 uuid[]: jobs; $2 text: the tenant; $3 smallint: the series that is over, or null for whichever is the newest: who
    asks again because an answer was lost begins no second one. Traps: from a stale snapshot this fails on the event's
    (job, seq), which counts as a lost race. And the job's row is locked, for a deletion under way cannot see the row
    that comes back.
    """
    return f"""WITH chosen AS MATERIALIZED (
    SELECT ended.job_id AS id, ended.*
    FROM (SELECT DISTINCT id FROM unnest($1::uuid[]) AS input (id) ORDER BY id) AS input
    CROSS JOIN LATERAL (
        SELECT * FROM outcomes WHERE outcomes.job_id = input.id ORDER BY outcomes.seq DESC LIMIT 1
    ) AS ended
    CROSS JOIN LATERAL (
        SELECT FROM jobs WHERE jobs.tenant_id = ended.tenant_id AND jobs.id = ended.job_id FOR KEY SHARE
    ) AS kept
    WHERE ended.tenant_id = $2 AND ended.state IN ({_names(move.from_states)}) AND {move.guard}
        AND ($3::smallint IS NULL OR ended.series = $3)
        AND (SELECT count(*) FROM queue WHERE queue.ready IN (false, true) AND queue.id = ended.job_id) = 0
),
moved AS (
    INSERT INTO queue AS queue (id, tenant_id, has_callback, leg, series, lease_token, seq)
    SELECT id, tenant_id, has_callback, {move.leg}, series + 1, lease_token, seq + 1
    FROM chosen
    RETURNING {_ROW}
),
{_follow_up(move)}
SELECT {_MOVED} FROM moved"""


def _tail(move: Move, *, told: tuple[str, ...] = (), returning: str = _ROW) -> str:
    """The move itself, and what must follow it in the same statement. `told`: what the chosen rows say of it."""
    picked = "queue.id = ANY (ARRAY(SELECT chosen.id FROM chosen))"
    if move.ends:
        change = f"""DELETE FROM queue
    WHERE {picked} AND {_from(move)}
    RETURNING {_LAST}"""
    else:
        by_row = ("\n    FROM chosen", " AND chosen.id = queue.id") if "chosen." in move.stamps else ("", "")
        change = f"""UPDATE queue
    SET seq = queue.seq + 1, {move.stamps}{by_row[0]}
    WHERE {picked}{by_row[1]} AND {_from(move)}
    RETURNING {returning}"""
    return f"""moved AS (
    {change}
),
{_outcome(move, told=told)}{_follow_up(move)}"""


def _outcome(move: Move, *, told: tuple[str, ...], counts: str = "chosen", on: str = "id") -> str:
    """The outcome of a move that ends a leg. `counts`: which rows have those of the leg that ended; after a move to the
    next leg the moved rows have those of that one."""
    if not move.ends and move.stamps is not NEXT_LEG:
        return ""
    refinement = f"'{move.refinement}'" if move.refinement else "NULL"
    return f"""outcome AS (
    INSERT INTO outcomes (job_id, seq, tenant_id, leg, series, state, refinement, has_callback, attempt, lapses,
        lease_token, started_at, {", ".join(told)})
    SELECT moved.id, moved.seq, moved.tenant_id, {move.leg}, moved.series, '{move.to_state}', {refinement},
        moved.has_callback, {counts}.attempt, {counts}.lapses, moved.lease_token, moved.started_at,
        {", ".join(f"chosen.{name}" for name in told)}
    FROM moved JOIN chosen USING ({on})
),
"""


_REASON = "CASE WHEN chosen.reason IS NULL THEN '' ELSE jsonb_build_object('reason', chosen.reason)::text END"
_ERROR = "coalesce(chosen.error::text, '')"
_BODIES = {
    "job.requeued": _ERROR,
    "job.failed": _ERROR,
    "job.cancelled": _REASON,
    "job.refinement_requeued": _ERROR,
    "job.refinement_failed": _ERROR,
    "job.refinement_cancelled": _REASON,
}
"""What an event has to say, of the chosen rows; the others have nothing."""


def _follow_up(move: Move, *, on: str = "id") -> str:
    """The event, and the deliveries it is owed.

    The event's id is made with the moved row, and a row is joined only for an event that has something to say: of two
    short-lived row sets the planner expects one row each, and may compare every one with every other (a claim of 500
    took 37 ms instead of 12).
    """
    body = _BODIES.get(move.event)
    callback = (
        f"""
    UNION ALL
    SELECT moved.event_id, '00000000-0000-0000-0000-000000000000', moved.tenant_id, moved.id, moved.seq, {EVENT_TYPES[move.event]}, jobs.callback_url
    FROM moved
    CROSS JOIN LATERAL (
        SELECT jobs.callback_url FROM jobs WHERE jobs.tenant_id = moved.tenant_id AND jobs.id = moved.id OFFSET 0
    ) AS jobs
    WHERE moved.has_callback"""
        if move.event in CALLBACK_EVENTS
        else ""
    )
    return f"""event AS (
    INSERT INTO events (era, event_id, job_id, seq, tenant_id, type, leg, series, attempt, body)
    SELECT (SELECT era FROM log_era), moved.event_id, moved.id, moved.seq, moved.tenant_id,
        {EVENT_TYPES[move.event]}, {move.leg}, moved.series, moved.attempt, {body or "''"}
    FROM moved{f" JOIN chosen USING ({on})" if body else ""}
),
delivery AS (
    INSERT INTO deliveries (event_id, endpoint_id, tenant_id, job_id, seq, type, url)
    SELECT moved.event_id, target.id, moved.tenant_id, moved.id, moved.seq, {EVENT_TYPES[move.event]}, target.url
    FROM moved
    CROSS JOIN LATERAL (
        SELECT endpoints.id, endpoints.url
        FROM endpoints
        WHERE endpoints.tenant_id = moved.tenant_id AND endpoints.disabled_at IS NULL
            AND {EVENT_TYPES[move.event]} = ANY (endpoints.event_types)
        OFFSET 0  -- a fence: else the join may be turned round, and all tenants' endpoints be read
    ) AS target
    WHERE (SELECT EXISTS (SELECT FROM endpoints))  -- asked once, before a row is read: most databases have none{callback}
)"""


_READY = {True: "queue.ready", False: "NOT queue.ready", None: "queue.ready IN (false, true)"}


def _from(move: Move) -> str:
    """The states a move is legal from, as the queue has them: `ready`, the first column of queue_pkey, and the leg.

    Trap: with `leg = 1` the planner may read all of queue_claim_idx, whose first column that is.
    """
    waiting = {state in (Q, P) for state in move.from_states}
    return f"{_READY[None if len(waiting) > 1 else waiting.pop()]} AND queue.leg IS NOT DISTINCT FROM {move.leg}"


def _names(states: Iterable[State]) -> str:
    return ", ".join(f"'{state}'" for state in states)
