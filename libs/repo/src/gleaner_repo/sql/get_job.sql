-- Reads jobs as they are. $1 text the tenant, $2 uuid[] ids. Indexes: jobs_pkey, queue_pkey, outcomes_pkey.
SELECT job_status.*
FROM unnest($2::uuid[]) AS input (id)
CROSS JOIN LATERAL (SELECT * FROM job_status WHERE job_status.tenant_id = $1 AND job_status.id = input.id) AS job_status
