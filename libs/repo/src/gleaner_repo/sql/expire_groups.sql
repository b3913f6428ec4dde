-- Expires the groups that stood still for too long although there was something to read: they hold the log no longer.
-- $1 interval how long. Index: events_pkey, one probe a group. A group at the log's end holds nothing and stays.
UPDATE groups
SET
    expired_at = clock_timestamp(),
    holder = NULL,
    lease_expires_at = NULL,
    handed_out = 0,
    lease_token = lease_token + 1
WHERE expired_at IS NULL AND last_moved_at < now() - $1::interval
    AND (
        SELECT events.at
        FROM events
        WHERE (events.era, events.xid, events.id) > (groups.era, groups.xid, groups.id)
        ORDER BY events.era, events.xid, events.id
        LIMIT 1
    ) < now() - $1::interval
RETURNING tenant_id, name
