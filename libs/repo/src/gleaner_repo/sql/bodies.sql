-- Reads what a run of a claimed job works on: the request, and on the refinement's leg what the extraction stored.
-- $1 text the tenant, $2 uuid the job. Indexes: jobs_pkey, outcomes_pkey.
SELECT jobs.request, extracted.result, extracted.artefact
FROM jobs
LEFT JOIN LATERAL (
    SELECT outcomes.result, outcomes.artefact
    FROM outcomes
    WHERE outcomes.job_id = jobs.id AND outcomes.result IS NOT NULL
    ORDER BY outcomes.seq DESC
    LIMIT 1
) AS extracted ON true
WHERE jobs.tenant_id = $1 AND jobs.id = $2
