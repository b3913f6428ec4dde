-- Starts a delivery anew: DEAD or DELIVERED -> PENDING, with all its tries. The token goes on counting.
-- $1 uuid event, $2 uuid endpoint, $3 text the tenant. Index: deliveries_pkey.
UPDATE deliveries
SET state = 'PENDING', ready = true, attempt = 0, available_at = clock_timestamp(), pending_since = clock_timestamp(),
    ended_at = NULL
WHERE deliveries.event_id = $1 AND deliveries.endpoint_id = $2 AND deliveries.tenant_id = $3
    AND deliveries.state IN ('DEAD', 'DELIVERED')
RETURNING deliveries.event_id
