-- How many events are parked, of all groups. $1 int the count goes no further. Index: parked_events_pkey, all of it up to
-- the limit.
SELECT count(*) AS parked FROM (SELECT FROM parked_events LIMIT $1) AS counted
