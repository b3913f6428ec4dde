-- Finds leases that ran out: $1 smallint the leg (1: stale running, 2: stale refining), $2 int how many at most.
-- Index: the front of queue_pkey, all of it: as many rows as there are leases.
SELECT id, lease_token, lease_expires_at, lapses
FROM queue
WHERE NOT ready AND leg = $1 AND lease_expires_at < now()
ORDER BY id
LIMIT $2
