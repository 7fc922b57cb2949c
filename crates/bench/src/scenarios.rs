//! What is asked of the API, each scenario with the requests that its connections repeat.

use std::sync::Arc;

use anyhow::ensure;
use serde_json::{Value, json};
use sqlx::{PgConnection, Row};
use uuid::Uuid;

use crate::{
    generate::{Sizes, words},
    load::Request,
    original::{self, Original},
    sessions::{self, Person, Session},
};

/// Connections of one scenario; the pool has as many.
pub const CONNECTIONS: usize = 16;
/// Connections of the mixed day.
pub const MIXED_CONNECTIONS: usize = 64;
/// Users, conversations and companies that take turns.
const PEOPLE: i64 = 64;
/// Postings that take turns.
const POSTINGS: i64 = 1000;
/// Rows skipped by a deep page at any size: the smallest size has as many, so that sizes are compared by the same question.
const DEEPEST: i64 = 8000;
/// Begins the text of every message that a run sends.
pub const MESSAGE: &str = "Message du banc de mesure";

/// One kind of request.
#[derive(Clone, Debug)]
pub struct Scenario {
    pub name: &'static str,
    pub original: Option<Original>,
    pub requests: Arc<Vec<Request>>,
    /// Whether `pgbench` runs the same statements for comparison.
    pub has_pgbench: bool,
    /// Whether a bare handler answers the first request with the same bytes, for comparison.
    pub has_bare: bool,
}

impl Scenario {
    fn new(name: &'static str, original: Option<Original>, requests: Vec<Request>) -> Self {
        Self { name, original, requests: Arc::new(requests), has_pgbench: false, has_bare: false }
    }

    fn with_pgbench(self) -> Self {
        Self { has_pgbench: true, ..self }
    }

    fn with_bare(self) -> Self {
        Self { has_bare: true, ..self }
    }
}

/// Rows of the generated data that the requests name.
pub struct Cast {
    postings: Vec<Uuid>,
    freelances: Vec<Session>,
    /// With the company's id.
    companies: Vec<(Session, Uuid)>,
    /// Conversations to read, each with the session of a participant.
    conversations: Vec<(Uuid, Session)>,
    /// Conversations to write in.
    chats: Vec<(Uuid, Session)>,
}

impl Cast {
    pub async fn choose(connection: &mut PgConnection, sizes: Sizes) -> anyhow::Result<Self> {
        let step = (sizes.postings / POSTINGS).max(1);
        let postings = sqlx::query_scalar(
            r#"SELECT p."id" FROM generate_series(1, $1::bigint, $2::bigint) AS n
                                  JOIN "JobPosting" p ON p."id" = bench.id('posting', n)
               WHERE p."status" = 'PUBLISHED'"#,
        )
        .bind(sizes.postings)
        .bind(step)
        .fetch_all(&mut *connection)
        .await?;
        let numbers: Vec<i64> = (1..=PEOPLE.min(sizes.freelances())).collect();
        let freelances = sessions::begin(connection, Person::Freelance, &numbers).await?;
        let numbers: Vec<i64> = (1..=PEOPLE.min(sizes.postings / 20)).collect();
        let companies = sessions::begin(connection, Person::Company, &numbers).await?;
        let company_ids: Vec<Uuid> =
            sqlx::query_scalar("SELECT bench.id('company', number) FROM unnest($1::bigint[]) AS number")
                .bind(&numbers)
                .fetch_all(&mut *connection)
                .await?;
        let read = PEOPLE.min(sizes.conversations() / 2);
        let conversations = conversations(connection, 1, read).await?;
        let chats = conversations_to_write(connection, read + 1, (2 * PEOPLE).min(sizes.conversations())).await?;
        ensure!(!chats.is_empty() && !companies.is_empty(), "the generated data is too small");
        Ok(Self {
            postings,
            freelances,
            companies: companies.into_iter().zip(company_ids).collect(),
            conversations,
            chats,
        })
    }
}

async fn conversations(connection: &mut PgConnection, first: i64, last: i64) -> anyhow::Result<Vec<(Uuid, Session)>> {
    let rows = sqlx::query(
        r#"SELECT c."id", c."receiverId" FROM generate_series($1::bigint, $2::bigint) AS n
                  JOIN "Conversation" c ON c."id" = bench.id('conversation', n) ORDER BY n"#,
    )
    .bind(first)
    .bind(last)
    .fetch_all(&mut *connection)
    .await?;
    let (ids, users): (Vec<Uuid>, Vec<Uuid>) =
        rows.iter().map(|row| (row.get::<Uuid, _>(0), row.get::<Uuid, _>(1))).unzip();
    let mut distinct = users.clone();
    distinct.sort_unstable();
    distinct.dedup();
    let begun = sessions::begin_for(connection, &distinct).await?;
    let session_of = |user: &Uuid| begun.iter().find(|session| session.user_id == *user).cloned();
    Ok(ids.into_iter().zip(&users).filter_map(|(id, user)| Some((id, session_of(user)?))).collect())
}

