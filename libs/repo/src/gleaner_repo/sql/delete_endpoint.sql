-- Deletes an endpoint. $1 uuid id, $2 text the tenant. Index: endpoints_pkey.
-- What it is owed stays: nothing finds it by endpoint, and a move under way may be adding to it. The sender gives it up.
DELETE FROM endpoints WHERE endpoints.id = $1 AND endpoints.tenant_id = $2 RETURNING endpoints.id
