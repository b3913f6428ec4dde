-- 0005: endpoints are made by their owners, each by one request id, and not too many: every move reads them all.
ALTER TABLE endpoints
    ADD COLUMN description text NOT NULL DEFAULT '',
    ADD COLUMN request_key text,   -- of the call that made it
    ADD COLUMN rotation_key text;  -- of the call that made its newest secret

CREATE UNIQUE INDEX endpoints_key_idx ON endpoints (tenant_id, request_key);

-- A trigger, not a condition of the insert: of two inserts at once neither would see the other's row in its snapshot,
-- and both would pass. Here the second waits for the first to commit, and counts with a snapshot of its own. After the
-- row, so that one that is there already and is not made again does not count.
CREATE FUNCTION gleaner_limit_endpoints() RETURNS trigger LANGUAGE plpgsql AS $body$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('endpoints of ' || new.tenant_id, 0));
    IF (SELECT count(*) FROM endpoints WHERE endpoints.tenant_id = new.tenant_id) > 20 THEN
        RAISE check_violation USING CONSTRAINT = 'endpoints_limit', MESSAGE = 'a tenant has 20 endpoints at most';
    END IF;
    RETURN NULL;
END
$body$;

CREATE TRIGGER endpoints_limit AFTER INSERT ON endpoints
FOR EACH ROW EXECUTE FUNCTION gleaner_limit_endpoints();
