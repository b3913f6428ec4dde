-- Deletes old events from the log's beginning, none above a position, none of a job that is alive, and none that a
-- delivery tells of: one that ended long after its event may still be sent again.
-- $1 smallint, $2 xid8 and $3 bigint: the position; $4 interval: only what is older; $5 int how many to look at;
-- $6 smallint, $7 xid8 and $8 bigint: only what lies after this position.
-- Returns how many went, how many were looked at, whether the last of them is old, and its position, or null.
-- Indexes: events_pkey from $6 on; queue_pkey and deliveries_pkey, one probe an event.
-- Trap: who reads from the beginning each time finds the same events of jobs that live long, hence $6.
WITH looked AS MATERIALIZED (
    SELECT events.ctid AS place, events.era, events.xid, events.id, events.event_id, events.job_id,
        events.at < now() - $4::interval AS old
    FROM events
    WHERE (events.era, events.xid, events.id) > ($6, $7, $8) AND (events.era, events.xid, events.id) <= ($1, $2, $3)
    ORDER BY events.era, events.xid, events.id
    LIMIT $5
),
idle AS MATERIALIZED (
    SELECT looked.place
    FROM looked
    LEFT JOIN LATERAL (
        SELECT true AS yes FROM queue WHERE queue.ready IN (false, true) AND queue.id = looked.job_id LIMIT 1
    ) AS alive ON true
    LEFT JOIN LATERAL (
        SELECT true AS yes
        FROM deliveries
        WHERE deliveries.event_id = looked.event_id
        LIMIT 1
    ) AS told ON true
    WHERE looked.old AND alive.yes IS NULL AND told.yes IS NULL
),
removed AS (
    DELETE FROM events WHERE events.ctid = ANY (ARRAY(SELECT idle.place FROM idle)) RETURNING events.id
),
last AS (
    SELECT * FROM looked ORDER BY looked.era DESC, looked.xid DESC, looked.id DESC LIMIT 1
)
SELECT
    (SELECT count(*) FROM removed) AS removed,
    (SELECT count(*) FROM looked) AS looked,
    coalesce((SELECT last.old FROM last), false) AS old,
    (SELECT last.era FROM last) AS era,
    (SELECT last.xid FROM last) AS xid,
    (SELECT last.id FROM last) AS id
