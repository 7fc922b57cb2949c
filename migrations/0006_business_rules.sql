-- Guards behind the row locks of the use cases, and the indexes their queries need. A database of the original may
-- already break a rule (it had no guard): then that one index is left out, and `freehunt-api check` says so.

DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM "Candidate" GROUP BY "jobPostingId", "freelanceId" HAVING count(*) > 1) THEN
        CREATE UNIQUE INDEX candidate_once_per_posting ON "Candidate" ("jobPostingId", "freelanceId");
    ELSE
        CREATE INDEX candidate_posting ON "Candidate" ("jobPostingId", "freelanceId");
    END IF;
    IF NOT EXISTS (SELECT FROM "Candidate" WHERE "status" = 'ACCEPTED' GROUP BY "jobPostingId" HAVING count(*) > 1) THEN
        CREATE UNIQUE INDEX candidate_one_accepted ON "Candidate" ("jobPostingId") WHERE "status" = 'ACCEPTED';
    END IF;
END
$$;

CREATE INDEX candidate_freelance ON "Candidate" ("freelanceId");
CREATE INDEX checkpoint_posting ON "Checkpoint" ("jobPostingId", "date", "createdAt");
CREATE INDEX job_posting_company ON "JobPosting" ("companyId", "createdAt");
CREATE INDEX job_posting_published ON "JobPosting" ("createdAt" DESC, "id") WHERE "status" = 'PUBLISHED';
CREATE INDEX freelance_newest ON "Freelance" ("createdAt" DESC, "id");
CREATE INDEX project_company ON "Project" ("companyId");
CREATE INDEX project_freelance ON "Project" ("freelanceId");
