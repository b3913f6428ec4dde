-- Ends a reader's lease at once; the next one need not wait for it to run out.
-- $1 text the tenant, $2 text the name, $3 bigint the fencing token, $4 boolean whether the reader died: then what it
-- had been handed counts as a try (take_group.sql). Index: groups_pkey.
UPDATE groups
SET holder = NULL, lease_expires_at = NULL, handed_out = CASE WHEN $4 THEN handed_out ELSE 0 END
WHERE tenant_id = $1 AND name = $2 AND lease_token = $3 AND holder IS NOT NULL
