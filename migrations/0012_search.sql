-- What the two searches look at: a narrow row for each posting that can be found and for each freelance. Triggers keep
-- them in step within the writer's own transaction, so that what the original backend or the previous version writes is
-- found as well. Writers wait while this migration fills the tables, readers do not; a million postings take minutes.
--
-- Texts are in lower case by the database's own rules (as ILIKE has it) and compared by bytes. The parts of a text are
-- apart by U+0001, which no search can ask for, so that nothing is found across two of them.

DO $$
BEGIN
    CREATE EXTENSION IF NOT EXISTS pg_trgm;
EXCEPTION WHEN insufficient_privilege OR feature_not_supported OR undefined_file THEN
    RAISE EXCEPTION 'the search needs PostgreSQL''s extension pg_trgm: install the contrib package, or run CREATE EXTENSION pg_trgm in this database as a superuser (%)', SQLERRM;
END
$$;

CREATE TABLE job_posting_search (
    id uuid NOT NULL,
    created_at timestamp(3) NOT NULL,
    average_daily_rate double precision NOT NULL,
    seniority integer NOT NULL,
    location "JobPostingLocation" NOT NULL,
    -- The title, then the skills' names.
    text text COLLATE "C" NOT NULL,
    skills uuid[] NOT NULL
);

CREATE TABLE freelance_search (
    id uuid NOT NULL,
    created_at timestamp(3) NOT NULL,
    average_daily_rate double precision NOT NULL,
    seniority integer NOT NULL,
    job_title text COLLATE "C" NOT NULL,
    -- The names, the job title, the place, then the skills' names.
    text text COLLATE "C" NOT NULL,
    skills uuid[] NOT NULL
);

-- What the tables should hold. To fill one again, e.g. after loading many rows with the triggers disabled:
-- DELETE FROM job_posting_search; INSERT INTO job_posting_search SELECT * FROM job_posting_search_source ORDER BY created_at
CREATE VIEW job_posting_search_source AS
SELECT p."id" AS id, p."createdAt" AS created_at, p."averageDailyRate" AS average_daily_rate, p."seniority" AS seniority,
       p."location" AS location, lower(p."title") || coalesce(linked.names, '') AS text,
       coalesce(linked.ids, '{}') AS skills
FROM "JobPosting" p
     CROSS JOIN LATERAL (SELECT string_agg(E'\x01' || lower(s."name"), '' ORDER BY s."id") AS names,
                                array_agg(s."id" ORDER BY s."id") AS ids
                         FROM "_JobPostingToSkill" link JOIN "Skill" s ON s."id" = link."B"
                         WHERE link."A" = p."id") linked
WHERE p."status" = 'PUBLISHED'
  AND EXISTS (SELECT FROM "Checkpoint" c WHERE c."jobPostingId" = p."id")
  AND NOT EXISTS (SELECT FROM "Candidate" k WHERE k."jobPostingId" = p."id" AND k."status" = 'ACCEPTED');

CREATE VIEW freelance_search_source AS
SELECT f."id" AS id, f."createdAt" AS created_at, f."averageDailyRate" AS average_daily_rate, f."seniority" AS seniority,
       lower(f."jobTitle") AS job_title,
       lower(concat_ws(E'\x01', f."firstName", f."lastName", f."jobTitle", f."location")) || coalesce(linked.names, '')
           AS text,
       coalesce(linked.ids, '{}') AS skills
FROM "Freelance" f
     CROSS JOIN LATERAL (SELECT string_agg(E'\x01' || lower(s."name"), '' ORDER BY s."id") AS names,
                                array_agg(s."id" ORDER BY s."id") AS ids
                         FROM "_FreelanceToSkill" link JOIN "Skill" s ON s."id" = link."B"
                         WHERE link."A" = f."id") linked;

-- Of two transactions that change the same posting (or profile) the second one must see what the first one wrote. A lock
-- on the row keeps those away that change the row itself. It is a shared one, since a writer of checkpoints may hold
-- that already and two of them could not exchange it for a stronger one; an advisory lock keeps those apart. Many rows
-- at once, an operator's doing, would need too many of these: then the rows are locked as for a change.
CREATE FUNCTION take_turns(changed_table regclass, changed uuid[]) RETURNS void
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    strength text := CASE WHEN cardinality(changed) <= 100 THEN 'SHARE' ELSE 'NO KEY UPDATE' END;
BEGIN
    EXECUTE format('SELECT FROM %s WHERE "id" = ANY($1) ORDER BY "id" FOR %s', changed_table, strength) USING changed;
    IF strength = 'SHARE' THEN
        PERFORM pg_advisory_xact_lock(hashtextextended(ordered.id::text, 12))
        FROM (SELECT DISTINCT id FROM unnest(changed) id ORDER BY id) ordered;
    END IF;
END
$$;

