-- Changes an endpoint; what is null stays as it is. One that is disabled again keeps the time of the first.
-- $1 uuid id, $2 text the tenant, $3 text url, $4 smallint[] event types, $5 text description, $6 boolean whether it is
-- disabled. Index: endpoints_pkey.
UPDATE endpoints
SET url = coalesce($3, endpoints.url),
    event_types = coalesce($4, endpoints.event_types),
    description = coalesce($5, endpoints.description),
    disabled_at = CASE
        WHEN $6 THEN coalesce(endpoints.disabled_at, clock_timestamp())
        WHEN $6 IS NULL THEN endpoints.disabled_at
    END
WHERE endpoints.id = $1 AND endpoints.tenant_id = $2
RETURNING endpoints.id, endpoints.url, endpoints.event_types, endpoints.description, endpoints.disabled_at,
    endpoints.created_at, cardinality(endpoints.secrets) AS secret_count
