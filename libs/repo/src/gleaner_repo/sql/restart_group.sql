-- Brings an expired group back to life at a new start; nothing if it is alive.
-- $1 text the tenant, $2 text the name, $3 smallint[] event types or null for all, $4 boolean as in make_group.sql.
-- Index: groups_pkey.
UPDATE groups
SET
    event_types = $3::smallint[],
    era = CASE WHEN $4 THEN 0 ELSE (SELECT log_era.era FROM log_era) END,
    xid = CASE WHEN $4 THEN '0'::xid8 ELSE pg_snapshot_xmin(pg_current_snapshot()) END,
    id = 0,
    tries = 0,
    careful = 0,
    handed_out = 0,
    available_at = clock_timestamp(),
    last_moved_at = clock_timestamp(),
    expired_at = NULL
WHERE tenant_id = $1 AND name = $2 AND expired_at IS NOT NULL
