-- Asks for another try of parked events. $1 text the tenant, $2 text the name, $3 uuid[] the events, null for all.
-- Index: parked_events_pkey.
UPDATE parked_events
SET replay = true
WHERE group_tenant_id = $1 AND group_name = $2 AND ($3::uuid[] IS NULL OR event_id = ANY ($3))
RETURNING event_id
