-- Renews a sender's leases, and tells of each whether it was `renewed` and whether it is `lost`: ended, or under another
-- token. One that is neither is locked by somebody.
-- $1 uuid[] events, $2 uuid[] endpoints, $3 bigint[] fencing tokens, $4 interval the lease.
-- Index: deliveries_pkey, one probe a lease. Trap: as in renew.sql, hence SKIP LOCKED.
WITH input AS MATERIALIZED (
    SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::bigint[]) AS input (event_id, endpoint_id, lease_token)
),
locked AS MATERIALIZED (
    SELECT input.event_id, input.endpoint_id
    FROM input
    CROSS JOIN LATERAL (
        SELECT FROM deliveries
        WHERE deliveries.event_id = input.event_id AND deliveries.endpoint_id = input.endpoint_id
            AND deliveries.lease_token = input.lease_token AND deliveries.state = 'SENDING'
        FOR NO KEY UPDATE SKIP LOCKED
    ) AS mine
),
renewed AS (
    UPDATE deliveries
    SET lease_expires_at = clock_timestamp() + $4
    WHERE deliveries.event_id = ANY (ARRAY(SELECT locked.event_id FROM locked))
        AND ROW(deliveries.event_id, deliveries.endpoint_id)
            = ANY (ARRAY(SELECT ROW(locked.event_id, locked.endpoint_id) FROM locked))
        AND deliveries.state = 'SENDING'
    RETURNING deliveries.event_id, deliveries.endpoint_id
)
SELECT
    input.event_id,
    input.endpoint_id,
    input.lease_token,
    ROW(input.event_id, input.endpoint_id)
        = ANY (ARRAY(SELECT ROW(renewed.event_id, renewed.endpoint_id) FROM renewed)) AS renewed,
    NOT EXISTS (
        SELECT FROM deliveries
        WHERE deliveries.event_id = input.event_id AND deliveries.endpoint_id = input.endpoint_id
            AND deliveries.lease_token = input.lease_token AND deliveries.state = 'SENDING'
    ) AS lost
FROM input
