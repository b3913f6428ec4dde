-- Lists a tenant's jobs, newest first, by walking them: for any state, or for states that most jobs are in.
-- $1 text the tenant, $2 uuid ids below this one, $3 and $4 timestamptz created at or after, and before (or null),
-- $5 text the request key or null, $6 text[] refinements or null, $7 int how many at most, $8 text[] states or null.
-- Index: jobs_pkey backwards, or jobs_key_idx.
SELECT job_status.*
FROM job_status
WHERE job_status.tenant_id = $1 AND job_status.id < $2
    AND ($3::timestamptz IS NULL OR job_status.created_at >= $3)
    AND ($4::timestamptz IS NULL OR job_status.created_at < $4)
    AND ($5::text IS NULL OR job_status.request_key = $5)
    AND ($6::text[] IS NULL OR job_status.refinement = ANY ($6))
    AND ($8::text[] IS NULL OR job_status.state = ANY ($8))
ORDER BY job_status.id DESC
LIMIT $7
