-- Does with a group's parked events, for which somebody asked for another try, what the handler says: all or nothing.
-- $1 text the tenant, $2 text the name. The handler reads `batch`, as in consume.sql. Index: parked_events_pkey.
WITH batch AS (
    DELETE FROM parked_events
    WHERE parked_events.group_tenant_id = $1 AND parked_events.group_name = $2 AND parked_events.replay
    RETURNING *
),
handled AS (
    /* handler */
)
SELECT count(*) AS handled FROM batch
