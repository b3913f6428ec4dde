-- Reads a group's next events, does with them what the handler says, and moves the group on: all or nothing, so each
-- event has its effect exactly once. The handler is a statement that reads `batch`, such as INSERT INTO … SELECT … FROM
-- batch; it is a constant of the code.
-- $1 text the tenant, $2 text the name, $3 int how many events at most, $4 int of how many that are there.
-- Returns no row if somebody else reads the group. Index: groups_pkey, events_pkey from the position on.
-- Traps: the group's row is the lock, taken here, so that the position is the newest whatever the snapshot: an advisory
-- lock is granted on a snapshot that still has the old position, and doubles. Above the horizon nothing is read, as in
-- read_group.sql.
WITH reader AS MATERIALIZED (
    SELECT *
    FROM groups
    WHERE groups.tenant_id = $1 AND groups.name = $2 AND groups.expired_at IS NULL
        AND (groups.lease_expires_at IS NULL OR groups.lease_expires_at < clock_timestamp())
    FOR NO KEY UPDATE SKIP LOCKED
),
scanned AS MATERIALIZED (
    SELECT
        found.*,
        ($1 = '' OR found.tenant_id = $1) AND (reader.event_types IS NULL OR found.type = ANY (reader.event_types)) AS wanted
    FROM reader
    CROSS JOIN LATERAL (
        SELECT *
        FROM events
        WHERE (events.era, events.xid, events.id) > (reader.era, reader.xid, reader.id)
            AND (events.era, events.xid, events.id)
                < ((SELECT log_era.era FROM log_era), pg_snapshot_xmin(pg_current_snapshot()), 0::bigint)
            AND reader.available_at <= clock_timestamp()
        ORDER BY events.era, events.xid, events.id
        LIMIT $4
    ) AS found
),
batch AS MATERIALIZED (
    SELECT * FROM scanned WHERE wanted ORDER BY era, xid, id LIMIT $3
),
reached AS MATERIALIZED (
    SELECT ended.era, ended.xid, ended.id
    FROM (
        SELECT era, xid, id FROM batch WHERE (SELECT count(*) FROM batch) = $3
        UNION ALL
        SELECT era, xid, id FROM scanned WHERE (SELECT count(*) FROM batch) < $3
    ) AS ended
    ORDER BY ended.era DESC, ended.xid DESC, ended.id DESC
    LIMIT 1
),
handled AS (
    /* handler */
),
moved AS (
    UPDATE groups
    SET
        era = reached.era,
        xid = reached.xid,
        id = reached.id,
        tries = 0,
        careful = 0,
        handed_out = 0,
        holder = NULL,
        lease_expires_at = NULL,
        lease_token = groups.lease_token + (groups.holder IS NOT NULL)::int,
        last_moved_at = clock_timestamp()
    FROM reached
    WHERE groups.tenant_id = $1 AND groups.name = $2
)
SELECT (SELECT count(*) FROM batch) AS handled, EXISTS (SELECT FROM scanned) AS moved FROM reader
