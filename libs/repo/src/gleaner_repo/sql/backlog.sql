-- How much there is to do, by leg. $1 int no count goes further than this: a scaler needs no more, and a deep queue is
-- not counted to its end. The queue alone, never history. Ages are seconds by the database's clock, null if nothing is due.
-- Indexes: queue_claim_idx, queue_suspect_idx, and the front of queue_pkey (all leased rows, by filter: as many as there
-- are slots). A job whose lease ran out counts as running: somebody has to rescue it.
-- Traps: a limit that the planner knows, and statistics that know of few rows, make it gather all rows that fit before
-- it counts (200 ms of 300,000; so 10): hence the SELECT around it. The LATERAL parts end in an aggregate, else they may
-- become joins over the whole table.
SELECT
    legs.leg,
    claimable.jobs AS claimable,
    claimable.oldest_s,
    waiting.jobs AS waiting,
    running.jobs AS running,
    suspects.jobs AS suspects
FROM (VALUES (1::smallint), (2::smallint)) AS legs (leg)
CROSS JOIN LATERAL (
    SELECT count(*) AS jobs, extract(epoch FROM now() - min(counted.available_at))::float8 AS oldest_s
    FROM (
        SELECT queue.available_at
        FROM queue
        WHERE queue.ready AND queue.leg = legs.leg AND queue.available_at <= now()
        ORDER BY queue.available_at  -- so that the oldest is among those that are counted
        LIMIT (SELECT $1::int)
    ) AS counted
) AS claimable
CROSS JOIN LATERAL (
    SELECT count(*) AS jobs
    FROM (
        SELECT
        FROM queue
        WHERE queue.ready AND queue.leg = legs.leg AND queue.available_at > now()
        ORDER BY queue.available_at
        LIMIT (SELECT $1::int)
    ) AS counted
) AS waiting
CROSS JOIN LATERAL (
    SELECT count(*) AS jobs
    FROM (SELECT FROM queue WHERE NOT queue.ready AND queue.leg = legs.leg LIMIT (SELECT $1::int)) AS counted
) AS running
CROSS JOIN LATERAL (
    SELECT count(*) AS jobs
    FROM (
        SELECT FROM queue WHERE queue.ready AND queue.lapses >= 2 AND queue.leg = legs.leg LIMIT (SELECT $1::int)
    ) AS counted
) AS suspects
ORDER BY legs.leg
