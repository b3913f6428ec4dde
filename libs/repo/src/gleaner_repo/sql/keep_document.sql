-- Takes back a document's doom, if it was doomed, and tells whether it is there: one row, or none.
-- $1 text the tenant, $2 bytea SHA-256. Index: documents_pkey.
-- Trap: what is not doomed must not be locked, or all submits of one document stand in line.
WITH kept AS (
    UPDATE documents
    SET doomed_at = NULL
    WHERE documents.tenant_id = $1 AND documents.digest = $2 AND documents.doomed_at IS NOT NULL
)
SELECT FROM documents WHERE documents.tenant_id = $1 AND documents.digest = $2
