-- Reads a delivery. $1 uuid event, $2 uuid endpoint, $3 text the tenant. Index: deliveries_pkey.
SELECT deliveries.*
FROM deliveries
WHERE deliveries.event_id = $1 AND deliveries.endpoint_id = $2 AND deliveries.tenant_id = $3
