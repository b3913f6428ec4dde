-- How many deliveries are to be made: $1 int no count goes further than this. Age in seconds of the one due for longest,
-- by the database's clock, null if none is due. Those that are being sent count apart: their sender may be dead.
-- Indexes: deliveries_due_idx; deliveries_sending_idx, all of it: as many rows as are being sent.
-- Trap: the SELECT around the limit keeps it from the planner, as in backlog.sql.
SELECT due.deliveries AS due, due.oldest_s, waiting.deliveries AS waiting, sending.deliveries AS sending
FROM (
    SELECT count(*) AS deliveries, extract(epoch FROM now() - min(counted.available_at))::float8 AS oldest_s
    FROM (
        SELECT deliveries.available_at
        FROM deliveries
        WHERE deliveries.ready AND deliveries.available_at <= now()
        ORDER BY deliveries.available_at  -- so that the oldest is among those that are counted
        LIMIT (SELECT $1::int)
    ) AS counted
) AS due
CROSS JOIN (
    SELECT count(*) AS deliveries
    FROM (
        SELECT
        FROM deliveries
        WHERE deliveries.ready AND deliveries.available_at > now()
        ORDER BY deliveries.available_at
        LIMIT (SELECT $1::int)
    ) AS counted
) AS waiting
CROSS JOIN (
    SELECT count(*) AS deliveries
    FROM (SELECT FROM deliveries WHERE deliveries.state = 'SENDING' LIMIT (SELECT $1::int)) AS counted
) AS sending
