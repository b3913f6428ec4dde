-- The position of the slowest group that holds the log; no row if there is none. Index: none, groups are few.
SELECT era, xid, id FROM groups WHERE expired_at IS NULL ORDER BY era, xid, id LIMIT 1
