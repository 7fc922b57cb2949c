-- Servers keep answers that many ask for in memory: a published posting as everybody sees it, and an account as its user
-- sees it. They forget one when a row it is made of changes, whoever changes it: the original too. The triggers only
-- announce. What a transaction announces twice is told once; one that announced something cannot be prepared for a second
-- phase (PREPARE TRANSACTION), which neither program does.

-- All tables at once or none: a transaction that waits for one of them while another waits for it would be a deadlock, and
-- the one to fail would be somebody's request.
DO $$
BEGIN
    FOR attempt IN 1..1200 LOOP
        BEGIN
            LOCK TABLE "User", "Company", "Freelance", "JobPosting", "Checkpoint", "_JobPostingToSkill", "_FreelanceToSkill"
                IN SHARE ROW EXCLUSIVE MODE NOWAIT;
            RETURN;
        EXCEPTION WHEN lock_not_available THEN
            PERFORM pg_sleep(0.05);
        END;
    END LOOP;
    RAISE EXCEPTION 'for a minute the tables were never free at once: migrate again when no long write or vacuum runs';
END
$$;

-- An operator's change of many rows is told as one: an empty payload stands for everything.
CREATE FUNCTION notify_of_ids(channel text, changed uuid[]) RETURNS void LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF cardinality(changed) > 100 THEN
        PERFORM pg_notify(channel, '');
    ELSE
        PERFORM pg_notify(channel, id::text) FROM unnest(changed) AS id WHERE id IS NOT NULL;
    END IF;
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

CREATE TRIGGER announce_name AFTER UPDATE ON "Company" REFERENCING OLD TABLE AS before_it NEW TABLE AS after_it
    FOR EACH STATEMENT EXECUTE FUNCTION notify_of_company_names();

-- A function and its triggers for each table; what is announced is an expression over the changed row.
DO $$
DECLARE
    announced record;
    event text;
BEGIN
    FOR announced IN
        SELECT * FROM (VALUES
            ('JobPosting', 'notify_of_job_postings', 'freehunt_job_postings', 'changed."id"'),
            ('Checkpoint', 'notify_of_checkpoints', 'freehunt_job_postings', 'changed."jobPostingId"'),
            ('_JobPostingToSkill', 'notify_of_job_posting_skills', 'freehunt_job_postings', 'changed."A"'),
            ('User', 'notify_of_users', 'freehunt_accounts', 'changed."id"'),
            ('Company', 'notify_of_companies', 'freehunt_accounts', 'changed."userId"'),
            ('Freelance', 'notify_of_freelances', 'freehunt_accounts', 'changed."userId"'),
            ('_FreelanceToSkill', 'notify_of_freelance_skills', 'freehunt_accounts',
             '(SELECT f."userId" FROM "Freelance" f WHERE f."id" = changed."A")')
        ) AS a (on_table, by_function, channel, id)
    LOOP
        EXECUTE format($function$
            CREATE FUNCTION %1$I() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $body$
            BEGIN
                IF TG_OP = 'INSERT' THEN
                    PERFORM notify_of_ids(%2$L, array_agg(DISTINCT %3$s)) FROM after_it changed;
                ELSIF TG_OP = 'DELETE' THEN
                    PERFORM notify_of_ids(%2$L, array_agg(DISTINCT %3$s)) FROM before_it changed;
                ELSIF TG_OP = 'UPDATE' THEN
                    PERFORM notify_of_ids(%2$L, array_agg(DISTINCT %3$s))
                    FROM (SELECT * FROM before_it UNION ALL SELECT * FROM after_it) changed;
                ELSE
                    PERFORM pg_notify(%2$L, '');
                END IF;
                RETURN NULL;
            END
            $body$ $function$, announced.by_function, announced.channel, announced.id);
        FOREACH event IN ARRAY '{INSERT,UPDATE,DELETE,TRUNCATE}'::text[] LOOP
            -- What is new itself is kept nowhere yet.
            CONTINUE WHEN event = 'INSERT' AND announced.on_table IN ('JobPosting', 'User');
            EXECUTE format('CREATE TRIGGER %I AFTER %s ON %I %s FOR EACH STATEMENT EXECUTE FUNCTION %I()',
                'announce_' || lower(event), event, announced.on_table,
                CASE event WHEN 'INSERT' THEN 'REFERENCING NEW TABLE AS after_it'
                           WHEN 'DELETE' THEN 'REFERENCING OLD TABLE AS before_it'
                           WHEN 'UPDATE' THEN 'REFERENCING OLD TABLE AS before_it NEW TABLE AS after_it' END,
                announced.by_function);
        END LOOP;
    END LOOP;
END
$$;
