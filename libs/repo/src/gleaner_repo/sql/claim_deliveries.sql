-- Takes up to $1 deliveries for a sender, longest due first: PENDING -> SENDING, under a new token.
-- $2 interval the lease, $3 uuid this claim's own id, $4 boolean whether to take those, too, whose lease ran out.
-- Indexes: deliveries_due_idx; deliveries_sending_idx, all of it: as many rows as are being sent; endpoints_pkey.
-- Trap: without MATERIALIZED the planner may run a pick again and exceed the limit.
WITH lapsed AS MATERIALIZED (
    SELECT deliveries.event_id, deliveries.endpoint_id
    FROM deliveries
    WHERE $4 AND deliveries.state = 'SENDING' AND deliveries.lease_expires_at < now()
    ORDER BY deliveries.event_id
    LIMIT $1
    FOR UPDATE SKIP LOCKED
),
due AS MATERIALIZED (
    SELECT deliveries.event_id, deliveries.endpoint_id
    FROM deliveries
    WHERE deliveries.ready AND deliveries.available_at <= now()
    ORDER BY deliveries.available_at, deliveries.event_id
    LIMIT $1 - (SELECT count(*) FROM lapsed)
    FOR UPDATE SKIP LOCKED
),
chosen AS MATERIALIZED (
    SELECT * FROM lapsed UNION ALL SELECT * FROM due
),
claimed AS (
    UPDATE deliveries
    SET state = 'SENDING', ready = false, attempt = deliveries.attempt + 1, lease_token = deliveries.lease_token + 1,
        holder = $3, lease_expires_at = clock_timestamp() + $2
    -- By array, not by join: a join may become a hash over the whole table. The first array is for the index.
    WHERE deliveries.event_id = ANY (ARRAY(SELECT chosen.event_id FROM chosen))
        AND ROW(deliveries.event_id, deliveries.endpoint_id)
            = ANY (ARRAY(SELECT ROW(chosen.event_id, chosen.endpoint_id) FROM chosen))
    RETURNING deliveries.*
)
SELECT claimed.event_id, claimed.endpoint_id, claimed.tenant_id, claimed.job_id, claimed.seq, claimed.attempt,
    claimed.lease_token, coalesce(endpoints.url, claimed.url) AS url, endpoints.secrets,
    claimed.endpoint_id <> '00000000-0000-0000-0000-000000000000'
        AND (endpoints.id IS NULL OR endpoints.disabled_at IS NOT NULL) AS endpoint_closed
FROM claimed
LEFT JOIN LATERAL (
    SELECT * FROM endpoints WHERE endpoints.id = claimed.endpoint_id
    OFFSET 0  -- a fence: else it may become a join over all endpoints
) AS endpoints ON true
ORDER BY claimed.available_at, claimed.event_id
