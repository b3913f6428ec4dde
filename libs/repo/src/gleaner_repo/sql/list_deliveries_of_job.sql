-- As list_deliveries, for one job: $6 uuid. Index: deliveries_job_idx, all of the job's.
WITH of_job AS MATERIALIZED (
    SELECT deliveries.* FROM deliveries WHERE deliveries.job_id = $6
)
SELECT of_job.*
FROM of_job
WHERE of_job.tenant_id = $1 AND (of_job.event_id, of_job.endpoint_id) < ($2, $3)
    AND of_job.state = ANY ($5::text[])
ORDER BY of_job.event_id DESC, of_job.endpoint_id DESC
LIMIT $4
