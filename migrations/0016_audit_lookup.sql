-- The operator looks up what somebody did and what was done on a row; and emptying the table is a removal too.

CREATE INDEX log_actor ON "Log" (actor_id, "timestamp") WHERE actor_id IS NOT NULL;
CREATE INDEX log_subject ON "Log" (subject_id, "timestamp") WHERE subject_id IS NOT NULL;

CREATE FUNCTION refuse_audit_truncation() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM "Log" WHERE actor_kind IS NOT NULL) THEN
        RAISE EXCEPTION 'the audit trail is append-only';
    END IF;
    RETURN NULL;
END
$$;

CREATE TRIGGER log_no_truncation BEFORE TRUNCATE ON "Log"
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_truncation();
