-- Keeps a parked event parked, with a new reason. $1 text the tenant, $2 text the name, $3 uuid the event, null for all
-- that were to be tried again; $4 text the reason. Index: parked_events_pkey.
UPDATE parked_events
SET reason = $4, replay = false
WHERE group_tenant_id = $1 AND group_name = $2 AND (event_id = $3 OR $3::uuid IS NULL AND replay)
