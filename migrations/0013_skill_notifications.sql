-- Servers keep the list of skills in memory; they forget it when it changes, whoever changes it: the original too.
-- Several changes in one transaction are one notification.

CREATE FUNCTION notify_skills() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('freehunt_skills', '');
    RETURN NULL;
END
$$;

CREATE TRIGGER skill_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON "Skill"
    FOR EACH STATEMENT EXECUTE FUNCTION notify_skills();
