-- Makes an endpoint, or finds the one that the same request key has made.
-- $1 uuid id, $2 text the tenant, $3 text url, $4 smallint[] event types, $5 text description, $6 boolean whether it is
-- disabled, $7 text secret, $8 text request key. Index: endpoints_key_idx.
-- Returns it with its newest secret; nothing if the same key is making it at this moment: then ask again.
-- The trigger endpoints_limit (0005) refuses one too many.
WITH made AS (
    INSERT INTO endpoints (id, tenant_id, url, event_types, description, disabled_at, secrets, request_key)
    VALUES ($1, $2, $3, $4, $5, CASE WHEN $6 THEN clock_timestamp() END, ARRAY[$7::text], $8)
    ON CONFLICT (tenant_id, request_key) DO NOTHING
    RETURNING *
),
found AS (
    SELECT * FROM made
    UNION ALL
    SELECT endpoints.* FROM endpoints WHERE endpoints.tenant_id = $2 AND endpoints.request_key = $8
)
SELECT found.id, found.url, found.event_types, found.description, found.disabled_at, found.created_at,
    cardinality(found.secrets) AS secret_count, found.secrets[1] AS secret
FROM found
