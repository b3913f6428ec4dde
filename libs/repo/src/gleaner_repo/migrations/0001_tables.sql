-- 0001: what was asked, what is alive, how it ended, what happened, who must be told, what was read.

-- An event's id, a UUIDv7 (RFC 9562): the time, the job's seq where the version leaves room, and the job's own chance, for
-- its id is a UUIDv7 too. New chance for each event would take longer than to write it: most builds ask the kernel.
CREATE FUNCTION gleaner_event_id(job uuid, seq int) RETURNS uuid LANGUAGE sql VOLATILE PARALLEL SAFE AS $sql$
    SELECT encode(
        overlay(
            uuid_send(job)
            PLACING int8send(
                ((date_part('epoch', clock_timestamp()) * 1000)::bigint << 16) | x'7000'::bigint | (seq & x'fff'::int)
            )
            FROM 1 FOR 8
        ),
        'hex'
    )::uuid
$sql$;

-- The log's era rises when the database is restored into a cluster whose transaction ids start lower.
CREATE TABLE log_era (
    era smallint NOT NULL,
    one boolean PRIMARY KEY DEFAULT true CHECK (one)
);
INSERT INTO log_era (era) VALUES (1);

-- What was asked: never updated, read by list newest first through its key (ids are UUIDv7).
CREATE TABLE jobs (
    id            uuid NOT NULL,
    created_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    tenant_id     text NOT NULL,
    request_key   text CHECK (request_key <> '' AND octet_length(request_key) <= 255),
    fingerprint   bytea NOT NULL,
    request       bytea NOT NULL,              -- what to do: read by the worker
    about         bytea NOT NULL,              -- what to show: read by get and list
    callback_url  text,
    trace_context text,
    PRIMARY KEY (tenant_id, id)
);
CREATE UNIQUE INDEX jobs_key_idx ON jobs (tenant_id, request_key) WHERE request_key IS NOT NULL;

-- What is alive: one hot row a job, gone when the job is over. Leg and `ready` are its state, see gleaner_state.
-- Columns by alignment, and what a claim changes last: it writes a fifth less into the write-ahead log.
CREATE TABLE queue (
    id               uuid NOT NULL,
    available_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    series           smallint NOT NULL DEFAULT 1,  -- +1 at every retry by hand
    leg              smallint NOT NULL DEFAULT 1 CHECK (leg = 1 OR leg = 2),
    lapses           smallint NOT NULL DEFAULT 0,  -- leases that ran out
    hand_backs       smallint NOT NULL DEFAULT 0,
    tenant_id        text NOT NULL,
    has_callback     boolean NOT NULL,
    ready            boolean NOT NULL DEFAULT true,
    attempt          smallint NOT NULL DEFAULT 0,  -- runs begun, not handed back or rescued
    lease_token      int NOT NULL DEFAULT 0,       -- fencing: +1 at every claim, never restarts
    seq              int NOT NULL DEFAULT 1,       -- +1 at every move: orders the events of a job
    started_at       timestamptz,
    lease_expires_at timestamptz,                  -- in no index: else no renewal is a HOT update
    holder           uuid,
    error            jsonb,                        -- why it waits for another attempt

    -- Both ways to a row, by id and by lease, through one index: rescue reads the few rows that are not ready. That a job
    -- has one row and no more is seen to by the key of jobs, and by that of its outcomes and events at a retry.
    PRIMARY KEY (ready, id),
    -- What every reader relies on: ready and lease say the same thing.
    CONSTRAINT queue_leased_iff_running CHECK (ready = (lease_expires_at IS NULL) AND ready = (holder IS NULL)),
    CONSTRAINT queue_counts CHECK (attempt >= 0 AND lapses >= 0 AND hand_backs >= 0 AND seq > 0 AND lease_token >= 0)
) WITH (fillfactor = 40, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0);

-- Without the id: with it the planner may look for ids in all of them.
CREATE INDEX queue_claim_idx ON queue (leg, available_at) WHERE ready;
CREATE INDEX queue_suspect_idx ON queue (leg, available_at) WHERE ready AND lapses >= 2;

