-- Makes a reader of its own process the group's, if there is none or the lease of the one before ran out.
-- $1 text the tenant, $2 text the name, $3 uuid the holder, $4 interval the lease. Index: groups_pkey.
-- A reader that went without settling what it had been handed died over it: that is a try of the first of these
-- events, and all of them are read one at a time from then on, so that the one that is to blame is found.
UPDATE groups
SET
    holder = $3,
    lease_token = lease_token + 1,
    lease_expires_at = clock_timestamp() + $4,
    tries = tries + (handed_out > 0)::int::smallint,
    careful = greatest(careful, handed_out),
    handed_out = 0
WHERE tenant_id = $1 AND name = $2 AND expired_at IS NULL
    AND (lease_expires_at IS NULL OR lease_expires_at < clock_timestamp())
RETURNING lease_token, era, xid, id, tries, careful
