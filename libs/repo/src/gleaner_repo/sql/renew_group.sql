-- Renews the lease of a group's reader; nothing if it is lost.
-- $1 text the tenant, $2 text the name, $3 bigint the fencing token, $4 interval the lease. Index: groups_pkey.
-- Returns whether somebody asked for another try of parked events.
UPDATE groups
SET lease_expires_at = clock_timestamp() + $4
WHERE tenant_id = $1 AND name = $2 AND lease_token = $3 AND holder IS NOT NULL
RETURNING EXISTS (
    SELECT FROM parked_events WHERE group_tenant_id = $1 AND group_name = $2 AND replay
) AS replays