/// As [`conversations`]; the messages of earlier runs are removed first.
async fn conversations_to_write(
    connection: &mut PgConnection,
    first: i64,
    last: i64,
) -> anyhow::Result<Vec<(Uuid, Session)>> {
    let chosen = conversations(connection, first, last).await?;
    let ids: Vec<Uuid> = chosen.iter().map(|(id, _)| *id).collect();
    sqlx::query(r#"DELETE FROM "Message" WHERE "conversationId" = ANY($1) AND starts_with("content", $2)"#)
        .bind(&ids)
        .bind(MESSAGE)
        .execute(&mut *connection)
        .await?;
    sqlx::raw_sql("TRUNCATE chat_event").execute(connection).await?;
    Ok(chosen)
}

/// All scenarios of one kind of request.
pub fn all(cast: &Cast, sizes: Sizes) -> Vec<Scenario> {
    let mut scenarios = vec![
        Scenario::new("health", Some(original::HEALTH), vec![Request::plain("/health")]).with_bare(),
        Scenario::new("skills", Some(original::SKILLS), vec![Request::get("/skills", None)]).with_bare(),
        Scenario::new("posting by id", Some(original::POSTING), postings(cast)).with_pgbench(),
        Scenario::new("posting by id, signed in", None, postings_for_freelances(cast)).with_pgbench(),
        Scenario::new("getme", Some(original::GET_ME), getme(cast)).with_pgbench(),
        Scenario::new(
            "conversation of 50 messages",
            Some(original::CONVERSATION),
            conversation(cast, "/conversations/"),
        )
        .with_pgbench(),
        Scenario::new(
            "messages of a conversation",
            Some(original::CONVERSATION),
            conversation(cast, "/messages/conversation/"),
        )
        .with_pgbench(),
        Scenario::new("post a message", Some(original::MESSAGE), messages(cast)),
    ];
    scenarios.extend(searches(cast, sizes));
    scenarios.extend(other_reads(cast));
    scenarios
}

fn postings(cast: &Cast) -> Vec<Request> {
    cast.postings.iter().map(|id| Request::get(&format!("/job-postings/{id}"), None)).collect()
}

/// Never from the server's memory alone: what a posting is to its reader is asked each time.
fn postings_for_freelances(cast: &Cast) -> Vec<Request> {
    let read = |(id, session): (&Uuid, &Session)| Request::get(&format!("/job-postings/{id}"), Some(&session.token));
    cast.postings.iter().zip(cast.freelances.iter().cycle()).map(read).collect()
}

fn getme(cast: &Cast) -> Vec<Request> {
    cast.freelances.iter().map(|session| Request::get("/auth/getme", Some(&session.token))).collect()
}

fn conversation(cast: &Cast, path: &str) -> Vec<Request> {
    let read = |(id, session): &(Uuid, Session)| Request::get(&format!("{path}{id}"), Some(&session.token));
    cast.conversations.iter().map(read).collect()
}

fn messages(cast: &Cast) -> Vec<Request> {
    cast.chats.iter().map(|(id, session)| message(*id, session)).collect()
}

/// As the frontend sends it.
pub fn message(conversation: Uuid, session: &Session) -> Request {
    let body = json!({
        "content": format!("{MESSAGE} : {}", words::SENTENCES[0]),
        "senderId": session.user_id,
        "receiverId": session.user_id,
        "conversationId": conversation,
        "documentId": null,
    });
    Request::post("/messages/", Some(&session.token), &body)
}

fn job_search(title: Option<&str>, skip: i64, session: Option<&Session>) -> Request {
    let mut body = json!({ "skip": skip, "take": 10 });
    if let Some(title) = title {
        body["title"] = Value::from(title);
    }
    Request::post("/job-postings/search", session.map(|session| session.token.as_str()), &body)
}

fn freelance_search(query: &str, skip: i64) -> Request {
    let body = json!({
        "query": query, "minDailyRate": 0, "maxDailyRate": 1500, "skillNames": [], "skip": skip, "take": 10,
    });
    Request::post("/freelances/search", None, &body)
}

fn searches(cast: &Cast, sizes: Sizes) -> Vec<Scenario> {
    let job = Some(original::JOB_SEARCH);
    let freelance = Some(original::FREELANCE_SEARCH);
    // As deep as two in five rows, which is inside the published ones, and no deeper than a search reaches.
    let (deep_posting, deep_freelance) = (deep(sizes.postings), deep(sizes.freelances()));
    let with_skills = |title, skip| cast.freelances.iter().map(|s| job_search(title, skip, Some(s))).collect();
    vec![
        Scenario::new("job search", job, vec![job_search(None, 0, None)]),
        Scenario::new("job search, deep page", job, vec![job_search(None, deep_posting, None)]),
        Scenario::new("job search, common word", job, vec![job_search(Some(words::COMMON), 0, None)]),
        Scenario::new("job search, medium word", job, vec![job_search(Some(words::MEDIUM), 0, None)]),
        Scenario::new("job search, rare word", job, vec![job_search(Some(words::RARE), 0, None)]),
        Scenario::new("job search, skills in common", job, with_skills(None, 0)),
        Scenario::new("job search, skills in common, deep page", job, with_skills(None, deep_posting)),
        Scenario::new("job search, skills in common, common word", job, with_skills(Some(words::COMMON), 0)),
        Scenario::new("freelance search", freelance, vec![freelance_search("", 0)]),
        Scenario::new("freelance search, deep page", freelance, vec![freelance_search("", deep_freelance)]),
        Scenario::new("freelance search, common word", freelance, vec![freelance_search(words::COMMON, 0)]),
        Scenario::new("freelance search, rare word", freelance, vec![freelance_search(words::RARE, 0)]),
    ]
}

fn deep(rows: i64) -> i64 {
    (rows * 2 / 5).min(DEEPEST)
}

/// The other reads of the frontend's pages, of which the original has no figure.
fn other_reads(cast: &Cast) -> Vec<Scenario> {
    let company = |path: fn(Uuid, Uuid) -> String| -> Vec<Request> {
        let request = |(session, id): &(Session, Uuid)| Request::get(&path(session.user_id, *id), Some(&session.token));
        cast.companies.iter().map(request).collect()
    };
    let freelance = |path: fn(Uuid) -> String| -> Vec<Request> {
        cast.freelances.iter().map(|session| Request::get(&path(session.user_id), Some(&session.token))).collect()
    };
    let of_posting = cast.postings.iter().map(|id| Request::get(&format!("/checkpoints/job-posting/{id}"), None));
    vec![
        Scenario::new("checkpoints of a posting", None, of_posting.collect()).with_pgbench(),
        Scenario::new(
            "postings of a company",
            None,
            company(|user, _| format!("/job-postings/user/{user}/status/PUBLISHED")),
        ),
        Scenario::new("candidates of a company", None, company(|_, id| format!("/candidates/company/{id}"))),
        Scenario::new("projects of a company", None, company(|_, id| format!("/projects/company/{id}"))),
        Scenario::new("company of a user", None, company(|user, _| format!("/companies/user/{user}"))),
        Scenario::new("freelance of a user", None, freelance(|user| format!("/freelances/user/{user}"))),
        Scenario::new("conversations of a user", None, freelance(|user| format!("/conversations/user/{user}"))),
        Scenario::new("picture of a user", None, freelance(|user| format!("/documents/user/{user}"))),
    ]
}

/// A day's requests in the shares that the frontend's pages give them: `getme` twice a page above all.
pub fn mixed_day(cast: &Cast) -> Arc<Vec<Request>> {
    let search = vec![
        job_search(None, 0, None),
        job_search(Some(words::COMMON), 0, None),
        job_search(Some(words::MEDIUM), 10, None),
        freelance_search("", 0),
        freelance_search("Paris", 0),
    ];
    let parts: [(usize, Vec<Request>); 9] = [
        (36, getme(cast)),
        (14, postings(cast)),
        (8, search),
        (4, cast.freelances.iter().map(|session| job_search(None, 0, Some(session))).collect()),
        (8, vec![Request::get("/skills", None)]),
        (10, conversation(cast, "/conversations/")),
        (10, conversation(cast, "/messages/conversation/")),
        (8, messages(cast)),
        (2, vec![Request::plain("/health")]),
    ];
    let mut day = Vec::new();
    // Twenty rounds with each kind spread over the round, so that every connection meets all of them.
    for round in 0..20 {
        let mut ordered: Vec<(f64, Request)> = Vec::new();
        for (share, requests) in &parts {
            for index in 0..*share {
                let request = requests[(round * share + index) % requests.len()].clone();
                ordered.push(((index as f64 + 0.5) / *share as f64, request));
            }
        }
        ordered.sort_by(|one, other| one.0.total_cmp(&other.0));
        day.extend(ordered.into_iter().map(|(_, request)| request));
    }
    Arc::new(day)
}
