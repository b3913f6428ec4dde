-- Makes a group, unless there is one of this name.
-- $1 text the tenant (empty: of all tenants' events), $2 text the name, $3 smallint[] event types or null for all,
-- $4 boolean whether it starts at the oldest event that is kept, else at what is written from now on.
-- Trap: "now" is the log's horizon, not the newest event: a transaction that is under way has a lower id than that.
INSERT INTO groups (tenant_id, name, event_types, era, xid, id)
SELECT
    $1, $2, $3::smallint[],
    CASE WHEN $4 THEN 0 ELSE log_era.era END,
    CASE WHEN $4 THEN '0'::xid8 ELSE pg_snapshot_xmin(pg_current_snapshot()) END,
    0
FROM log_era
ON CONFLICT (tenant_id, name) DO NOTHING