-- Looks at the postings anew.
CREATE FUNCTION refresh_job_posting_search(changed uuid[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    IF cardinality(changed) IS NOT DISTINCT FROM 0 OR changed IS NULL THEN
        RETURN;
    END IF;
    PERFORM take_turns('"JobPosting"', changed);
    DELETE FROM job_posting_search s
    WHERE s.id = ANY(changed) AND NOT EXISTS (SELECT FROM job_posting_search_source n WHERE n.id = s.id);
    -- Neighbours in time become neighbours on disk, also when many are changed at once.
    INSERT INTO job_posting_search AS s SELECT * FROM job_posting_search_source n WHERE n.id = ANY(changed)
    ORDER BY n.created_at, n.id
    ON CONFLICT (id) DO UPDATE
        SET created_at = excluded.created_at, average_daily_rate = excluded.average_daily_rate,
            seniority = excluded.seniority, location = excluded.location, text = excluded.text, skills = excluded.skills
        WHERE (s.*) IS DISTINCT FROM (excluded.*);
END
$$;

CREATE FUNCTION refresh_freelance_search(changed uuid[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    IF cardinality(changed) IS NOT DISTINCT FROM 0 OR changed IS NULL THEN
        RETURN;
    END IF;
    PERFORM take_turns('"Freelance"', changed);
    INSERT INTO freelance_search AS s SELECT * FROM freelance_search_source n WHERE n.id = ANY(changed)
    ORDER BY n.created_at, n.id
    ON CONFLICT (id) DO UPDATE
        SET created_at = excluded.created_at, average_daily_rate = excluded.average_daily_rate,
            seniority = excluded.seniority, job_title = excluded.job_title, text = excluded.text,
            skills = excluded.skills
        WHERE (s.*) IS DISTINCT FROM (excluded.*);
END
$$;

-- A trigger a statement, with the rows it changed: what a posting is found by changes rarely beside its other columns.
CREATE FUNCTION follow_job_postings() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        PERFORM refresh_job_posting_search(array_agg(n."id")) FROM after_it n WHERE n."status" = 'PUBLISHED';
    ELSE
        PERFORM refresh_job_posting_search(array_agg(n."id"))
        FROM after_it n LEFT JOIN before_it o ON o."id" = n."id"
        WHERE (o."status", o."title", o."location", o."averageDailyRate", o."seniority", o."createdAt")
              IS DISTINCT FROM (n."status", n."title", n."location", n."averageDailyRate", n."seniority", n."createdAt");
    END IF;
    RETURN NULL;
END
$$;

CREATE FUNCTION follow_job_posting_skills() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF TG_OP <> 'DELETE' THEN
        PERFORM refresh_job_posting_search(array_agg(DISTINCT n."A")) FROM after_it n;
    END IF;
    IF TG_OP <> 'INSERT' THEN
        PERFORM refresh_job_posting_search(array_agg(DISTINCT o."A")) FROM before_it o;
    END IF;
    RETURN NULL;
END
$$;

CREATE FUNCTION follow_checkpoints() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        PERFORM refresh_job_posting_search(array_agg(DISTINCT n."jobPostingId")) FROM after_it n;
    ELSIF TG_OP = 'DELETE' THEN
        PERFORM refresh_job_posting_search(array_agg(DISTINCT o."jobPostingId")) FROM before_it o;
    ELSE
        PERFORM refresh_job_posting_search(array_agg(DISTINCT moved."jobPostingId"))
        FROM (SELECT "id", "jobPostingId" FROM after_it EXCEPT SELECT "id", "jobPostingId" FROM before_it
              UNION ALL
              (SELECT "id", "jobPostingId" FROM before_it EXCEPT SELECT "id", "jobPostingId" FROM after_it)) moved;
    END IF;
    RETURN NULL;
END
$$;

-- Only an accepted candidate hides a posting.
CREATE FUNCTION follow_candidates() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        PERFORM refresh_job_posting_search(array_agg(DISTINCT n."jobPostingId")) FROM after_it n WHERE n."status" = 'ACCEPTED';
    ELSIF TG_OP = 'DELETE' THEN
        PERFORM refresh_job_posting_search(array_agg(DISTINCT o."jobPostingId")) FROM before_it o WHERE o."status" = 'ACCEPTED';
    ELSE
        PERFORM refresh_job_posting_search(array_agg(DISTINCT changed."jobPostingId"))
        FROM (SELECT "jobPostingId", "status" FROM after_it UNION ALL SELECT "jobPostingId", "status" FROM before_it) changed
        WHERE changed."status" = 'ACCEPTED';
    END IF;
    RETURN NULL;
END
$$;

CREATE FUNCTION follow_freelances() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        PERFORM refresh_freelance_search(array_agg(n."id")) FROM after_it n;
    ELSE
        PERFORM refresh_freelance_search(array_agg(n."id"))
        FROM after_it n LEFT JOIN before_it o ON o."id" = n."id"
        WHERE (o."firstName", o."lastName", o."jobTitle", o."location", o."averageDailyRate", o."seniority", o."createdAt")
              IS DISTINCT FROM
              (n."firstName", n."lastName", n."jobTitle", n."location", n."averageDailyRate", n."seniority", n."createdAt");
    END IF;
    RETURN NULL;
END
$$;

CREATE FUNCTION follow_freelance_skills() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF TG_OP <> 'DELETE' THEN
        PERFORM refresh_freelance_search(array_agg(DISTINCT n."A")) FROM after_it n;
    END IF;
    IF TG_OP <> 'INSERT' THEN
        PERFORM refresh_freelance_search(array_agg(DISTINCT o."A")) FROM before_it o;
    END IF;
    RETURN NULL;
END
$$;

-- No request renames a skill; an operator who does waits for every posting and profile that has it. A deleted skill is
-- a deleted link.
CREATE FUNCTION follow_skills() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    renamed uuid[] := ARRAY(SELECT n."id" FROM after_it n LEFT JOIN before_it o ON o."id" = n."id"
                            WHERE o."name" IS DISTINCT FROM n."name");
BEGIN
    PERFORM refresh_job_posting_search(array_agg(DISTINCT l."A")) FROM "_JobPostingToSkill" l WHERE l."B" = ANY(renamed);
    PERFORM refresh_freelance_search(array_agg(DISTINCT l."A")) FROM "_FreelanceToSkill" l WHERE l."B" = ANY(renamed);
    RETURN NULL;
END
$$;

DO $$
DECLARE
    follow record;
    event text;
BEGIN
    FOR follow IN
        SELECT * FROM (VALUES
            ('JobPosting', 'follow_job_postings', '{INSERT,UPDATE}'::text[]),
            ('_JobPostingToSkill', 'follow_job_posting_skills', '{INSERT,UPDATE,DELETE}'),
            ('Checkpoint', 'follow_checkpoints', '{INSERT,UPDATE,DELETE}'),
            ('Candidate', 'follow_candidates', '{INSERT,UPDATE,DELETE}'),
            ('Freelance', 'follow_freelances', '{INSERT,UPDATE}'),
            ('_FreelanceToSkill', 'follow_freelance_skills', '{INSERT,UPDATE,DELETE}'),
            ('Skill', 'follow_skills', '{UPDATE}')
        ) AS f (on_table, by_function, events)
    LOOP
        FOREACH event IN ARRAY follow.events LOOP
            EXECUTE format('CREATE TRIGGER %I AFTER %s ON %I REFERENCING %s %s FOR EACH STATEMENT EXECUTE FUNCTION %I()',
                follow.by_function || '_' || lower(event), event, follow.on_table,
                CASE WHEN event <> 'DELETE' THEN 'NEW TABLE AS after_it' END,
                CASE WHEN event <> 'INSERT' THEN 'OLD TABLE AS before_it' END, follow.by_function);
        END LOOP;
    END LOOP;
END
$$;

-- In the order in which they are read, so that neighbours in time are neighbours on disk.
INSERT INTO job_posting_search SELECT * FROM job_posting_search_source ORDER BY created_at, id;
INSERT INTO freelance_search SELECT * FROM freelance_search_source ORDER BY created_at, id;

SET LOCAL maintenance_work_mem = '256MB';
ALTER TABLE job_posting_search ADD PRIMARY KEY (id),
    ADD FOREIGN KEY (id) REFERENCES "JobPosting" ("id") ON UPDATE CASCADE ON DELETE CASCADE;
ALTER TABLE freelance_search ADD PRIMARY KEY (id),
    ADD FOREIGN KEY (id) REFERENCES "Freelance" ("id") ON UPDATE CASCADE ON DELETE CASCADE;

CREATE INDEX job_posting_search_newest ON job_posting_search (created_at DESC, id);
CREATE INDEX job_posting_search_rate ON job_posting_search (average_daily_rate);
CREATE INDEX job_posting_search_seniority ON job_posting_search (seniority);
CREATE INDEX freelance_search_newest ON freelance_search (created_at DESC, id);
CREATE INDEX freelance_search_rate ON freelance_search (average_daily_rate);
CREATE INDEX freelance_search_seniority ON freelance_search (seniority);
CREATE INDEX skill_lower_name ON "Skill" (lower("name"));

-- The extension may be in another schema than the tables. Without fastupdate a search never has to read through the
-- entries of writes that were not sorted in yet.
DO $$
DECLARE
    schema name := (SELECT n.nspname FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
                    WHERE e.extname = 'pg_trgm');
    searched text;
BEGIN
    FOREACH searched IN ARRAY ARRAY['job_posting_search', 'freelance_search'] LOOP
        EXECUTE format('CREATE INDEX %I ON %I USING gin (text %I.gin_trgm_ops, skills) WITH (fastupdate = off)',
            searched || '_text', searched, schema);
    END LOOP;
END
$$;

ANALYZE job_posting_search;
ANALYZE freelance_search;
