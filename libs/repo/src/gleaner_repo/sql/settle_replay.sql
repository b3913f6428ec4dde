-- Forgets a parked event that was handled after all. $1 text the tenant, $2 text the name, $3 uuid the event.
-- Index: parked_events_pkey.
DELETE FROM parked_events WHERE group_tenant_id = $1 AND group_name = $2 AND event_id = $3
