-- Lists the events that a group parked, oldest first. $1 text the tenant, $2 text the name, $3 uuid after this event,
-- $4 int how many at most. Index: parked_events_pkey: event ids are UUIDv7.
SELECT *
FROM parked_events
WHERE group_tenant_id = $1 AND group_name = $2 AND event_id > $3
ORDER BY event_id
LIMIT $4