CREATE FUNCTION gleaner_state(leg smallint, ready boolean) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $sql$
    SELECT CASE leg
        WHEN 1 THEN CASE WHEN ready THEN 'QUEUED' ELSE 'RUNNING' END
        WHEN 2 THEN CASE WHEN ready THEN 'PARTIAL_SUCCEEDED' ELSE 'REFINING_BBOXES' END
    END
$sql$;

-- A job that is alive is not deleted. A foreign key of its queue row would see to it, too, and cost every submit a lock on
-- the job's row; here only the deletion pays. It has a snapshot of its own and so sees the row of a retry that the
-- deleting statement cannot see; a retry that comes later finds no job to lock.
CREATE FUNCTION gleaner_keep_what_is_alive() RETURNS trigger LANGUAGE plpgsql AS $body$
BEGIN
    IF EXISTS (SELECT FROM gone JOIN queue ON queue.ready IN (false, true) AND queue.id = gone.id) THEN
        RAISE foreign_key_violation USING MESSAGE = 'a job that is alive cannot be deleted';
    END IF;
    RETURN NULL;
END
$body$;

CREATE TRIGGER jobs_keep_what_is_alive AFTER DELETE ON jobs
REFERENCING OLD TABLE AS gone
FOR EACH STATEMENT EXECUTE FUNCTION gleaner_keep_what_is_alive();

-- How a leg ended: never updated. A job that is over is what its newest outcome says.
CREATE TABLE outcomes (
    job_id      uuid NOT NULL,
    started_at  timestamptz,
    ended_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    seq         int NOT NULL,
    lease_token int NOT NULL,
    leg         smallint NOT NULL,
    series      smallint NOT NULL,
    attempt     smallint NOT NULL,
    lapses      smallint NOT NULL,
    has_callback boolean NOT NULL,
    tenant_id   text NOT NULL,
    state       text NOT NULL CHECK (state IN ('SUCCEEDED', 'PARTIAL_SUCCEEDED', 'FAILED', 'CANCELLED')),
    refinement  text CHECK (refinement IN ('SUCCEEDED', 'FAILED', 'CANCELLED')),
    reason      text,
    error       jsonb,
    result      bytea,
    artefact    bytea,  -- the pages as they were read, for the next leg
    PRIMARY KEY (job_id, seq)
);
-- Jobs that failed, were cancelled or kept a result without boxes, without all that were refined since: the outcome of an
-- extraction whose boxes are to follow says PARTIAL_SUCCEEDED too, and its job is alive or has a later outcome.
CREATE INDEX outcomes_rare_idx ON outcomes (tenant_id, state, job_id)
    WHERE state IN ('FAILED', 'CANCELLED') OR refinement IN ('FAILED', 'CANCELLED');

-- What happened: an append-only log. Position (era, xid, id) orders the log; seq orders a job.
CREATE TABLE events (
    xid       xid8 NOT NULL DEFAULT pg_current_xact_id(),
    id        bigint GENERATED ALWAYS AS IDENTITY (CACHE 32),
    at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    event_id  uuid NOT NULL,
    job_id    uuid NOT NULL,
    seq       int NOT NULL,
    era       smallint NOT NULL,
    type      smallint NOT NULL,
    leg       smallint NOT NULL,
    series    smallint NOT NULL,
    attempt   smallint NOT NULL,
    tenant_id text NOT NULL,
    body      text NOT NULL DEFAULT '',  -- JSON if there is something to say; a null would cost every row 8 bytes
    PRIMARY KEY (era, xid, id)
);
CREATE UNIQUE INDEX events_job_idx ON events (job_id, seq);

