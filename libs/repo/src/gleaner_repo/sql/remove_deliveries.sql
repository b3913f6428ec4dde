-- Deletes deliveries that ended long ago.
-- $1 interval for how long; $2 and $3 uuid only those after this event and endpoint; $4 int how many to look at.
-- Returns how many went, how many were looked at, and the last of them, or null.
-- Index: deliveries_pkey from $2 on: events' ids are UUIDv7, so the oldest come first. Trap: one may be sent again
-- meanwhile; then it is PENDING.
WITH looked AS MATERIALIZED (
    SELECT deliveries.ctid AS place, deliveries.event_id, deliveries.endpoint_id, deliveries.ended_at
    FROM deliveries
    WHERE (deliveries.event_id, deliveries.endpoint_id) > ($2, $3)
        AND deliveries.event_id
            < (lpad(to_hex(greatest(extract(epoch FROM now() - $1::interval) * 1000, 0)::bigint), 12, '0') || repeat('0', 20))::uuid
    ORDER BY deliveries.event_id, deliveries.endpoint_id
    LIMIT $4
),
removed AS (
    DELETE FROM deliveries
    WHERE deliveries.ctid = ANY (ARRAY(SELECT looked.place FROM looked WHERE looked.ended_at < now() - $1::interval))
        AND deliveries.state IN ('DELIVERED', 'DEAD')
    RETURNING deliveries.event_id
),
last AS (
    SELECT looked.event_id, looked.endpoint_id FROM looked ORDER BY looked.event_id DESC, looked.endpoint_id DESC LIMIT 1
)
SELECT
    (SELECT count(*) FROM removed) AS removed,
    (SELECT count(*) FROM looked) AS looked,
    (SELECT last.event_id FROM last) AS event_id,
    (SELECT last.endpoint_id FROM last) AS endpoint_id
