-- Moves a group on to a position, and renews its reader's lease; nothing if the lease is lost.
-- $1 text the tenant, $2 text the name, $3 bigint the fencing token; $4 smallint, $5 xid8 and $6 bigint: the position;
-- $7 int how many handed-out events that settles; $8 interval the lease. Index: groups_pkey.
-- Trap: a repeated acknowledgement (its first answer was lost) must not move the group back.
UPDATE groups
SET
    era = $4,
    xid = $5,
    id = $6,
    tries = 0,
    careful = greatest(careful - $7, 0),
    handed_out = greatest(handed_out - $7, 0),
    last_moved_at = clock_timestamp(),
    lease_expires_at = clock_timestamp() + $8
WHERE tenant_id = $1 AND name = $2 AND lease_token = $3 AND holder IS NOT NULL
    AND (era, xid, id) <= ($4, $5, $6)
RETURNING careful
