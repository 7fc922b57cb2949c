//! The statements that fill the tables, in order. Every value is a hash of the row's number and a salt, so the same
//! sizes give the same rows on every machine. Parameters of all: the numbers of postings, freelances and messages.

/// Helpers in a schema of their own, which the servers do not see.
pub const HELPERS: &str = r#"
CREATE SCHEMA IF NOT EXISTS bench;
-- A number from 0 to below 1.
CREATE OR REPLACE FUNCTION bench.pick(number bigint, salt integer) RETURNS double precision
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN (hashint8extended(number, salt) & 1073741823)::double precision / 1073741824;
CREATE OR REPLACE FUNCTION bench.below(number bigint, salt integer, ending bigint) RETURNS bigint
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN floor(bench.pick(number, salt) * ending)::bigint;
-- As random as version 4, and always the same.
CREATE OR REPLACE FUNCTION bench.id(kind text, number bigint) RETURNS uuid
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN overlay(overlay(md5(kind || number) placing '4' from 13) placing '8' from 17)::uuid;
-- In the two years before November 2025, to the millisecond.
CREATE OR REPLACE FUNCTION bench.moment(number bigint, salt integer) RETURNS timestamp
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN timestamp '2023-11-01' + bench.below(number, salt, 63072000000) * interval '1 millisecond';
CREATE TABLE IF NOT EXISTS bench.word (kind text, number bigint, word text, PRIMARY KEY (kind, number));
CREATE OR REPLACE FUNCTION bench.words(wanted text) RETURNS text[]
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN (SELECT array_agg(word ORDER BY number) FROM bench.word WHERE kind = wanted);
-- One in twenty-five postings became a project; it belongs to the people of the conversation with a twenty-fifth of
-- its number.
CREATE OR REPLACE FUNCTION bench.company_of_conversation(number bigint, companies bigint) RETURNS bigint
    LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN 1 + bench.below(number, 50, companies);
CREATE OR REPLACE FUNCTION bench.freelance_of_conversation(number bigint, freelances bigint) RETURNS bigint
    LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN 1 + bench.below(number, 51, freelances);
CREATE TABLE IF NOT EXISTS bench.filled (postings bigint, freelances bigint, messages bigint, version integer);
"#;

/// A table with the statement that fills it.
pub struct Filling {
    pub table: &'static str,
    pub sql: &'static str,
}

