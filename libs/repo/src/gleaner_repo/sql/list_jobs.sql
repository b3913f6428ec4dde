-- Lists a tenant's jobs, newest first, by walking them: for any state, or for states that most jobs are in.
-- $1 text the tenant, $2 uuid ids below this one, $3 and $4 timestamptz created at or after, and before (or null),
-- $5 text[] refinements or null, $6 int how many at most, $7 text[] states or null, $8 uuid ids not below this one.
-- Index: jobs_pkey backwards from $2, until there are enough.
-- Trap: the walk is fenced (OFFSET 0), and so is each job's look-up, and filters stay outside of the walk. Else the
-- planner, who knows neither the limit nor which filters are null, reads and sorts all that the tenant ever had.
SELECT job_status.*
FROM (
    SELECT jobs.id
    FROM jobs
    WHERE jobs.tenant_id = $1 AND jobs.id < $2 AND jobs.id >= $8
    ORDER BY jobs.id DESC
    OFFSET 0
) AS walked
CROSS JOIN LATERAL (
    SELECT * FROM job_status WHERE job_status.tenant_id = $1 AND job_status.id = walked.id OFFSET 0
) AS job_status
WHERE ($3::timestamptz IS NULL OR job_status.created_at >= $3)
    AND ($4::timestamptz IS NULL OR job_status.created_at < $4)
    AND ($5::text[] IS NULL OR job_status.refinement = ANY ($5))
    AND ($7::text[] IS NULL OR job_status.state = ANY ($7))
ORDER BY walked.id DESC
LIMIT $6