-- Where a tenant wants to be told, whatever the job.
CREATE TABLE endpoints (
    id          uuid PRIMARY KEY,
    tenant_id   text NOT NULL,
    url         text NOT NULL,
    secrets     text[] NOT NULL,
    event_types smallint[] NOT NULL,
    disabled_at timestamptz,
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX endpoints_tenant_idx ON endpoints (tenant_id) WHERE disabled_at IS NULL;

-- Who must be told of an event: written with the move, sent by any worker under a lease.
CREATE TABLE deliveries (
    event_id         uuid NOT NULL,
    endpoint_id      uuid NOT NULL,     -- all zeros: the job's callback URL
    tenant_id        text NOT NULL,
    job_id           uuid NOT NULL,
    seq              bigint NOT NULL,
    type             smallint NOT NULL,
    url              text NOT NULL,
    state            text NOT NULL DEFAULT 'PENDING' CHECK (state IN ('PENDING', 'SENDING', 'DELIVERED', 'DEAD')),
    ready            boolean NOT NULL DEFAULT true,
    available_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    attempt          smallint NOT NULL DEFAULT 0,
    lease_token      bigint NOT NULL DEFAULT 0,
    holder           uuid,
    lease_expires_at timestamptz,
    created_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    ended_at         timestamptz,
    last_status      smallint,          -- HTTP status of the last try; null if there was no answer
    last_error       text,              -- stable reason of the last try
    PRIMARY KEY (event_id, endpoint_id),
    CONSTRAINT deliveries_ready_iff_pending CHECK (ready = (state = 'PENDING')),
    CONSTRAINT deliveries_leased_iff_sending CHECK ((state = 'SENDING') = (lease_expires_at IS NOT NULL))
) WITH (fillfactor = 80);
CREATE INDEX deliveries_due_idx ON deliveries (available_at, event_id) WHERE ready;
CREATE INDEX deliveries_sending_idx ON deliveries (event_id) WHERE state = 'SENDING';
CREATE INDEX deliveries_job_idx ON deliveries (job_id, seq);

-- The documents' bytes, addressed by their SHA-256 within a tenant. Deletion only dooms; the reaper removes what is
-- still doomed and unreferenced an hour later.
CREATE TABLE documents (
    tenant_id  text NOT NULL,
    digest     bytea NOT NULL CHECK (length(digest) = 32),
    size       bigint NOT NULL,
    media_type text NOT NULL,
    content    bytea,   -- null when it lies in object storage, under its digest
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    doomed_at  timestamptz,
    PRIMARY KEY (tenant_id, digest)
);
ALTER TABLE documents ALTER COLUMN content SET STORAGE EXTERNAL;  -- documents are compressed already
CREATE INDEX documents_doomed_idx ON documents (doomed_at) WHERE doomed_at IS NOT NULL;

CREATE TABLE job_documents (
    job_id    uuid NOT NULL,
    tenant_id text NOT NULL,
    digest    bytea NOT NULL,
    PRIMARY KEY (job_id, digest),
    -- Takes the document's row FOR KEY SHARE, so that no job is stored whose document is gone.
    FOREIGN KEY (tenant_id, digest) REFERENCES documents (tenant_id, digest)
);
CREATE INDEX job_documents_digest_idx ON job_documents (tenant_id, digest);

-- A job as it is: its queue row if it is alive, else its newest outcome.
CREATE VIEW job_status AS
SELECT
    jobs.tenant_id, jobs.id, jobs.created_at, jobs.request_key, jobs.fingerprint, jobs.about, jobs.callback_url,
    coalesce(gleaner_state(queue.leg, queue.ready), ended.state) AS state,
    CASE
        WHEN queue.id IS NULL THEN ended.refinement
        WHEN queue.leg = 2 THEN CASE WHEN queue.ready THEN 'PENDING' ELSE 'RUNNING' END
    END AS refinement,
    coalesce(queue.leg, ended.leg) AS leg,
    coalesce(queue.series, ended.series) AS series,
    coalesce(queue.seq, ended.seq) AS seq,
    coalesce(queue.attempt, ended.attempt) AS attempt,
    coalesce(queue.lapses, ended.lapses) AS lapses,
    CASE WHEN queue.id IS NULL THEN ended.started_at ELSE queue.started_at END AS started_at,
    ended.ended_at,
    queue.available_at,
    CASE WHEN queue.id IS NULL THEN ended.error ELSE queue.error END AS error,
    ended.reason
FROM jobs
LEFT JOIN queue ON queue.ready IN (false, true) AND queue.id = jobs.id
LEFT JOIN LATERAL (
    SELECT * FROM outcomes WHERE outcomes.job_id = jobs.id AND queue.id IS NULL ORDER BY outcomes.seq DESC LIMIT 1
) AS ended ON true;
