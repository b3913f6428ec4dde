-- Deletes events that groups parked long ago, but for those that are to be tried again by a group that lives.
-- $1 interval for how long; $2 int how many at most. Returns how many.
-- Indexes: parked_events_pkey, by each of the groups, which are few and read whole: events' ids are UUIDv7, so that
-- younger ones are not looked at.
WITH old AS MATERIALIZED (
    SELECT parked.place
    FROM groups
    CROSS JOIN LATERAL (
        SELECT parked_events.ctid AS place
        FROM parked_events
        WHERE parked_events.group_tenant_id = groups.tenant_id AND parked_events.group_name = groups.name
            AND parked_events.event_id
                < (lpad(to_hex(greatest(extract(epoch FROM now() - $1::interval) * 1000, 0)::bigint), 12, '0') || repeat('0', 20))::uuid
            AND parked_events.parked_at < now() - $1::interval
            AND (NOT parked_events.replay OR groups.expired_at IS NOT NULL)
        ORDER BY parked_events.event_id
        LIMIT $2
        FOR UPDATE SKIP LOCKED
    ) AS parked
    LIMIT $2
),
removed AS (
    DELETE FROM parked_events
    WHERE parked_events.ctid = ANY (ARRAY(SELECT old.place FROM old))
    RETURNING parked_events.event_id
)
SELECT count(*) AS removed FROM removed
