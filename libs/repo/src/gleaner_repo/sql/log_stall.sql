-- How long the oldest event has waited that no reader may read yet, because a writer older than it is still open: age in
-- seconds, no row without any. Index: events_pkey, the log's end.
SELECT extract(epoch FROM clock_timestamp() - events.at)::float8 AS stalled_s
FROM events
WHERE (events.era, events.xid, events.id)
    >= ((SELECT log_era.era FROM log_era), pg_snapshot_xmin(pg_current_snapshot()), 0::bigint)
ORDER BY events.era, events.xid, events.id
LIMIT 1
