-- Puts a delivery back that was not tried: SENDING -> PENDING after $4 interval, without counting the attempt; or
-- DEAD, if it has waited for longer than $5 interval (null: however long).
-- $1 uuid event, $2 uuid endpoint, $3 bigint fencing token. Index: deliveries_pkey.
-- Trap: now(), which stands still, or the columns might disagree whether the time was over.
UPDATE deliveries
SET state = CASE WHEN deliveries.pending_since < now() - $5::interval THEN 'DEAD' ELSE 'PENDING' END,
    ready = (deliveries.pending_since < now() - $5::interval) IS NOT TRUE,
    ended_at = CASE WHEN deliveries.pending_since < now() - $5::interval THEN clock_timestamp() END,
    last_error = CASE WHEN deliveries.pending_since < now() - $5::interval THEN 'EXPIRED' ELSE deliveries.last_error END,
    holder = NULL, lease_expires_at = NULL, attempt = deliveries.attempt - 1, available_at = clock_timestamp() + $4
WHERE deliveries.event_id = $1 AND deliveries.endpoint_id = $2 AND deliveries.lease_token = $3
    AND deliveries.state = 'SENDING'
RETURNING deliveries.state
