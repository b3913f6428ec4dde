-- Deletes a group and what it parked. $1 text the tenant, $2 text the name. Index: groups_pkey.
DELETE FROM groups WHERE tenant_id = $1 AND name = $2 RETURNING name
