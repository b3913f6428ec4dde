-- Lists the one job of a tenant that has a request key, if it is what is asked for.
-- $1 to $8 as in list_jobs.sql; $9 text the request key. Index: jobs_key_idx, one probe.
SELECT job_status.*
FROM (SELECT jobs.id FROM jobs WHERE jobs.tenant_id = $1 AND jobs.request_key = $9 OFFSET 0) AS keyed
CROSS JOIN LATERAL (
    SELECT * FROM job_status WHERE job_status.tenant_id = $1 AND job_status.id = keyed.id OFFSET 0
) AS job_status
WHERE job_status.id < $2 AND job_status.id >= $8
    AND ($3::timestamptz IS NULL OR job_status.created_at >= $3)
    AND ($4::timestamptz IS NULL OR job_status.created_at < $4)
    AND ($5::text[] IS NULL OR job_status.refinement = ANY ($5))
    AND ($7::text[] IS NULL OR job_status.state = ANY ($7))
LIMIT $6
