-- Lists a tenant's jobs in some states other than SUCCEEDED, newest first, by the rows that say so.
-- $1 to $8 as in list_jobs.sql; $8 is never null. Indexes: queue_pkey, as much of it as there is alive,
-- outcomes_by_state_idx, jobs_pkey.
-- Trap: a job that was retried has an outcome that no longer counts, hence the state is asked again.
WITH candidate AS MATERIALIZED (
    SELECT queue.id FROM queue WHERE queue.tenant_id = $1 AND gleaner_state(queue.leg, queue.ready) = ANY ($8)
        AND queue.ready IN (false, true) AND queue.id < $2
    UNION
    SELECT outcomes.job_id
    FROM outcomes
    WHERE outcomes.tenant_id = $1 AND outcomes.state = ANY ($8) AND outcomes.state <> 'SUCCEEDED' AND outcomes.job_id < $2
)
SELECT job_status.*
FROM candidate
CROSS JOIN LATERAL (
    SELECT * FROM job_status WHERE job_status.tenant_id = $1 AND job_status.id = candidate.id
) AS job_status
WHERE job_status.state = ANY ($8)
    AND ($3::timestamptz IS NULL OR job_status.created_at >= $3)
    AND ($4::timestamptz IS NULL OR job_status.created_at < $4)
    AND ($5::text IS NULL OR job_status.request_key = $5)
    AND ($6::text[] IS NULL OR job_status.refinement = ANY ($6))
ORDER BY job_status.id DESC
LIMIT $7
