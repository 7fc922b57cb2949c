//! Random rows and random searches, held against a search in memory that knows no index and no limit.

use std::cmp::Reverse;

use freehunt_domain::{
    freelances::{self, FreelanceSearch},
    ids::UserId,
    job_postings::{
        JobPostingLocation,
        search::{self, JobPostingSearch},
    },
    search::{Limits, Searching},
    skills::SkillCatalog,
};
use proptest::{prelude::*, strategy::ValueTree, test_runner::TestRunner};
use sqlx::{FromRow, PgConnection};
use uuid::Uuid;

use super::{run, seeker, with_database};

/// 500 postings (some of them not to be found) and 500 profiles, with words, skills and instants that repeat.
const ROWS: &str = r#"
SELECT setseed(0.25);
INSERT INTO "User" ("email", "role", "username") SELECT 'u' || i, 'FREELANCE', 'u' || i FROM generate_series(1, 500) i;
INSERT INTO "Company" ("userId", "name", "siren", "description", "address") SELECT "id", 'Acme', '1', '', '' FROM "User" LIMIT 1;
INSERT INTO "Skill" ("name", "normalizedName", "type")
    SELECT name, lower(name), 'TECHNICAL' FROM unnest('{Rust,SQL,Go,C++,Développement,"Rust embarqué","100%",c_d}'::text[]) name;
INSERT INTO "JobPosting" ("companyId", "title", "description", "isPromoted", "location", "averageDailyRate", "seniority", "status", "createdAt")
    SELECT c."id", (ARRAY['Développeur', 'DEV', 'Go', 'Ingénieure', 'a\b', '100 %'])[1 + random() * 5] || ' '
                   || (ARRAY['Rust', 'web', 'réseau', 'quantique', 'x_y', 'ÉTÉ', '', 'Go'])[1 + random() ^ 2 * 7],
           '', false, (ARRAY['HYBRID', 'ONSITE', 'REMOTE'])[1 + random() * 2]::"JobPostingLocation", 100 * (1 + i % 9),
           i % 12, CASE WHEN i % 17 = 0 THEN 'DRAFT' ELSE 'PUBLISHED' END::"JobPostingStatus",
           timestamp '2026-01-01' + (random() * 200)::int * interval '1 hour'
    FROM "Company" c, generate_series(1, 500) i;
INSERT INTO "_JobPostingToSkill" SELECT p."id", s."id" FROM "JobPosting" p, "Skill" s WHERE random() < 0.3;
INSERT INTO "Checkpoint" ("name", "description", "date", "jobPostingId")
    SELECT 'Un', '', now(), "id" FROM "JobPosting" WHERE random() < 0.95;
INSERT INTO "Freelance" ("userId", "firstName", "lastName", "averageDailyRate", "jobTitle", "location", "seniority", "createdAt")
    SELECT "id", (ARRAY['Zoé', 'Bob', 'Go'])[1 + random() * 2], (ARRAY['Martin', 'Rust'])[1 + random()],
           100 + (random() * 9)::int * 50, (ARRAY['Développeur', 'DEV web', '100 %', 'x_y'])[1 + random() * 3],
           (ARRAY['Paris', 'Développy', 'Été'])[1 + random() ^ 2 * 2], (random() * 10)::int,
           timestamp '2026-01-01' + (random() * 200)::int * interval '1 hour'
    FROM "User";
INSERT INTO "_FreelanceToSkill" SELECT f."id", s."id" FROM "Freelance" f, "Skill" s WHERE random() < 0.3;
INSERT INTO "Candidate" ("jobPostingId", "freelanceId", "status")
    SELECT p."id", (SELECT "id" FROM "Freelance" LIMIT 1), CASE WHEN random() < 0.5 THEN 'ACCEPTED' ELSE 'REJECTED' END::"CandidateStatus"
    FROM "JobPosting" p WHERE random() < 0.1;
ANALYZE"#;

#[derive(Clone, Debug, FromRow)]
struct Row {
    id: Uuid,
    created_at: chrono::NaiveDateTime,
    /// What a text is looked for in, part by part.
    parts: Vec<String>,
    job_title: String,
    skills: Vec<String>,
    location: String,
    rate: f64,
    seniority: i32,
    common: i64,
}

