-- Deletes a job that is over: its request, results, links to documents and deliveries. Its events stay, as the proof of
-- what happened, without what they said; so do those that a group parked.
-- $1 text the tenant, $2 uuid the job. Returns its id; nothing if it is alive or is not there.
-- Documents that no other job refers to are doomed by the trigger on job_documents (0004).
-- Indexes: jobs_pkey, queue_pkey, outcomes_pkey, job_documents_pkey, deliveries_job_idx, events_job_idx, and
-- parked_events_pkey by the tenant's few groups.
-- Trap: a retry that commits while this waits for the job's row is not seen by NOT EXISTS; then the trigger on jobs
-- refuses the statement.
WITH gone AS (
    DELETE FROM jobs
    WHERE jobs.tenant_id = $1 AND jobs.id = $2 AND NOT EXISTS (
        SELECT FROM queue WHERE queue.ready IN (false, true) AND queue.id = $2
    )
    RETURNING jobs.id
),
outcome AS (
    DELETE FROM outcomes WHERE outcomes.job_id = (SELECT gone.id FROM gone)
),
link AS (
    DELETE FROM job_documents WHERE job_documents.job_id = (SELECT gone.id FROM gone)
),
delivery AS (
    DELETE FROM deliveries WHERE deliveries.job_id = (SELECT gone.id FROM gone)
),
event AS (
    UPDATE events SET body = '' WHERE events.job_id = (SELECT gone.id FROM gone) AND events.body <> ''
    RETURNING events.event_id
),
parked AS (
    UPDATE parked_events
    SET body = ''
    WHERE parked_events.ctid = ANY (ARRAY(
        SELECT found.ctid
        FROM event
        CROSS JOIN groups
        CROSS JOIN LATERAL (
            SELECT parked_events.ctid
            FROM parked_events
            WHERE parked_events.group_tenant_id = groups.tenant_id
                AND parked_events.group_name = groups.name
                AND parked_events.event_id = event.event_id
            FOR UPDATE
        ) AS found
        WHERE groups.tenant_id IN ($1, '')
    ))
)
SELECT gone.id FROM gone
