-- Stores a document's bytes once a tenant, and takes back its doom if it was doomed.
-- $1 text the tenant, $2 bytea SHA-256, $3 bigint size, $4 text media type, $5 bytea content. Index: documents_pkey.
INSERT INTO documents (tenant_id, digest, size, media_type, content)
VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (tenant_id, digest) DO UPDATE SET doomed_at = NULL WHERE documents.doomed_at IS NOT NULL
