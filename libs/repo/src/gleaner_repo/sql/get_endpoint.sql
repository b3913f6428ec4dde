-- Reads an endpoint, but for its secrets. $1 uuid id, $2 text the tenant. Index: endpoints_pkey.
SELECT endpoints.id, endpoints.url, endpoints.event_types, endpoints.description, endpoints.disabled_at,
    endpoints.created_at, cardinality(endpoints.secrets) AS secret_count
FROM endpoints
WHERE endpoints.id = $1 AND endpoints.tenant_id = $2
