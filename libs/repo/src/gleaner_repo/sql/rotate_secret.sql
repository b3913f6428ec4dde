-- Gives an endpoint a new secret, which comes first; the one before it stays, any older one goes.
-- $1 uuid id, $2 text the tenant, $3 text secret, $4 text request key: the same one again changes nothing, $5 boolean
-- whether the one before it goes, too. Index: endpoints_pkey.
UPDATE endpoints
SET secrets = CASE
        WHEN endpoints.rotation_key = $4 THEN endpoints.secrets
        WHEN $5 THEN ARRAY[$3::text]
        ELSE array_prepend($3, endpoints.secrets[1:1])
    END,
    rotation_key = $4
WHERE endpoints.id = $1 AND endpoints.tenant_id = $2
RETURNING endpoints.id, endpoints.url, endpoints.event_types, endpoints.description, endpoints.disabled_at,
    endpoints.created_at, cardinality(endpoints.secrets) AS secret_count, endpoints.secrets[1] AS secret
