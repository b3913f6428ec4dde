-- Reads how it stands with a lease whose last statement's answer was lost.
-- $1 uuid the job, $2 int the fencing token, $3 text and $4 text state and refinement of the outcome it would have
-- made (null: none). Indexes: queue_pkey, outcomes_pkey.
-- Trap: the newest outcome may be of a later series that kept the token, hence all of the token's are looked at.
SELECT
    gleaner_state(alive.leg, alive.ready) AS state,
    alive.ready,
    alive.lease_token,
    EXISTS (
        SELECT FROM outcomes
        WHERE outcomes.job_id = $1 AND outcomes.lease_token = $2 AND outcomes.state = $3
            AND outcomes.refinement IS NOT DISTINCT FROM $4
    ) AS ended
FROM (VALUES (1)) AS one
LEFT JOIN LATERAL (SELECT * FROM queue WHERE queue.ready IN (false, true) AND queue.id = $1) AS alive ON true
