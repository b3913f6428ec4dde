-- Reads what the database says a holder has. $1 uuid the holder, $2 smallint the leg.
-- Index: the front of queue_pkey, all of it: as many rows as there are leases.
SELECT id, lease_token FROM queue WHERE NOT ready AND holder = $1 AND leg = $2
