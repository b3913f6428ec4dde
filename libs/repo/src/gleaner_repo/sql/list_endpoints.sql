-- Lists a tenant's endpoints, newest first, but for their secrets.
-- $1 text the tenant, $2 uuid below this id, $3 int how many at most.
-- Index: endpoints_key_idx, all of the tenant's, who has few.
SELECT endpoints.id, endpoints.url, endpoints.event_types, endpoints.description, endpoints.disabled_at,
    endpoints.created_at, cardinality(endpoints.secrets) AS secret_count
FROM endpoints
WHERE endpoints.tenant_id = $1 AND endpoints.id < $2
ORDER BY endpoints.id DESC
LIMIT $3
