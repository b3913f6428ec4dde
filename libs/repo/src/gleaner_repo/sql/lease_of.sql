-- Reads how it stands with a lease whose last statement's answer was lost.
-- $1 uuid the job, $2 bigint the fencing token. Indexes: queue_pkey, outcomes_pkey.
-- `state` is the queue row's, with its token; `ended` the newest outcome that this token made.
SELECT alive.state, alive.ready, alive.lease_token, ended.state AS ended_state, ended.refinement AS ended_refinement
FROM (VALUES (1)) AS one
LEFT JOIN LATERAL (SELECT * FROM queue WHERE queue.id = $1) AS alive ON true
LEFT JOIN LATERAL (
    SELECT * FROM outcomes WHERE outcomes.job_id = $1 AND outcomes.lease_token = $2 ORDER BY outcomes.seq DESC LIMIT 1
) AS ended ON true
