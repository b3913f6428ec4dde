-- Reads a job's newest result. $1 text the tenant, $2 uuid the job. Index: outcomes_pkey.
SELECT outcomes.result, outcomes.seq
FROM outcomes
WHERE outcomes.job_id = $2 AND outcomes.tenant_id = $1 AND outcomes.result IS NOT NULL
ORDER BY outcomes.seq DESC
LIMIT 1
