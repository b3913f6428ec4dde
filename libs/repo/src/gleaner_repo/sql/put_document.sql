-- Stores a document's bytes once a tenant, doomed from the beginning: if no job comes to refer to them, they go.
-- $1 text the tenant, $2 bytea SHA-256, $3 bigint size, $4 text media type, $5 bytea content. Index: documents_pkey.
-- The doom of a document that is there is put off, as keep_document.sql does.
INSERT INTO documents (tenant_id, digest, size, media_type, content, doomed_at)
VALUES ($1, $2, $3, $4, $5, clock_timestamp())
ON CONFLICT (tenant_id, digest) DO UPDATE
SET doomed_at = clock_timestamp()
WHERE documents.doomed_at < clock_timestamp() - interval '30 seconds'
