-- Hands the reader of a group up to $7 events after a position, in the log's order, of the first $8 that are there.
-- $1 text the tenant, $2 text the name, $3 bigint the fencing token; $4 smallint, $5 xid8 and $6 bigint: the position.
-- Returns no row if the lease is lost, one without an event if there is none; `reached_*` is the position up to which
-- nothing more is wanted. Indexes: events_pkey from the position on; jobs_pkey for each event that is handed out.
-- Traps: an event above the horizon (the oldest transaction that may still write) is not read, for one with a lower
-- position may be committed after it. And two comparisons of whole positions, so that both bound the index scan.
WITH reader AS MATERIALIZED (
    SELECT groups.event_types, groups.available_at
    FROM groups
    WHERE groups.tenant_id = $1 AND groups.name = $2 AND groups.lease_token = $3 AND groups.holder IS NOT NULL
),
scanned AS MATERIALIZED (
    SELECT
        found.*,
        ($1 = '' OR found.tenant_id = $1) AND (reader.event_types IS NULL OR found.type = ANY (reader.event_types)) AS wanted
    FROM reader
    CROSS JOIN LATERAL (
        SELECT *
        FROM events
        WHERE (events.era, events.xid, events.id) > ($4, $5, $6)
            AND (events.era, events.xid, events.id)
                < ((SELECT log_era.era FROM log_era), pg_snapshot_xmin(pg_current_snapshot()), 0::bigint)
            AND reader.available_at <= clock_timestamp()
        ORDER BY events.era, events.xid, events.id
        LIMIT $8
    ) AS found
),
batch AS MATERIALIZED (
    SELECT * FROM scanned WHERE wanted ORDER BY era, xid, id LIMIT $7
),
reached AS MATERIALIZED (
    SELECT ended.era, ended.xid, ended.id
    FROM (
        SELECT era, xid, id FROM batch WHERE (SELECT count(*) FROM batch) = $7
        UNION ALL
        SELECT era, xid, id FROM scanned WHERE (SELECT count(*) FROM batch) < $7
    ) AS ended
    ORDER BY ended.era DESC, ended.xid DESC, ended.id DESC
    LIMIT 1
),
marked AS (
    UPDATE groups
    SET handed_out = groups.handed_out + (SELECT count(*) FROM batch)
    WHERE groups.tenant_id = $1 AND groups.name = $2 AND groups.lease_token = $3 AND EXISTS (SELECT FROM batch)
)
SELECT
    reached.era AS reached_era, reached.xid AS reached_xid, reached.id AS reached_id,
    batch.era, batch.xid, batch.id, batch.event_id, batch.job_id, batch.seq, batch.tenant_id, batch.type,
    batch.leg, batch.series, batch.attempt, batch.at, batch.body, asked.trace_context
FROM reader
LEFT JOIN reached ON true
LEFT JOIN batch ON true
LEFT JOIN LATERAL (
    SELECT jobs.trace_context FROM jobs WHERE jobs.tenant_id = batch.tenant_id AND jobs.id = batch.job_id
) AS asked ON true
ORDER BY batch.era, batch.xid, batch.id