/// A company for every twenty postings; `$1`, `$2` and `$3` are the sizes.
pub const FILLINGS: &[Filling] = &[
    Filling {
        table: "Skill",
        sql: r#"
INSERT INTO "Skill" ("id", "name", "normalizedName", "aliases", "type", "createdAt", "updatedAt")
SELECT bench.id('skill', n), name, replace(lower(name), ' ', '-'), ARRAY[upper(left(name, 3)) || n],
       (CASE WHEN n % 7 = 0 THEN 'SOFT' ELSE 'TECHNICAL' END)::"SkillType", bench.moment(n, 1), bench.moment(n, 1)
FROM (SELECT row_number() OVER (ORDER BY form.number, technology.number) AS n,
             replace(form.word, '%', technology.word) AS name
      FROM bench.word form, bench.word technology
      WHERE form.kind = 'skill form' AND technology.kind = 'technology') AS named
WHERE $1 + $2 + $3 > 0"#,
    },
    Filling {
        table: "User",
        sql: r#"
INSERT INTO "User" ("id", "email", "role", "username", "createdAt", "updatedAt")
SELECT bench.id('company user', n), 'entreprise' || n || '@bench.example', 'COMPANY'::"Role", 'entreprise' || n,
       bench.moment(n, 2), bench.moment(n, 2)
FROM generate_series(1, greatest(1, $1 / 20)) AS n
UNION ALL
SELECT bench.id('freelance user', n), 'freelance' || n || '@bench.example', 'FREELANCE'::"Role", 'freelance' || n,
       bench.moment(n, 3), bench.moment(n, 3)
FROM generate_series(1, $2) AS n
WHERE $3 >= 0"#,
    },
    Filling {
        table: "Company",
        sql: r#"
INSERT INTO "Company" ("id", "userId", "name", "siren", "description", "address", "createdAt", "updatedAt")
SELECT bench.id('company', n), bench.id('company user', n), 'Société ' || names[1 + bench.below(n, 4, cardinality(names))] || ' ' || n,
       lpad(n::text, 9, '0'), sentences[1 + bench.below(n, 5, cardinality(sentences))],
       n || ' rue de la Gare, ' || cities[1 + bench.below(n, 6, cardinality(cities))], bench.moment(n, 2), bench.moment(n, 2)
FROM generate_series(1, greatest(1, $1 / 20)) AS n,
     (SELECT bench.words('last name') AS names, bench.words('city') AS cities, bench.words('sentence') AS sentences OFFSET 0) AS w
WHERE $2 + $3 >= 0"#,
    },
    Filling {
        table: "Freelance",
        sql: r#"
INSERT INTO "Freelance" ("id", "userId", "firstName", "lastName", "averageDailyRate", "jobTitle", "location", "seniority",
                         "createdAt", "updatedAt")
SELECT bench.id('freelance', n), bench.id('freelance user', n),
       firsts[1 + bench.below(n, 7, cardinality(firsts))], lasts[1 + bench.below(n, 8, cardinality(lasts))],
       200 + 5 * bench.below(n, 9, 120),
       CASE WHEN bench.pick(n, 10) < 0.1 THEN 'Développeur' ELSE roles[1 + bench.below(n, 11, cardinality(roles))] END || ' '
           || CASE WHEN bench.pick(n, 12) < 0.5 THEN technologies[1 + bench.below(n, 13, cardinality(technologies))]
                   ELSE domains[1 + bench.below(n, 14, cardinality(domains))] END
           || CASE WHEN n % 5000 = 17 THEN ' quantique' ELSE '' END,
       cities[1 + bench.below(n, 15, cardinality(cities))], bench.below(n, 16, 20), bench.moment(n, 3), bench.moment(n, 3)
FROM generate_series(1, $2) AS n,
     (SELECT bench.words('first name') AS firsts, bench.words('last name') AS lasts, bench.words('role') AS roles,
             bench.words('technology') AS technologies, bench.words('domain') AS domains, bench.words('city') AS cities OFFSET 0) AS w
WHERE $1 + $3 >= 0"#,
    },
    Filling {
        table: "_FreelanceToSkill",
        sql: r#"
INSERT INTO "_FreelanceToSkill" ("A", "B")
SELECT freelance, skills[6 * floor(100 * bench.pick(n, 100 + k) * bench.pick(n, 110 + k))::integer + k]
FROM (SELECT n, bench.id('freelance', n) AS freelance FROM generate_series(1, $2) AS n OFFSET 0) AS f,
     generate_series(1, 6) AS k,
     (SELECT array_agg(bench.id('skill', number) ORDER BY number) AS skills FROM generate_series(1, 600) AS number) AS s
WHERE $1 + $3 >= 0"#,
    },
    Filling {
        table: "JobPosting",
        sql: r#"
INSERT INTO "JobPosting" ("id", "companyId", "title", "description", "isPromoted", "location", "averageDailyRate", "seniority",
                          "totalAmount", "status", "createdAt", "updatedAt")
SELECT bench.id('posting', n),
       bench.id('company', CASE WHEN n % 25 = 0 THEN bench.company_of_conversation(n / 25, companies)
                                ELSE 1 + bench.below(n, 20, companies) END),
       CASE WHEN bench.pick(n, 21) < 0.1 THEN 'Développeur' ELSE roles[1 + bench.below(n, 22, cardinality(roles))] END || ' '
           || CASE WHEN bench.pick(n, 23) < 0.5 THEN technologies[1 + bench.below(n, 24, cardinality(technologies))]
                   ELSE domains[1 + bench.below(n, 25, cardinality(domains))] END || ' '
           || contexts[1 + bench.below(n, 26, cardinality(contexts))]
           || CASE WHEN n % 5000 = 17 THEN ' quantique' ELSE '' END,
       sentences[1 + bench.below(n, 27, cardinality(sentences))] || ' ' || sentences[1 + bench.below(n, 28, cardinality(sentences))]
           || ' ' || sentences[1 + bench.below(n, 29, cardinality(sentences))],
       bench.pick(n, 30) < 0.05, (ARRAY['HYBRID', 'ONSITE', 'REMOTE']::"JobPostingLocation"[])[1 + bench.below(n, 31, 3)],
       200 + 10 * bench.below(n, 32, 80), bench.below(n, 33, 16), 300 * (10 + bench.below(n, 34, 40)),
       CASE WHEN n % 25 = 0 OR bench.pick(n, 35) < 0.7 THEN 'PUBLISHED'
            ELSE (ARRAY['PENDING_PAYMENT', 'DRAFT', 'EXPIRED', 'CANCELED'])[1 + bench.below(n, 36, 4)] END::"JobPostingStatus",
       bench.moment(n, 37), bench.moment(n, 37)
FROM generate_series(1, $1) AS n,
     (SELECT bench.words('role') AS roles, bench.words('technology') AS technologies, bench.words('domain') AS domains,
             bench.words('context') AS contexts, bench.words('sentence') AS sentences, greatest(1, $1 / 20) AS companies OFFSET 0) AS w
WHERE $2 + $3 >= 0"#,
    },
    Filling {
        table: "_JobPostingToSkill",
        sql: r#"
INSERT INTO "_JobPostingToSkill" ("A", "B")
SELECT posting, skills[6 * floor(100 * bench.pick(n, 200 + k) * bench.pick(n, 210 + k))::integer + k + n % 2]
FROM (SELECT n, bench.id('posting', n) AS posting FROM generate_series(1, $1) AS n OFFSET 0) AS p,
     generate_series(1, 5) AS k,
     (SELECT array_agg(bench.id('skill', number) ORDER BY number) AS skills FROM generate_series(1, 600) AS number) AS s
WHERE $2 + $3 >= 0"#,
    },
    Filling {
        table: "Checkpoint",
        sql: r#"
INSERT INTO "Checkpoint" ("id", "name", "description", "date", "jobPostingId", "amount", "createdAt", "updatedAt")
SELECT bench.id('checkpoint', 3 * n + k), 'Étape ' || k, sentences[1 + bench.below(n, 40 + k, cardinality(sentences))],
       at + k * interval '30 days', posting, 100 * (10 + bench.below(n, 34, 40)), at, at
FROM (SELECT n, bench.id('posting', n) AS posting, bench.moment(n, 37) AS at FROM generate_series(1, $1) AS n OFFSET 0) AS p,
     generate_series(1, 3) AS k, (SELECT bench.words('sentence') AS sentences OFFSET 0) AS w
WHERE $2 + $3 >= 0"#,
    },
    Filling {
        table: "Candidate",
        sql: r#"
INSERT INTO "Candidate" ("id", "jobPostingId", "freelanceId", "status", "createdAt", "updatedAt")
SELECT bench.id('candidate', 3 * n), bench.id('posting', n),
       bench.id('freelance', bench.freelance_of_conversation(n / 25, $2)), 'ACCEPTED'::"CandidateStatus", bench.moment(n, 37), bench.moment(n, 37)
FROM generate_series(25, $1, 25) AS n
UNION ALL
SELECT bench.id('candidate', 3 * n + k), bench.id('posting', n),
       bench.id('freelance', 1 + (bench.below(n, 47, $2) + k) % $2),
       (CASE WHEN bench.pick(n, 48 + k) < 0.3 THEN 'REJECTED' ELSE 'PENDING' END)::"CandidateStatus",
       bench.moment(n, 37), bench.moment(n, 37)
FROM generate_series(1, $1) AS n, generate_series(1, 2) AS k
WHERE n % 25 <> 0 AND bench.pick(n, 46) < 0.3 AND $2 > 2 AND $3 >= 0"#,
    },
    Filling {
        table: "Conversation",
        sql: r#"
INSERT INTO "Conversation" ("id", "senderId", "receiverId", "createdAt", "updatedAt")
SELECT bench.id('conversation', n),
       bench.id('company user', bench.company_of_conversation(n, greatest(1, $1 / 20))),
       bench.id('freelance user', bench.freelance_of_conversation(n, $2)), bench.moment(n, 52), bench.moment(n, 52)
FROM generate_series(1, greatest(1, $3 / 50)) AS n"#,
    },
    Filling {
        table: "Project",
        sql: r#"
INSERT INTO "Project" ("id", "name", "description", "freelanceId", "jobPostingId", "startDate", "conversationId", "companyId",
                       "amount", "createdAt", "updatedAt")
SELECT bench.id('project', n), p."title", p."description", bench.id('freelance', bench.freelance_of_conversation(n, $2)), p."id",
       p."createdAt", CASE WHEN n <= greatest(1, $3 / 50) THEN bench.id('conversation', n) END, p."companyId",
       p."totalAmount", p."createdAt", p."createdAt"
FROM generate_series(1, $1 / 25) AS n JOIN "JobPosting" p ON p."id" = bench.id('posting', 25 * n)"#,
    },
    Filling {
        table: "Message",
        sql: r#"
INSERT INTO "Message" ("id", "conversationId", "senderId", "receiverId", "content", "timestamp", "createdAt", "updatedAt")
SELECT bench.id('message', m), conversation,
       CASE WHEN by_company THEN company ELSE freelance END, CASE WHEN by_company THEN freelance ELSE company END,
       sentences[1 + bench.below(m, 54, cardinality(sentences))], at, at, at
FROM (SELECT bench.words('sentence') AS sentences OFFSET 0) AS w,
     generate_series(1, greatest(1, $3 / 50)) AS n,
     LATERAL (SELECT bench.id('conversation', n) AS conversation,
                     bench.id('company user', bench.company_of_conversation(n, greatest(1, $1 / 20))) AS company,
                     bench.id('freelance user', bench.freelance_of_conversation(n, $2)) AS freelance,
                     bench.moment(n, 52) AS began OFFSET 0) AS people,
     generate_series(50 * n - 49, 50 * n) AS m,
     LATERAL (SELECT bench.pick(m, 53) < 0.5 AS by_company, began + (m % 50) * interval '47 minutes' AS at OFFSET 0) AS turn
WHERE $3 >= 50"#,
    },
];
