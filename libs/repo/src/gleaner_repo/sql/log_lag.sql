-- How far readers are behind the log: a row for each of the suite's own groups, and one, named null, for that of all
-- tenants' that is furthest behind. Age in seconds of the next event they have to read, 0 at the log's end. Index:
-- events_pkey, one probe a row; the groups themselves are read through, for they are few.
WITH readers AS MATERIALIZED (
    SELECT groups.name, groups.era, groups.xid, groups.id
    FROM groups
    WHERE groups.expired_at IS NULL AND groups.tenant_id = ''
    UNION ALL
    (
        SELECT NULL, groups.era, groups.xid, groups.id
        FROM groups
        WHERE groups.expired_at IS NULL AND groups.tenant_id <> ''
        ORDER BY groups.era, groups.xid, groups.id
        LIMIT 1
    )
)
SELECT readers.name, coalesce(extract(epoch FROM clock_timestamp() - next.at), 0)::float8 AS age_s
FROM readers
LEFT JOIN LATERAL (
    SELECT events.at
    FROM events
    WHERE (events.era, events.xid, events.id) > (readers.era, readers.xid, readers.id)
    ORDER BY events.era, events.xid, events.id
    LIMIT 1
) AS next ON true
