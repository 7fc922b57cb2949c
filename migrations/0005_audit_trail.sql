-- The audit trail lives in the original's "Log" table, extended by columns the original does not know.
-- Rows written by these servers carry an actor kind, and cannot be changed or removed.

ALTER TABLE "Log"
    ADD COLUMN actor_kind text CHECK (actor_kind IN ('user', 'operator', 'stripe', 'system', 'anonymous')),
    ADD COLUMN actor_id uuid,
    ADD COLUMN subject_id text,
    ADD COLUMN client_address text,
    ADD COLUMN details jsonb;

CREATE INDEX log_timestamp ON "Log" ("timestamp");

CREATE FUNCTION refuse_audit_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit trail is append-only';
END
$$;

CREATE TRIGGER log_append_only BEFORE UPDATE OR DELETE ON "Log"
    FOR EACH ROW WHEN (OLD.actor_kind IS NOT NULL) EXECUTE FUNCTION refuse_audit_change();
