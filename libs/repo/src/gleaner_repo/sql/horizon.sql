-- The oldest open writer of the whole server, of any database: what it and all later ones write is not read yet.
-- No row if nobody writes. Reads pg_locks, where every writer holds its own id, for pg_stat_activity hides the ids of
-- other roles' transactions; their age it hides too (null) from a role without pg_read_all_stats.
SELECT
    writers.pid,
    coalesce(sessions.datname, prepared.database) AS database,
    coalesce(sessions.application_name, prepared.gid) AS application,
    sessions.state,
    clock_timestamp() - coalesce(sessions.xact_start, prepared.prepared) AS age
FROM pg_locks AS writers
LEFT JOIN pg_stat_activity AS sessions ON sessions.pid = writers.pid
LEFT JOIN pg_prepared_xacts AS prepared ON prepared.transaction = writers.transactionid
WHERE writers.locktype = 'transactionid' AND writers.mode = 'ExclusiveLock' AND writers.granted
ORDER BY age(writers.transactionid) DESC
LIMIT 1
