-- Ends a try: SENDING -> $4, which is DELIVERED, DEAD, or PENDING again after $5 interval.
-- $1 uuid event, $2 uuid endpoint, $3 bigint fencing token, $6 smallint the answer's HTTP status or null, $7 text what
-- went wrong or null, $8 boolean whether the endpoint wants nothing any more. Indexes: deliveries_pkey, endpoints_pkey.
-- Trap: with `disabled_at IS NULL` in its condition the planner may read all of the partial endpoints_tenant_idx.
WITH finished AS (
    UPDATE deliveries
    SET state = $4, ready = ($4 = 'PENDING'), holder = NULL, lease_expires_at = NULL,
        available_at = clock_timestamp() + $5, ended_at = CASE WHEN $4 <> 'PENDING' THEN clock_timestamp() END,
        last_status = $6, last_error = $7
    WHERE deliveries.event_id = $1 AND deliveries.endpoint_id = $2 AND deliveries.lease_token = $3
        AND deliveries.state = 'SENDING'
    RETURNING deliveries.endpoint_id, deliveries.pending_since
),
disabled AS (
    UPDATE endpoints
    SET disabled_at = coalesce(endpoints.disabled_at, clock_timestamp())
    WHERE $8 AND endpoints.id = ANY (ARRAY(SELECT finished.endpoint_id FROM finished))
)
SELECT extract(epoch FROM clock_timestamp() - finished.pending_since)::float8 AS age_s FROM finished
