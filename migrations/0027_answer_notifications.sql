-- Servers keep answers that many ask for in memory: a published posting as everybody sees it, and an account as its user
-- sees it. They forget one when a row it is made of changes, whoever changes it: the original too. The triggers only
-- announce; what one statement announces twice is told once, and an operator's change of many rows is told as one.

-- An empty payload stands for everything.
CREATE FUNCTION notify_of_ids(channel text, changed uuid[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF cardinality(changed) > 100 THEN
        PERFORM pg_notify(channel, '');
    ELSE
        PERFORM pg_notify(channel, id::text) FROM unnest(changed) AS id WHERE id IS NOT NULL;
    END IF;
END
$$;

-- Its arguments: the channel, and the column whose values are announced.
CREATE FUNCTION notify_of_rows() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    rows_of text := CASE TG_OP WHEN 'INSERT' THEN 'SELECT * FROM after_it'
                               WHEN 'DELETE' THEN 'SELECT * FROM before_it'
                               ELSE 'SELECT * FROM before_it UNION ALL SELECT * FROM after_it' END;
    changed uuid[];
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        PERFORM pg_notify(TG_ARGV[0], '');
        RETURN NULL;
    END IF;
    EXECUTE format('SELECT array_agg(DISTINCT changed.%I) FROM (%s) AS changed', TG_ARGV[1], rows_of) INTO changed;
    PERFORM notify_of_ids(TG_ARGV[0], changed);
    RETURN NULL;
END
$$;

-- A skill of a profile: its user's account.
CREATE FUNCTION notify_of_freelance_skills() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        PERFORM pg_notify('freehunt_accounts', '');
    ELSIF TG_OP = 'INSERT' THEN
        PERFORM notify_of_ids('freehunt_accounts', array_agg(DISTINCT f."userId"))
        FROM after_it n JOIN "Freelance" f ON f."id" = n."A";
    ELSIF TG_OP = 'DELETE' THEN
        PERFORM notify_of_ids('freehunt_accounts', array_agg(DISTINCT f."userId"))
        FROM before_it o JOIN "Freelance" f ON f."id" = o."A";
    ELSE
        PERFORM notify_of_ids('freehunt_accounts', array_agg(DISTINCT f."userId"))
        FROM (SELECT "A" FROM before_it UNION ALL SELECT "A" FROM after_it) l JOIN "Freelance" f ON f."id" = l."A";
    END IF;
    RETURN NULL;
END
$$;

-- A company's name is shown with each of its postings, of which there may be many: all are forgotten.
CREATE FUNCTION notify_of_company_names() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF EXISTS (SELECT FROM after_it n LEFT JOIN before_it o ON o."id" = n."id" WHERE o."name" IS DISTINCT FROM n."name") THEN
        PERFORM pg_notify('freehunt_job_postings', '');
    END IF;
    RETURN NULL;
END
$$;

CREATE TRIGGER company_name_changed AFTER UPDATE ON "Company" REFERENCING OLD TABLE AS before_it NEW TABLE AS after_it
    FOR EACH STATEMENT EXECUTE FUNCTION notify_of_company_names();

DO $$
DECLARE
    announced record;
    event text;
BEGIN
    FOR announced IN
        SELECT * FROM (VALUES
            ('JobPosting', 'notify_of_rows', 'freehunt_job_postings', 'id'),
            ('Checkpoint', 'notify_of_rows', 'freehunt_job_postings', 'jobPostingId'),
            ('_JobPostingToSkill', 'notify_of_rows', 'freehunt_job_postings', 'A'),
            ('User', 'notify_of_rows', 'freehunt_accounts', 'id'),
            ('Company', 'notify_of_rows', 'freehunt_accounts', 'userId'),
            ('Freelance', 'notify_of_rows', 'freehunt_accounts', 'userId'),
            ('_FreelanceToSkill', 'notify_of_freelance_skills', 'freehunt_accounts', 'A')
        ) AS a (on_table, by_function, channel, of_column)
    LOOP
        -- What is new is kept nowhere yet, unless it belongs to something older.
        FOREACH event IN ARRAY CASE WHEN announced.of_column = 'id' THEN '{UPDATE,DELETE,TRUNCATE}'::text[]
                                    ELSE '{INSERT,UPDATE,DELETE,TRUNCATE}' END LOOP
            EXECUTE format('CREATE TRIGGER %I AFTER %s ON %I %s FOR EACH STATEMENT EXECUTE FUNCTION %I(%L, %L)',
                'announce_' || lower(event), event, announced.on_table,
                CASE event WHEN 'INSERT' THEN 'REFERENCING NEW TABLE AS after_it'
                           WHEN 'DELETE' THEN 'REFERENCING OLD TABLE AS before_it'
                           WHEN 'UPDATE' THEN 'REFERENCING OLD TABLE AS before_it NEW TABLE AS after_it' END,
                announced.by_function, announced.channel, announced.of_column);
        END LOOP;
    END LOOP;
END
$$;
