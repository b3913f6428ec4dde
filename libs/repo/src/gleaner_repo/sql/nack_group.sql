-- Counts a try of the first event after a group's position, and lets the group rest before the next.
-- $1 text the tenant, $2 text the name, $3 bigint the fencing token, or null for a handler in the database;
-- $4 smallint, $5 xid8 and $6 bigint: the position, as the reader knows it; $7 and $8 interval: first and longest rest.
-- Index: groups_pkey. Returns nothing if the lease is lost or the group has moved on.
UPDATE groups
SET
    tries = tries + 1,
    handed_out = 0,
    available_at = clock_timestamp() + (0.5 + random() / 2) * least($8::interval, $7::interval * 2 ^ least(tries, 20))
WHERE tenant_id = $1 AND name = $2 AND (
        lease_token = $3
        OR $3::bigint IS NULL AND (lease_expires_at IS NULL OR lease_expires_at < clock_timestamp())
    )
    AND (era, xid, id) = ($4, $5, $6)
RETURNING tries
