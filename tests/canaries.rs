//! What is private, by its value: planted where a value would not be told from others, and looked for in every answer,
//! under whatever key it comes.

use std::collections::BTreeSet;

use freehunt_tests::{Persona, TestApp};
use uuid::Uuid;

/// A private text of the database, and who may read it.
#[derive(Debug, sqlx::FromRow)]
struct Canary {
    kind: String,
    value: String,
    readers: Vec<Uuid>,
    /// The one operation that shows it to others too: `session` to whoever has one, `anyone` to everybody.
    open_at: Option<String>,
    open_to: Option<String>,
}

/// Makes the texts of companies, postings, checkpoints, projects, messages and documents that nobody else has.
pub async fn plant(app: &TestApp) {
    for statement in [
        r#"UPDATE "Company" SET "siren" = lpad((900000000 + abs(hashtext("id"::text)) % 99999999)::text, 9, '0'),
               "address" = 'canary-address-' || "id", "description" = 'canary-company-' || "id""#,
        r#"UPDATE "JobPosting" SET "title" = 'canary-title-' || "id", "description" = 'canary-posting-' || "id""#,
        r#"UPDATE "JobPosting" SET "cancelReason" = 'canary-reason-' || "id", "stripeRefundId" = 're_canary_' || "id"
           WHERE "status" = 'CANCELED'"#,
        r#"UPDATE "Checkpoint" SET "name" = 'canary-checkpoint-' || "id", "description" = 'canary-work-' || "id""#,
        r#"UPDATE "Project" SET "name" = 'canary-project-' || "id", "description" = 'canary-plan-' || "id""#,
        r#"UPDATE "Message" SET "content" = 'canary-message-' || "id""#,
        r#"UPDATE "Document" SET "name" = 'canary-document-' || "id""#,
    ] {
        sqlx::query(statement).execute(&app.pool).await.expect("the canaries are planted");
    }
}

