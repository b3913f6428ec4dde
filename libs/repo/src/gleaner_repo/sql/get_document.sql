-- Reads a document's bytes. $1 text the tenant, $2 bytea SHA-256. Index: documents_pkey.
SELECT content FROM documents WHERE tenant_id = $1 AND digest = $2
