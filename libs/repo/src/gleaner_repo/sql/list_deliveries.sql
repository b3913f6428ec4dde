-- Lists a tenant's deliveries, newest first.
-- $1 text the tenant, $2 uuid and $3 uuid below this event and endpoint, $4 int how many at most, $5 text[] states.
-- Index: deliveries_listed_idx backwards, once for each state.
SELECT deliveries.*
FROM unnest($5::text[]) AS input (state)
CROSS JOIN LATERAL (
    SELECT *
    FROM deliveries
    WHERE deliveries.tenant_id = $1 AND deliveries.state = input.state
        AND (deliveries.event_id, deliveries.endpoint_id) < ($2, $3)
    ORDER BY deliveries.event_id DESC, deliveries.endpoint_id DESC
    LIMIT $4
) AS deliveries
ORDER BY deliveries.event_id DESC, deliveries.endpoint_id DESC
LIMIT $4
