-- Reads the events of jobs after a seq each, in order. $1 uuid[] jobs, $2 bigint[] seqs. Index: events_job_idx.
SELECT events.job_id, events.seq, events.event_id, events.type, events.leg, events.series, events.attempt,
    events.at, events.body
FROM unnest($1::uuid[], $2::bigint[]) AS input (id, seq)
CROSS JOIN LATERAL (
    SELECT * FROM events WHERE events.job_id = input.id AND events.seq > input.seq ORDER BY events.seq LIMIT 1000
) AS events
ORDER BY events.job_id, events.seq
