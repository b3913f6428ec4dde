-- Tells whether the database can be worked with: it takes writes, was migrated as far as this code needs, and its log's
-- era is not behind (it is when the database was restored into another cluster and the migration command did not run since).
-- $1 text the newest migration. Index: events_pkey, its last row; groups_pkey, all.
SELECT
    NOT pg_is_in_recovery() AND NOT current_setting('transaction_read_only')::boolean AS writable,
    EXISTS (SELECT FROM migrations WHERE name = $1) AS migrated,
    coalesce(
        (
            SELECT events.xid < pg_snapshot_xmax(pg_current_snapshot())
            FROM events
            WHERE events.era = (SELECT era FROM log_era)
            ORDER BY events.xid DESC, events.id DESC
            LIMIT 1
        ),
        true
    )
    -- Events may be few or removed, while a group stands where the log once was.
    AND NOT EXISTS (
        SELECT
        FROM groups
        WHERE groups.era = (SELECT era FROM log_era) AND groups.xid > pg_snapshot_xmax(pg_current_snapshot())
    ) AS era_fits
