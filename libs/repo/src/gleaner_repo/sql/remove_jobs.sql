-- Deletes jobs that have been over for long, as delete_job.sql does one: request, results, links to documents and
-- deliveries go; events stay, and so do those that a group parked, without what they said.
-- $1 interval for how long; $2 uuid only jobs after this one; $3 int how many outcomes to look at; $4 bigint about how
-- many bytes of results to delete at most. Returns how many went, and the last job that was looked at, or null.
-- Whoever has still to be told (a delivery that is PENDING or SENDING) keeps the job.
-- Indexes: outcomes_pkey from $2 on: ids are UUIDv7, so the oldest jobs come first, and no other index is needed; then
-- one probe a job of outcomes_pkey, queue_pkey, deliveries_job_idx, jobs_pkey and what delete_job.sql reads.
-- Traps: an outcome's job may be alive, in its next leg or series. A retry that commits while this picks is not seen;
-- then the trigger on jobs refuses the statement, and it is to be sent again. Artefacts are large: bounded
-- by rows alone, the statement would not end in time.
WITH looked AS MATERIALIZED (
    SELECT outcomes.job_id, outcomes.tenant_id, outcomes.seq,
        coalesce(octet_length(outcomes.result), 0) + coalesce(octet_length(outcomes.artefact), 0) AS size
    FROM outcomes
    WHERE outcomes.job_id > $2
        AND outcomes.job_id
            < (lpad(to_hex(greatest(extract(epoch FROM now() - $1::interval) * 1000, 0)::bigint), 12, '0') || repeat('0', 20))::uuid
    ORDER BY outcomes.job_id, outcomes.seq
    LIMIT $3
),
measured AS MATERIALIZED (
    SELECT looked.job_id, looked.tenant_id, sum(looked.size) OVER (ORDER BY looked.job_id, looked.seq) - looked.size AS before
    FROM looked
),
candidate AS MATERIALIZED (
    SELECT DISTINCT measured.job_id, measured.tenant_id FROM measured WHERE measured.before < $4 ORDER BY measured.job_id
),
old AS MATERIALIZED (
    SELECT job.place
    FROM candidate
    CROSS JOIN LATERAL (
        SELECT outcomes.ended_at FROM outcomes WHERE outcomes.job_id = candidate.job_id ORDER BY outcomes.seq DESC LIMIT 1
    ) AS newest
    LEFT JOIN LATERAL (
        SELECT true AS yes FROM queue WHERE queue.ready IN (false, true) AND queue.id = candidate.job_id LIMIT 1
    ) AS alive ON true
    LEFT JOIN LATERAL (
        SELECT true AS yes
        FROM deliveries
        WHERE deliveries.job_id = candidate.job_id AND deliveries.state IN ('PENDING', 'SENDING')
        LIMIT 1
    ) AS owed ON true
    CROSS JOIN LATERAL (
        SELECT jobs.ctid AS place
        FROM jobs
        WHERE jobs.tenant_id = candidate.tenant_id AND jobs.id = candidate.job_id
            AND newest.ended_at < now() - $1::interval AND alive.yes IS NULL AND owed.yes IS NULL
        FOR UPDATE SKIP LOCKED
    ) AS job
),
gone AS (
    DELETE FROM jobs WHERE jobs.ctid = ANY (ARRAY(SELECT old.place FROM old)) RETURNING jobs.id
),
outcome AS (
    DELETE FROM outcomes WHERE outcomes.job_id = ANY (ARRAY(SELECT gone.id FROM gone))
),
link AS (
    DELETE FROM job_documents WHERE job_documents.job_id = ANY (ARRAY(SELECT gone.id FROM gone))
),
delivery AS (
    DELETE FROM deliveries WHERE deliveries.job_id = ANY (ARRAY(SELECT gone.id FROM gone))
),
event AS (
    UPDATE events
    SET body = ''
    WHERE events.job_id = ANY (ARRAY(SELECT gone.id FROM gone)) AND events.body <> ''
    RETURNING events.event_id, events.tenant_id
),
parked AS (
    UPDATE parked_events
    SET body = ''
    WHERE parked_events.ctid = ANY (ARRAY(
        SELECT found.ctid
        FROM event
        CROSS JOIN LATERAL (
            SELECT groups.tenant_id, groups.name FROM groups WHERE groups.tenant_id IN (event.tenant_id, '') OFFSET 0
        ) AS reader
        CROSS JOIN LATERAL (
            SELECT parked_events.ctid
            FROM parked_events
            WHERE parked_events.group_tenant_id = reader.tenant_id
                AND parked_events.group_name = reader.name
                AND parked_events.event_id = event.event_id
            FOR UPDATE
        ) AS found
    ))
)
SELECT
    (SELECT count(*) FROM gone) AS removed,
    (SELECT count(*) FROM looked) AS looked,
    (SELECT candidate.job_id FROM candidate ORDER BY candidate.job_id DESC LIMIT 1) AS reached