/// What can be found, newest first.
async fn postings(connection: &mut PgConnection, seeker: UserId) -> Vec<Row> {
    sqlx::query_as(
        r#"SELECT p."id", p."createdAt" AS created_at, ARRAY[p."title"] || x.names AS parts, p."title" AS job_title, x.names AS skills,
                  p."location"::text AS location, p."averageDailyRate" AS rate, p."seniority",
                  (SELECT count(*) FROM "_JobPostingToSkill" a JOIN "_FreelanceToSkill" b ON a."B" = b."B"
                   JOIN "Freelance" f ON f."id" = b."A" WHERE a."A" = p."id" AND f."userId" = $1) AS common
           FROM "JobPosting" p, LATERAL (SELECT ARRAY(SELECT s."name" FROM "_JobPostingToSkill" l JOIN "Skill" s ON s."id" = l."B"
                                                      WHERE l."A" = p."id") AS names) x
           WHERE p."status" = 'PUBLISHED' AND p."id" IN (SELECT "jobPostingId" FROM "Checkpoint")
             AND p."id" NOT IN (SELECT "jobPostingId" FROM "Candidate" WHERE "status" = 'ACCEPTED')
           ORDER BY p."createdAt" DESC, p."id""#,
    )
    .bind(seeker.0)
    .fetch_all(connection)
    .await
    .unwrap()
}

async fn profiles(connection: &mut PgConnection) -> Vec<Row> {
    sqlx::query_as(
        r#"SELECT f."id", f."createdAt" AS created_at, ARRAY[f."firstName", f."lastName", f."jobTitle", f."location"] || x.names AS parts,
                  f."jobTitle" AS job_title, x.names AS skills, '' AS location, f."averageDailyRate" AS rate, f."seniority", 0::int8 AS common
           FROM "Freelance" f, LATERAL (SELECT ARRAY(SELECT s."name" FROM "_FreelanceToSkill" l JOIN "Skill" s ON s."id" = l."B"
                                                     WHERE l."A" = f."id") AS names) x
           ORDER BY f."createdAt" DESC, f."id""#,
    )
    .fetch_all(connection)
    .await
    .unwrap()
}

#[derive(Clone, Debug)]
struct Asked {
    text: Option<&'static str>,
    job_title: Option<&'static str>,
    skills: Vec<&'static str>,
    location: Option<JobPostingLocation>,
    rates: (Option<f64>, Option<f64>),
    seniority: (Option<f64>, Option<f64>),
    skip: usize,
    take: usize,
}

fn asked() -> impl Strategy<Value = Asked> {
    let texts = [
        "",
        "dev",
        "DÉVELOPP",
        "rust",
        "go",
        "Quantique",
        "été",
        "%",
        "_",
        "\\",
        "c++",
        "rust embarqué",
        "développeur rust",
        "eur web",
        "embarquésql",
        "zzz",
        "rust\u{1}sql",
        "100 %",
        "e",
    ];
    let locations = [JobPostingLocation::Hybrid, JobPostingLocation::Onsite, JobPostingLocation::Remote];
    let rate = || prop::option::weighted(0.3, (0..10_u32).prop_map(|hundreds| f64::from(hundreds) * 100.0));
    let years = || prop::option::weighted(0.2, (0..24_u32).prop_map(|halves| f64::from(halves) / 2.0));
    (
        prop::option::weighted(0.7, prop::sample::select(texts.to_vec())),
        prop::option::weighted(0.2, prop::sample::select(vec!["dev", "x_Y", "%", "zzz", "développ"])),
        prop::collection::vec(prop::sample::select(vec!["RUST", "go", "sql", "c_D", "nothing", "c__d"]), 0..3),
        prop::option::weighted(0.2, prop::sample::select(locations.to_vec())),
        (rate(), rate()),
        (years(), years()),
        prop_oneof![3 => Just(0_usize), 2 => 0..60_usize, 1 => 0..600_usize],
        1..40_usize,
    )
        .prop_map(|(text, job_title, skills, location, rates, seniority, skip, take)| Asked {
            text,
            job_title,
            skills: if skills.len() == 2 { skills } else { Vec::new() },
            location,
            rates,
            seniority,
            skip,
            take,
        })
}

