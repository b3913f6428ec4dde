-- Tells whether a job that lost leases before waits to be run alone. $1 smallint the leg. Index: queue_suspect_idx.
SELECT EXISTS (
    SELECT FROM queue WHERE ready AND lapses >= 2 AND leg = $1 AND available_at <= now()
) AS due
