-- 0005: jobs that failed, were cancelled or kept a result without boxes are found without all that were refined since.

-- The outcome of an extraction whose boxes are to follow says PARTIAL_SUCCEEDED too; nobody looks for it, for its job
-- is alive or has a later outcome.
CREATE INDEX outcomes_rare_idx ON outcomes (tenant_id, state, job_id)
    WHERE state IN ('FAILED', 'CANCELLED') OR refinement IN ('FAILED', 'CANCELLED');

-- The version before finds a tenant's outcomes by their job's id, slower, while it is still there.
DROP INDEX outcomes_by_state_idx;
