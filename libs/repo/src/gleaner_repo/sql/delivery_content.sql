-- Reads what a delivery tells: an event, its job as the move left it, and the newest result of that moment.
-- $1 text the tenant, $2 uuid the job, $3 bigint the event's seq, $4 int largest result in bytes: of a larger one only
-- the size is read. Indexes: events_job_idx, jobs_pkey, outcomes_pkey.
SELECT events.*, jobs.about, jobs.created_at, jobs.request_key, jobs.trace_context, ended.lapses, ended.started_at,
    octet_length(found.result) AS result_size, CASE WHEN octet_length(found.result) <= $4 THEN found.result END AS result
FROM events
CROSS JOIN LATERAL (
    SELECT * FROM jobs WHERE jobs.tenant_id = events.tenant_id AND jobs.id = events.job_id
) AS jobs
LEFT JOIN LATERAL (
    SELECT * FROM outcomes WHERE outcomes.job_id = events.job_id AND outcomes.seq = events.seq
) AS ended ON true
LEFT JOIN LATERAL (
    SELECT outcomes.result
    FROM outcomes
    WHERE outcomes.job_id = events.job_id AND outcomes.seq <= events.seq AND outcomes.result IS NOT NULL
    ORDER BY outcomes.seq DESC
    LIMIT 1
) AS found ON true
WHERE events.job_id = $2 AND events.seq = $3 AND events.tenant_id = $1
