-- Reads a group, and how many events wait parked. $1 text the tenant, $2 text the name. Index: groups_pkey.
SELECT
    groups.*,
    coalesce(groups.lease_expires_at > clock_timestamp(), false) AS has_reader,
    (
        SELECT count(*)
        FROM parked_events
        WHERE parked_events.group_tenant_id = groups.tenant_id AND parked_events.group_name = groups.name
    ) AS parked
FROM groups
WHERE groups.tenant_id = $1 AND groups.name = $2
