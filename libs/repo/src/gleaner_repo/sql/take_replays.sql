-- Hands parked events out again to the reader of a group, if somebody asked for it. They stay parked until they are
-- acknowledged; without another request they are not handed out again, so that none of them kills reader after reader.
-- $1 text the tenant, $2 text the name, $3 bigint the fencing token, $4 int how many at most.
-- Index: parked_events_pkey.
WITH chosen AS MATERIALIZED (
    SELECT parked_events.event_id
    FROM parked_events
    WHERE parked_events.group_tenant_id = $1 AND parked_events.group_name = $2 AND parked_events.replay
        AND EXISTS (SELECT FROM groups WHERE tenant_id = $1 AND name = $2 AND lease_token = $3 AND holder IS NOT NULL)
    ORDER BY parked_events.event_id
    LIMIT $4
    FOR UPDATE SKIP LOCKED
)
UPDATE parked_events
SET replay = false, tries = tries + 1
WHERE group_tenant_id = $1 AND group_name = $2 AND event_id = ANY (ARRAY(SELECT chosen.event_id FROM chosen))
RETURNING *
