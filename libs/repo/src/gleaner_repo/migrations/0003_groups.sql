-- 0003: who reads the log, how far each has come, and which events none of its readers could take.

-- A group's row is its lock. Position: everything at or below it is done with. Era 0 is before all events.
CREATE TABLE groups (
    tenant_id        text NOT NULL,     -- empty: the suite's own, which reads the events of all tenants
    name             text NOT NULL CHECK (length(name) BETWEEN 1 AND 63),
    event_types      smallint[],        -- null: all
    era              smallint NOT NULL,
    xid              xid8 NOT NULL,
    id               bigint NOT NULL,
    available_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    tries            smallint NOT NULL DEFAULT 0,  -- of the first event after the position: refused, or its reader died
    careful          int NOT NULL DEFAULT 0,       -- so many events one at a time: a reader died over one of them
    handed_out       int NOT NULL DEFAULT 0,       -- events that the present reader has and has not acknowledged
    lease_token      bigint NOT NULL DEFAULT 0,    -- fencing: +1 at every reader, never restarts
    holder           uuid,
    lease_expires_at timestamptz,
    created_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    last_moved_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    expired_at       timestamptz,       -- it stood still for too long, and holds the log no longer
    PRIMARY KEY (tenant_id, name),
    CONSTRAINT groups_leased_iff_held CHECK ((holder IS NULL) = (lease_expires_at IS NULL)),
    CONSTRAINT groups_counts CHECK (tries >= 0 AND careful >= 0 AND handed_out >= 0 AND lease_token >= 0)
) WITH (fillfactor = 50);

-- Events that were given up, whole: the log may lose them before somebody looks.
CREATE TABLE parked_events (
    group_tenant_id text NOT NULL,
    group_name      text NOT NULL,
    event_id        uuid NOT NULL,
    era             smallint NOT NULL,
    xid             xid8 NOT NULL,
    id              bigint NOT NULL,
    job_id          uuid NOT NULL,
    seq             bigint NOT NULL,
    tenant_id       text NOT NULL,
    type            smallint NOT NULL,
    leg             smallint NOT NULL,
    series          smallint NOT NULL,
    attempt         smallint NOT NULL,
    at              timestamptz NOT NULL,
    body            text NOT NULL,
    reason          text NOT NULL,
    tries           smallint NOT NULL,
    parked_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    replay          boolean NOT NULL DEFAULT false,  -- somebody asked for another try; taken back when it is handed out
    PRIMARY KEY (group_tenant_id, group_name, event_id),
    FOREIGN KEY (group_tenant_id, group_name) REFERENCES groups (tenant_id, name) ON DELETE CASCADE
);
