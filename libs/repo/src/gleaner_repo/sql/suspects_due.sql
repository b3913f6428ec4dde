-- Tells whether a job that lost leases before waits to be run alone: 0, or how many workers are at work on its leg
-- meanwhile, at least 1. $1 smallint the leg.
-- Indexes: queue_suspect_idx; only if there is one, queue_pkey, as much of it as is being worked on.
SELECT CASE
    WHEN EXISTS (SELECT FROM queue WHERE ready AND lapses >= 2 AND leg = $1 AND available_at <= now())
    THEN greatest((SELECT count(DISTINCT holder) FROM queue WHERE ready = false AND leg = $1), 1)
    ELSE 0
END AS workers
