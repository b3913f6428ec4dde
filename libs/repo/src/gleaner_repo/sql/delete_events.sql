-- Deletes old events from the log's beginning, none above a position.
-- $1 smallint, $2 xid8 and $3 bigint: the position; $4 interval: only what is older; $5 int how many at most. Index: events_pkey from the beginning.
-- Traps: the first $5 events are looked at and no more, else a log of young events would be read whole; and they are
-- reached by their range, not by a join, which might read the whole log too.
WITH oldest AS MATERIALIZED (
    SELECT events.era, events.xid, events.id
    FROM events
    WHERE (events.era, events.xid, events.id) <= ($1, $2, $3)
    ORDER BY events.era, events.xid, events.id
    LIMIT $5
),
last AS MATERIALIZED (
    SELECT era, xid, id FROM oldest ORDER BY era DESC, xid DESC, id DESC LIMIT 1
)
DELETE FROM events
WHERE (events.era, events.xid, events.id)
        <= ((SELECT last.era FROM last), (SELECT last.xid FROM last), (SELECT last.id FROM last))
    AND events.at < now() - $4::interval
