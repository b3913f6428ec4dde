-- Renews leases, and tells of each whether it is kept, lost (the row is gone, waits, or has another token) or unknown
-- (somebody has the row locked).
-- $1 uuid[] jobs, $2 int[] fencing tokens, $3 interval the lease. Index: queue_pkey, one probe a lease.
-- Trap: waiting for one locked row would cost the worker all its leases, hence SKIP LOCKED; what was skipped is read
-- without a lock.
WITH input AS MATERIALIZED (
    SELECT id, lease_token FROM unnest($1::uuid[], $2::int[]) AS input (id, lease_token)
),
locked AS MATERIALIZED (
    SELECT input.id
    FROM input
    CROSS JOIN LATERAL (
        SELECT FROM queue
        WHERE queue.id = input.id AND queue.lease_token = input.lease_token AND NOT queue.ready
        FOR NO KEY UPDATE SKIP LOCKED
    ) AS mine
),
renewed AS (
    UPDATE queue
    SET lease_expires_at = clock_timestamp() + $3
    WHERE queue.id = ANY (ARRAY(SELECT locked.id FROM locked)) AND NOT queue.ready
    RETURNING queue.id
)
SELECT
    input.id,
    input.lease_token,
    CASE
        WHEN input.id = ANY (ARRAY(SELECT renewed.id FROM renewed)) THEN 'kept'
        WHEN EXISTS (
            SELECT FROM queue
            WHERE queue.id = input.id AND queue.lease_token = input.lease_token AND NOT queue.ready
        ) THEN 'unknown'
        ELSE 'lost'
    END AS answer
FROM input
