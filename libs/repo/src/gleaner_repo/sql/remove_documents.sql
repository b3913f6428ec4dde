-- Removes documents that were doomed long ago and that no job refers to; where one does, takes back the doom.
-- $1 interval for how long; $2 int how many to look at; $3 bigint how many bytes to remove at most, but for a first
-- document that is larger. Returns how many were looked at, removed and saved.
-- Indexes: documents_doomed_idx from its beginning; job_documents_digest_idx, one probe a document.
-- Traps: a submit that links a document holds its row FOR KEY SHARE until it commits: such a row is skipped. One that
-- committed since this statement began is not seen; then its foreign key refuses the statement, and it is to be sent
-- again. What is doomed and referred to must not stay so, or as many as $2 would hide all others. Large documents are
-- thousands of rows each: bounded by their number alone, the statement would not end in time.
WITH doomed AS MATERIALIZED (
    SELECT documents.ctid AS place, documents.tenant_id, documents.digest, documents.doomed_at, documents.size
    FROM documents
    WHERE documents.doomed_at < now() - $1::interval
    ORDER BY documents.doomed_at
    LIMIT $2
    FOR UPDATE SKIP LOCKED
),
judged AS MATERIALIZED (
    SELECT doomed.place, doomed.size, doomed.doomed_at, link.yes AS linked
    FROM doomed
    LEFT JOIN LATERAL (
        SELECT true AS yes
        FROM job_documents
        WHERE job_documents.tenant_id = doomed.tenant_id AND job_documents.digest = doomed.digest
        LIMIT 1
    ) AS link ON true
),
measured AS MATERIALIZED (
    SELECT judged.place, sum(judged.size) OVER (ORDER BY judged.doomed_at, judged.place) - judged.size AS before
    FROM judged
    WHERE judged.linked IS NULL
),
saved AS (
    UPDATE documents
    SET doomed_at = NULL
    WHERE documents.ctid = ANY (ARRAY(SELECT judged.place FROM judged WHERE judged.linked))
    RETURNING documents.size
),
removed AS (
    DELETE FROM documents
    WHERE documents.ctid = ANY (ARRAY(SELECT measured.place FROM measured WHERE measured.before < $3))
    RETURNING documents.size
)
SELECT
    (SELECT count(*) FROM doomed) AS looked,
    (SELECT count(*) FROM removed) AS removed,
    (SELECT count(*) FROM saved) AS saved
