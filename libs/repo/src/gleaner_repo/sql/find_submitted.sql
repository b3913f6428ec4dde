-- Reads who has the ids or request keys of a submit. A statement of its own: the snapshot of the insert that ran into
-- them cannot see them.
-- $1 uuid[] ids, $2 text[] tenants, $3 text[] request keys or null. Returns the asked id, and id, fingerprint
-- and time found.
-- Indexes: jobs_pkey, jobs_key_idx.
SELECT input.id AS asked, found.id, found.fingerprint, found.created_at
FROM unnest($1::uuid[], $2::text[], $3::text[]) AS input (id, tenant_id, request_key)
CROSS JOIN LATERAL (
    SELECT jobs.id, jobs.fingerprint, jobs.created_at
    FROM jobs
    WHERE jobs.tenant_id = input.tenant_id AND jobs.id = input.id
    UNION ALL
    SELECT jobs.id, jobs.fingerprint, jobs.created_at
    FROM jobs
    WHERE jobs.tenant_id = input.tenant_id AND jobs.request_key = input.request_key AND jobs.id <> input.id
) AS found