impl Asked {
    fn matches(&self, row: &Row, is_profile: bool) -> bool {
        let contains = |part: &str, text: &str| part.to_lowercase().contains(&text.to_lowercase());
        let years = f64::from(row.seniority);
        let whole = |bound: f64| if is_profile { bound.trunc() } else { bound };
        self.text.is_none_or(|text| row.parts.iter().any(|part| contains(part, text)))
            && (!is_profile || self.job_title.is_none_or(|text| contains(&row.job_title, text)))
            && (self.skills.is_empty()
                || row
                    .skills
                    .iter()
                    .any(|name| self.skills.iter().any(|asked| asked.to_lowercase() == name.to_lowercase())))
            && (is_profile || self.location.is_none_or(|place| format!("{place:?}").to_uppercase() == row.location))
            && self.rates.0.is_none_or(|rate| row.rate >= rate)
            && self.rates.1.is_none_or(|rate| row.rate <= rate)
            && self.seniority.0.is_none_or(|bound| years >= whole(bound))
            && self.seniority.1.is_none_or(|bound| years <= whole(bound))
    }

    fn postings(&self) -> JobPostingSearch {
        JobPostingSearch {
            title: self.text.map(str::to_owned),
            skill_names: self.skills.iter().map(|&name| name.to_owned()).collect(),
            location: self.location,
            minimum_daily_rate: self.rates.0,
            maximum_daily_rate: self.rates.1,
            minimum_seniority: self.seniority.0,
            maximum_seniority: self.seniority.1,
            skip: i64::try_from(self.skip).unwrap(),
            take: i64::try_from(self.take).unwrap(),
        }
    }

    fn profiles(&self) -> FreelanceSearch {
        FreelanceSearch {
            query: self.text.map(str::to_owned),
            job_title: self.job_title.map(str::to_owned),
            skill_names: Some(self.skills.iter().map(|&name| name.to_owned()).collect()),
            min_daily_rate: self.rates.0,
            max_daily_rate: self.rates.1,
            min_seniority: self.seniority.0,
            max_seniority: self.seniority.1,
            skip: i64::try_from(self.skip).unwrap(),
            take: i64::try_from(self.take).unwrap(),
        }
    }

    fn slice(&self, rows: &[Row]) -> Vec<Uuid> {
        rows.iter().skip(self.skip).take(self.take).map(|row| row.id).collect()
    }
}

/// The newest `ranked` of the matches by skills in common, then the others by age.
fn in_order(matches: &[Row], ranked: usize) -> Vec<Row> {
    let mut rows = matches.to_vec();
    let (first, _) = rows.split_at_mut(ranked.min(matches.len()));
    first.sort_by_key(|row| (Reverse(row.common), Reverse(row.created_at), row.id));
    rows
}

struct Answer {
    ids: Vec<Uuid>,
    common: Vec<i64>,
    total: i64,
}

async fn ask(connection: &mut PgConnection, asked: &Asked, seeker: Option<UserId>, limits: &Limits) -> Answer {
    let catalog = SkillCatalog::load(connection).await.unwrap();
    let found =
        search::search(connection, &catalog, &asked.postings(), seeker, &Searching::from(*limits)).await.unwrap();
    Answer {
        ids: found.page.iter().map(|hit| hit.found.posting.id.0).collect(),
        common: found.page.iter().map(|hit| hit.common_skills).collect(),
        total: found.total,
    }
}

/// As large tables are searched, with limits that a few hundred rows exceed.
const LARGE: Limits = Limits { look: 20, near: 100, rare: 10, few: 40, ranked: 30, sample: 20 };

