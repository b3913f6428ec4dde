-- Parks the first event after a group's position, if its tries are used up, and moves the group past it.
-- $1 text the tenant, $2 text the name, $3 bigint the fencing token, or null for a handler in the database;
-- $4 smallint how many tries an event has, $5 text why the last one failed. Index: groups_pkey, events_pkey.
WITH reader AS MATERIALIZED (
    SELECT *
    FROM groups
    WHERE groups.tenant_id = $1 AND groups.name = $2 AND groups.tries >= $4
        AND (
            groups.lease_token = $3
            OR $3::bigint IS NULL AND (groups.lease_expires_at IS NULL OR groups.lease_expires_at < clock_timestamp())
        )
    FOR NO KEY UPDATE
),
head AS MATERIALIZED (
    SELECT found.*, reader.tries
    FROM reader
    CROSS JOIN LATERAL (
        SELECT *
        FROM events
        WHERE (events.era, events.xid, events.id) > (reader.era, reader.xid, reader.id)
            AND (events.era, events.xid, events.id)
                < ((SELECT log_era.era FROM log_era), pg_snapshot_xmin(pg_current_snapshot()), 0::bigint)
            AND ($1 = '' OR events.tenant_id = $1)
            AND (reader.event_types IS NULL OR events.type = ANY (reader.event_types))
        ORDER BY events.era, events.xid, events.id
        LIMIT 1
    ) AS found
),
parked AS (
    INSERT INTO parked_events (group_tenant_id, group_name, event_id, era, xid, id, job_id, seq, tenant_id, type, leg,
        series, attempt, at, body, reason, tries)
    SELECT $1, $2, event_id, era, xid, id, job_id, seq, tenant_id, type, leg, series, attempt, at, body, $5, tries
    FROM head
    ON CONFLICT DO NOTHING
)
UPDATE groups
SET
    era = head.era,
    xid = head.xid,
    id = head.id,
    tries = 0,
    careful = greatest(groups.careful - 1, 0),
    available_at = clock_timestamp(),
    last_moved_at = clock_timestamp()
FROM head
WHERE groups.tenant_id = $1 AND groups.name = $2
RETURNING head.era, head.xid, head.id, head.event_id, groups.careful
