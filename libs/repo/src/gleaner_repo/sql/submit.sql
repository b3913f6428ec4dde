-- Stores jobs, their queue rows, their links to documents, their first events and deliveries: all or nothing.
-- $1 uuid[] ids, $2 text[] tenants, $3 text[] request keys or null, $4 bytea[] fingerprints, $5 bytea[] requests,
-- $6 bytea[] what to show, $7 text[] callback URLs or null, $8 text[] trace contexts or null;
-- $9 uuid[] and $10 bytea[]: jobs and digests of their documents, flat.
-- Returns what was new, with its time: what is missing was there before, under its id or its key, and is read by
-- find_submitted.sql. A document that is gone fails the statement (foreign key).
-- Index: jobs_key_idx. Trap: two batches with the same keys in different order deadlock, hence the caller sorts them.
-- Without its ON CONFLICT it fails if one of the jobs is there, and takes a fifth less (gleaner_repo/jobs.py).
WITH job AS (
    INSERT INTO jobs (id, tenant_id, request_key, fingerprint, request, about, callback_url, trace_context)
    SELECT *
    FROM unnest($1::uuid[], $2::text[], $3::text[], $4::bytea[], $5::bytea[], $6::bytea[], $7::text[], $8::text[])
    ON CONFLICT DO NOTHING
    RETURNING id, tenant_id, created_at, callback_url IS NOT NULL AS has_callback, gleaner_event_id(id, 1) AS event_id
),
alive AS (
    INSERT INTO queue (id, tenant_id, has_callback)
    SELECT id, tenant_id, has_callback
    FROM job
),
link AS (
    INSERT INTO job_documents (job_id, tenant_id, digest)
    SELECT DISTINCT job.id, job.tenant_id, flat.digest
    FROM unnest($9::uuid[], $10::bytea[]) AS flat (id, digest) JOIN job USING (id)
    ORDER BY 2, 3
),
event AS (
    INSERT INTO events (era, event_id, job_id, seq, tenant_id, type, leg, series, attempt)
    SELECT (SELECT era FROM log_era), event_id, id, 1, tenant_id, 1, 1, 1, 0
    FROM job
),
delivery AS (
    INSERT INTO deliveries (event_id, endpoint_id, tenant_id, job_id, seq, type, url)
    SELECT job.event_id, target.id, job.tenant_id, job.id, 1, 1, target.url
    FROM job
    CROSS JOIN LATERAL (
        SELECT endpoints.id, endpoints.url
        FROM endpoints
        WHERE endpoints.tenant_id = job.tenant_id AND endpoints.disabled_at IS NULL AND 1 = ANY (endpoints.event_types)
        OFFSET 0  -- a fence: else the join may be turned round, and all tenants' endpoints be read
    ) AS target
    WHERE (SELECT EXISTS (SELECT FROM endpoints))  -- asked once, before a row is read: most databases have none
)
SELECT id, created_at FROM job
