-- 0002: deliveries are given up when they have waited too long, and are listed by tenant and state.
ALTER TABLE deliveries ADD COLUMN pending_since timestamptz NOT NULL DEFAULT clock_timestamp();

CREATE INDEX deliveries_listed_idx ON deliveries (tenant_id, state, event_id, endpoint_id);
