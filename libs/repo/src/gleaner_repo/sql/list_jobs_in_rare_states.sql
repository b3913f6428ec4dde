-- Lists a tenant's jobs in some states other than SUCCEEDED, newest first, by the rows that say so: a page of each
-- state, and the newest of those.
-- $1 to $8 as in list_jobs.sql; $7 is never null. Indexes: queue_pkey, as much of it as there is alive;
-- outcomes_rare_idx backwards from $2, once a state, until there are enough; jobs_pkey.
-- Traps: a job that was retried has outcomes that no longer count, hence its seq and state are asked again. Without the
-- fences (OFFSET 0), or with one scan for all states, the planner reads and sorts all that ever failed.
SELECT page.*
FROM (
    SELECT listed.*
    FROM (
        SELECT job_status.*
        FROM (
            SELECT queue.id, queue.seq
            FROM queue
            WHERE queue.tenant_id = $1 AND gleaner_state(queue.leg, queue.ready) = ANY ($7)
                AND queue.ready IN (false, true) AND queue.id < $2 AND queue.id >= $8
            ORDER BY queue.id DESC
            OFFSET 0
        ) AS walked
        CROSS JOIN LATERAL (
            SELECT * FROM job_status WHERE job_status.tenant_id = $1 AND job_status.id = walked.id OFFSET 0
        ) AS job_status
        WHERE job_status.seq = walked.seq
            AND ($3::timestamptz IS NULL OR job_status.created_at >= $3)
            AND ($4::timestamptz IS NULL OR job_status.created_at < $4)
            AND ($5::text[] IS NULL OR job_status.refinement = ANY ($5))
        ORDER BY walked.id DESC
        LIMIT $6
    ) AS listed
    UNION ALL
    SELECT listed.*
    FROM unnest($7::text[]) AS asked (state)
    CROSS JOIN LATERAL (
        SELECT job_status.*
        FROM (
            SELECT outcomes.job_id AS id, outcomes.seq
            FROM outcomes
            WHERE outcomes.tenant_id = $1 AND outcomes.state = asked.state
                AND (outcomes.state IN ('FAILED', 'CANCELLED') OR outcomes.refinement IN ('FAILED', 'CANCELLED'))
                AND outcomes.job_id < $2 AND outcomes.job_id >= $8
            ORDER BY outcomes.job_id DESC
            OFFSET 0
        ) AS walked
        CROSS JOIN LATERAL (
            SELECT * FROM job_status WHERE job_status.tenant_id = $1 AND job_status.id = walked.id OFFSET 0
        ) AS job_status
        WHERE job_status.seq = walked.seq
            AND ($3::timestamptz IS NULL OR job_status.created_at >= $3)
            AND ($4::timestamptz IS NULL OR job_status.created_at < $4)
            AND ($5::text[] IS NULL OR job_status.refinement = ANY ($5))
        ORDER BY walked.id DESC
        LIMIT $6
    ) AS listed
) AS page
ORDER BY page.id DESC
LIMIT $6
