-- Makes a document stay for the submit that is to come, if it is doomed, and tells whether it is there: one row, or none.
-- $1 text the tenant, $2 bytea SHA-256. Index: documents_pkey.
-- Its doom is put off, not taken back: if the submit never comes, the bytes go. Once a job refers to it, the reaper
-- takes the doom back. Trap: what is not doomed, or was a moment ago, must not be locked, or all submits of one
-- document stand in line.
WITH kept AS (
    UPDATE documents
    SET doomed_at = clock_timestamp()
    WHERE documents.tenant_id = $1 AND documents.digest = $2
        AND documents.doomed_at < clock_timestamp() - interval '30 seconds'
)
SELECT FROM documents WHERE documents.tenant_id = $1 AND documents.digest = $2
