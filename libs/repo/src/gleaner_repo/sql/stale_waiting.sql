-- Finds jobs that nobody took though they were due for long: $1 smallint the leg (1: stale queued, 2: pending
-- refinement), $2 interval for how long, $3 int how many at most. Index: queue_claim_idx.
SELECT id, available_at
FROM queue
WHERE ready AND leg = $1 AND available_at < now() - $2::interval
ORDER BY available_at
LIMIT $3