/// What a search of a large table owes: the right order; all that is within the limits; a total that isn't below what
/// was shown.
fn assert_within_limits(asked: &Asked, answer: &Answer, rows: &[Row], matches: &[Row], ranked: bool) {
    let near = rows.iter().take(100).filter(|row| matches.iter().any(|found| found.id == row.id)).count();
    let orders =
        if ranked { vec![in_order(matches, 30), in_order(matches, matches.len())] } else { vec![matches.to_vec()] };
    let shown = answer.ids.len();
    // Walking ends with the newest rows, and sorts among those of its matches only.
    let near_matches = &matches[..near];
    let mut slices: Vec<Vec<Uuid>> = orders.iter().map(|order| asked.slice(order)).collect();
    slices.push(asked.slice(&in_order(near_matches, if ranked { 30 } else { 0 })));
    assert!(slices.iter().any(|slice| slice.starts_with(&answer.ids)), "{asked:?}: {:?} of {slices:?}", answer.ids);
    let owed = near.saturating_sub(asked.skip).min(asked.take);
    assert!(shown >= owed, "{asked:?}: {shown} of {owed}");
    if shown > 0 {
        assert!(answer.total >= i64::try_from(asked.skip + shown).unwrap(), "{asked:?}: {}", answer.total);
    }
}

#[tokio::test]
async fn searches_find_what_a_naive_one_finds() {
    with_database(async |_, connection| {
        run(connection, ROWS).await;
        let seeker = seeker(connection).await;
        let postings = postings(connection, seeker).await;
        assert!((300..480).contains(&postings.len()) && postings.iter().any(|row| row.common >= 3));
        let mut runner = TestRunner::deterministic();
        let mut found = 0;
        for _ in 0..200 {
            let asked = asked().new_tree(&mut runner).unwrap().current();
            let matches: Vec<Row> = postings.iter().filter(|row| asked.matches(row, false)).cloned().collect();
            found += usize::from(!matches.is_empty());
            for (seeker, ranked) in [(None, false), (Some(seeker), true)] {
                let expected = in_order(&matches, if ranked { matches.len() } else { 0 });
                // The whole table is looked at; or a little of it, so that an index or a walk has to find the rest.
                for limits in [Limits::default(), Limits { look: 20, rare: 10, ..Limits::default() }] {
                    let answer = ask(connection, &asked, seeker, &limits).await;
                    assert_eq!(answer.ids, asked.slice(&expected), "{asked:?} {limits:?}");
                    assert_eq!(answer.total, i64::try_from(matches.len()).unwrap(), "{asked:?} {limits:?}");
                    if ranked {
                        let common = expected.iter().skip(asked.skip).take(asked.take).map(|row| row.common);
                        assert_eq!(answer.common, common.collect::<Vec<_>>(), "{asked:?}");
                    }
                }
                let answer = ask(connection, &asked, seeker, &LARGE).await;
                assert_within_limits(&asked, &answer, &postings, &matches, ranked);
            }
        }
        assert!(found > 100, "only {found} searches found something");
    })
    .await;
}

#[tokio::test]
async fn searches_of_profiles_find_what_a_naive_one_finds() {
    with_database(async |_, connection| {
        run(connection, ROWS).await;
        let profiles = profiles(connection).await;
        assert_eq!(profiles.len(), 500);
        let catalog = SkillCatalog::load(connection).await.unwrap();
        let mut runner = TestRunner::deterministic();
        for _ in 0..200 {
            let asked = asked().new_tree(&mut runner).unwrap().current();
            let matches: Vec<Row> = profiles.iter().filter(|row| asked.matches(row, true)).cloned().collect();
            for limits in [Limits::default(), Limits { look: 20, rare: 10, ..Limits::default() }, LARGE] {
                let page = freelances::search(connection, &catalog, &asked.profiles(), &Searching::from(limits))
                    .await
                    .unwrap();
                let ids: Vec<Uuid> = page.found.iter().map(|hit| hit.freelance.id.0).collect();
                if limits.near == LARGE.near {
                    let answer = Answer { ids, common: Vec::new(), total: page.total };
                    assert_within_limits(&asked, &answer, &profiles, &matches, false);
                } else {
                    assert_eq!(ids, asked.slice(&matches), "{asked:?} {limits:?}");
                    assert_eq!(page.total, i64::try_from(matches.len()).unwrap(), "{asked:?} {limits:?}");
                }
            }
        }
    })
    .await;
}