/// Rows that are one's own, with whom one shares what: a posting's owner, its applicants, and the rest.
const CANARIES: &str = r#"
WITH owner AS (
    SELECT j."id" AS posting, c."id" AS company, c."userId" AS user_id, j."status"::text AS status
    FROM "JobPosting" j JOIN "Company" c ON c."id" = j."companyId"
), applicant AS (
    SELECT a."id" AS candidate, a."jobPostingId" AS posting, f."userId" AS user_id
    FROM "Candidate" a JOIN "Freelance" f ON f."id" = a."freelanceId"
), concerned AS (
    SELECT o.posting, o.company, o.status, o.user_id AS owner,
           ARRAY[o.user_id] || array(SELECT a.user_id FROM applicant a WHERE a.posting = o.posting) AS people
    FROM owner o
), party AS (
    SELECT p."id" AS project, ARRAY[c."userId", f."userId"] AS people
    FROM "Project" p JOIN "Company" c ON c."id" = p."companyId" JOIN "Freelance" f ON f."id" = p."freelanceId"
), company AS (
    SELECT c.*, ARRAY[c."userId"] || array(
               SELECT person FROM concerned n, unnest(n.people) AS person WHERE n.company = c."id") AS people,
           EXISTS (SELECT FROM owner o WHERE o.company = c."id" AND o.status = 'PUBLISHED') AS is_public
    FROM "Company" c
), canary (kind, value, readers, open_at, open_to) AS (
    SELECT 'address of ' || u."username", u."email", ARRAY[u."id"],
           CASE WHEN c.is_public THEN 'GET /companies/{id}' END, 'session'
    FROM "User" u LEFT JOIN company c ON c."userId" = u."id"
    UNION ALL SELECT 'account at Authentik', authentik_uid, '{}', NULL, NULL FROM identity
    UNION ALL SELECT 'payout account', "stripeAccountId", ARRAY["userId"], NULL, NULL FROM "Freelance"
    UNION ALL SELECT 'payout account', p.stripe_account_id, ARRAY[f."userId"], NULL, NULL
        FROM payout_account p JOIN "Freelance" f ON f."id" = p.freelance_id
    UNION ALL SELECT 'company', text, people, CASE WHEN is_public THEN 'GET /companies/{id}' END, 'anyone'
        FROM company, unnest(ARRAY["siren", "address", "description"]) AS text
        WHERE text ~ '^(canary-|9[0-9]{8}$)'
    UNION ALL SELECT 'hidden posting', text, n.people, NULL, NULL
        FROM "JobPosting" j JOIN concerned n ON n.posting = j."id", unnest(ARRAY[j."title", j."description"]) AS text
        WHERE n.status <> 'PUBLISHED' AND text LIKE 'canary-%'
    UNION ALL SELECT 'owner''s field of a posting', text, ARRAY[n.owner], NULL, NULL
        FROM "JobPosting" j JOIN concerned n ON n.posting = j."id",
             unnest(ARRAY[j."stripeSessionId", j."stripeRefundId", j."cancelReason"]) AS text
        WHERE text = j."stripeSessionId" OR text LIKE '%canary%'
    UNION ALL SELECT 'checkpoint of a hidden posting', text, n.people, NULL, NULL
        FROM "Checkpoint" k JOIN concerned n ON n.posting = k."jobPostingId", unnest(ARRAY[k."name", k."description"]) AS text
        WHERE n.status <> 'PUBLISHED' AND text LIKE 'canary-%'
    UNION ALL SELECT 'application', a.candidate::text, ARRAY[a.user_id, n.owner], NULL, NULL
        FROM applicant a JOIN concerned n ON n.posting = a.posting
    UNION ALL SELECT 'project', text, t.people, NULL, NULL
        FROM "Project" p JOIN party t ON t.project = p."id", unnest(ARRAY[p."id"::text, p."name", p."description"]) AS text
        WHERE text = p."id"::text OR text LIKE 'canary-p%'
    UNION ALL SELECT 'conversation', "id"::text, ARRAY["senderId", "receiverId"], NULL, NULL FROM "Conversation"
    UNION ALL SELECT 'message', text, ARRAY[c."senderId", c."receiverId"], NULL, NULL
        FROM "Message" m JOIN "Conversation" c ON c."id" = m."conversationId", unnest(ARRAY[m."id"::text, m."content"]) AS text
        WHERE text = m."id"::text OR text LIKE 'canary-%'
    UNION ALL SELECT 'avatar', text, ARRAY[d."userId"] || array(
               SELECT unnest(ARRAY[c."senderId", c."receiverId"]) FROM "Conversation" c
               WHERE d."userId" IN (c."senderId", c."receiverId")), NULL, NULL
        FROM "Document" d, unnest(ARRAY[d."id"::text, d."url", d."name"]) AS text
        WHERE d."userId" IS NOT NULL AND (text <> d."name" OR text LIKE 'canary-%')
    UNION ALL SELECT 'session at Stripe', s.stripe_session_id, ARRAY[n.owner], NULL, NULL
        FROM payment_session s JOIN concerned n ON n.posting = s.job_posting_id
    UNION ALL SELECT 'payment at Stripe', text, '{}', NULL, NULL
        FROM payment_session s, unnest(ARRAY[s.stripe_payment_intent_id, s.stripe_charge_id, s.id::text, s.idempotency_key]) AS text
    UNION ALL SELECT 'transfer', text, '{}', NULL, NULL
        FROM transfer_intent t, unnest(ARRAY[t.id::text, t.stripe_transfer_id, t.source_transaction]) AS text
    UNION ALL SELECT 'event of Stripe', id, '{}', NULL, NULL FROM stripe_event
)
SELECT kind, value, readers, open_at, open_to FROM canary WHERE value IS NOT NULL AND value <> ''"#;

/// The canaries in an answer that its reader may not see. What the request itself names is no news to its sender.
pub async fn seen(app: &TestApp, reader: &Persona, operation: &str, request: &str, answer: &str) -> BTreeSet<String> {
    let canaries: Vec<Canary> = sqlx::query_as(CANARIES).fetch_all(&app.pool).await.expect("the canaries can be read");
    let is_anonymous = reader.cookie.is_empty();
    let may_read = |canary: &Canary| {
        let is_open = canary.open_at.as_deref() == Some(operation);
        let to_all = is_open && (canary.open_to.as_deref() == Some("anyone") || !is_anonymous);
        to_all || (!is_anonymous && canary.readers.contains(&reader.user_id.0))
    };
    // The same text may be in a row that the reader may see.
    let readable: Vec<&str> =
        canaries.iter().filter(|canary| may_read(canary)).map(|canary| canary.value.as_str()).collect();
    let foreign = canaries.iter().filter(|canary| {
        answer.contains(&canary.value) && !request.contains(&canary.value) && !readable.contains(&canary.value.as_str())
    });
    foreign.map(|canary| format!("{} {}", canary.kind, canary.value)).collect()
}
