-- 0004: who takes the last link to a document away dooms it.

-- A trigger, not a part of the deleting statement: of two deletions at once each would see the other's link in its
-- snapshot, neither would doom, and the bytes would stay for ever. Here the second waits for the first at the
-- document's row, and then looks with a snapshot of its own. A submit that links the document meanwhile takes the row
-- FOR KEY SHARE, which does not wait for this lock: then a document may be doomed and linked, and must not be removed.
CREATE FUNCTION gleaner_doom_documents() RETURNS trigger LANGUAGE plpgsql AS $body$
DECLARE
    link record;
BEGIN
    FOR link IN SELECT DISTINCT gone.tenant_id, gone.digest FROM gone ORDER BY gone.tenant_id, gone.digest LOOP
        PERFORM
        FROM documents
        WHERE documents.tenant_id = link.tenant_id AND documents.digest = link.digest
        FOR NO KEY UPDATE;

        UPDATE documents
        SET doomed_at = clock_timestamp()
        WHERE documents.tenant_id = link.tenant_id AND documents.digest = link.digest
            AND NOT EXISTS (
                SELECT
                FROM job_documents
                WHERE job_documents.tenant_id = link.tenant_id AND job_documents.digest = link.digest
            );
    END LOOP;
    RETURN NULL;
END
$body$;

CREATE TRIGGER job_documents_doom AFTER DELETE ON job_documents
REFERENCING OLD TABLE AS gone
FOR EACH STATEMENT EXECUTE FUNCTION gleaner_doom_documents();
