//! Statements on "JobPosting", and the facts the policy asks for.

use sqlx::PgConnection;
use uuid::Uuid;

use super::model::{JobPosting, JobPostingLocation, JobPostingStatus, PaymentState};
use crate::{
    Timestamp,
    checkpoints::{
        Checkpoint,
        queries::{CheckpointRecord, checkpoint_of},
    },
    ids::{CompanyId, JobPostingId, PaymentSessionId, ProjectId, UserId},
    policy::JobPostingFacts,
};

/// A `SELECT` of whole rows of "JobPosting" p; the tail begins after `FROM "JobPosting" p`.
macro_rules! select_job_postings {
    ($tail:literal $(, $argument:expr)*) => {
        sqlx::query_as!(
            JobPosting,
            r#"SELECT p."id" AS "id: JobPostingId", p."companyId" AS "company_id: CompanyId", p."title", p."description",
                      p."location" AS "location: JobPostingLocation", p."isPromoted" AS is_promoted,
                      p."averageDailyRate" AS average_daily_rate, p."seniority", p."totalAmount" AS total_amount,
                      p."status" AS "status: JobPostingStatus", p."stripeSessionId" AS stripe_session_id,
                      p."stripeRefundId" AS stripe_refund_id, p."canceledAt" AS "canceled_at: Timestamp",
                      p."cancelReason" AS cancel_reason, p."createdAt" AS "created_at: Timestamp",
                      p."updatedAt" AS "updated_at: Timestamp"
               FROM "JobPosting" p "# + $tail
            $(, $argument)*
        )
    };
}

pub async fn find_job_posting(
    connection: &mut PgConnection,
    id: JobPostingId,
) -> Result<Option<JobPosting>, sqlx::Error> {
    select_job_postings!(r#"WHERE p."id" = $1"#, id.0).fetch_optional(connection).await
}

/// Reads the row and keeps every other writer away until the transaction ends. The first lock of any use case.
pub async fn lock_job_posting(
    connection: &mut PgConnection,
    id: JobPostingId,
) -> Result<Option<JobPosting>, sqlx::Error> {
    select_job_postings!(r#"WHERE p."id" = $1 FOR UPDATE"#, id.0).fetch_optional(connection).await
}

/// Reads the row and keeps its state from changing, while others may do the same: for adding checkpoints in parallel.
pub async fn lock_job_posting_shared(
    connection: &mut PgConnection,
    id: JobPostingId,
) -> Result<Option<JobPosting>, sqlx::Error> {
    select_job_postings!(r#"WHERE p."id" = $1 FOR SHARE"#, id.0).fetch_optional(connection).await
}

/// The rows with these ids, in no particular order.
pub async fn list_job_postings_by_ids(
    connection: &mut PgConnection,
    ids: &[Uuid],
) -> Result<Vec<JobPosting>, sqlx::Error> {
    select_job_postings!(r#"WHERE p."id" = ANY($1)"#, ids).fetch_all(connection).await
}

/// A company's postings, newest first, of one status when given.
pub async fn list_job_postings_of_company(
    connection: &mut PgConnection,
    company_id: CompanyId,
    status: Option<JobPostingStatus>,
) -> Result<Vec<JobPosting>, sqlx::Error> {
    select_job_postings!(
        r#"WHERE p."companyId" = $1 AND ($2::"JobPostingStatus" IS NULL OR p."status" = $2)
           ORDER BY p."createdAt" DESC, p."id""#,
        company_id.0,
        status as Option<JobPostingStatus>
    )
    .fetch_all(connection)
    .await
}

/// The newest published postings, at most `limit`.
pub async fn list_published_job_postings(
    connection: &mut PgConnection,
    limit: i64,
) -> Result<Vec<JobPosting>, sqlx::Error> {
    select_job_postings!(r#"WHERE p."status" = 'PUBLISHED' ORDER BY p."createdAt" DESC, p."id" LIMIT $1"#, limit)
        .fetch_all(connection)
        .await
}

/// The posting of a row that has all its columns.
macro_rules! job_posting_of {
    ($row:ident) => {
        JobPosting {
            id: $row.id,
            company_id: $row.company_id,
            title: $row.title,
            description: $row.description,
            location: $row.location,
            is_promoted: $row.is_promoted,
            average_daily_rate: $row.average_daily_rate,
            seniority: $row.seniority,
            total_amount: $row.total_amount,
            status: $row.status,
            stripe_session_id: $row.stripe_session_id,
            stripe_refund_id: $row.stripe_refund_id,
            canceled_at: $row.canceled_at,
            cancel_reason: $row.cancel_reason,
            created_at: $row.created_at,
            updated_at: $row.updated_at,
        }
    };
}

/// What somebody who does not own a posting has to do with it.
#[derive(Default)]
struct Part {
    is_applicant: bool,
    is_project_freelance: bool,
}

/// Apart from the posting's own statement, since most readers need none of it: parts of a plan that never run cost a third
/// of it even so.
async fn find_part(connection: &mut PgConnection, id: JobPostingId, actor: UserId) -> Result<Part, sqlx::Error> {
    sqlx::query_as!(
        Part,
        r#"SELECT EXISTS (SELECT FROM "Candidate" k JOIN "Freelance" f ON f."id" = k."freelanceId"
                          WHERE k."jobPostingId" = $1 AND f."userId" = $2) AS "is_applicant!",
                  EXISTS (SELECT FROM "Project" r JOIN "Freelance" f ON f."id" = r."freelanceId"
                          WHERE r."jobPostingId" = $1 AND f."userId" = $2) AS "is_project_freelance!""#,
        id.0,
        actor.0,
    )
    .fetch_one(connection)
    .await
}

/// Whether the user owns the posting, has applied to it, or is its project's freelance: all others see the same of it. As
/// `find_part` and the owner, in one statement; whoever sees more than everybody must be among them.
pub async fn has_part(connection: &mut PgConnection, id: JobPostingId, user_id: UserId) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM "JobPosting" p JOIN "Company" c ON c."id" = p."companyId"
                          WHERE p."id" = $1 AND c."userId" = $2)
               OR EXISTS (SELECT FROM "Candidate" k JOIN "Freelance" f ON f."id" = k."freelanceId"
                          WHERE k."jobPostingId" = $1 AND f."userId" = $2)
               OR EXISTS (SELECT FROM "Project" r JOIN "Freelance" f ON f."id" = r."freelanceId"
                          WHERE r."jobPostingId" = $1 AND f."userId" = $2) AS "has_part!""#,
        id.0,
        user_id.0,
    )
    .fetch_one(connection)
    .await
}

/// What the posting of the user `owner` is to `actor`.
async fn facts_of(
    connection: &mut PgConnection,
    posting: &JobPosting,
    owner: UserId,
    actor: Option<UserId>,
) -> Result<JobPostingFacts, sqlx::Error> {
    let part = match actor.filter(|actor| *actor != owner) {
        Some(actor) => find_part(connection, posting.id, actor).await?,
        None => Part::default(),
    };
    Ok(JobPostingFacts {
        owner,
        is_published: posting.status == JobPostingStatus::Published,
        is_applicant: part.is_applicant,
        is_project_freelance: part.is_project_freelance,
    })
}

/// A statement that yields a posting `p` with its company `c`: the company's columns, then the tail.
macro_rules! select_with_company {
    ($columns:literal, $id:expr) => {
        sqlx::query!(
            r#"SELECT p."id" AS "id: JobPostingId", p."companyId" AS "company_id: CompanyId", p."title", p."description",
                      p."location" AS "location: JobPostingLocation", p."isPromoted" AS is_promoted,
                      p."averageDailyRate" AS average_daily_rate, p."seniority", p."totalAmount" AS total_amount,
                      p."status" AS "status: JobPostingStatus", p."stripeSessionId" AS stripe_session_id,
                      p."stripeRefundId" AS stripe_refund_id, p."canceledAt" AS "canceled_at: Timestamp",
                      p."cancelReason" AS cancel_reason, p."createdAt" AS "created_at: Timestamp",
                      p."updatedAt" AS "updated_at: Timestamp", c."userId" AS "owner: UserId""#
                + $columns
                + r#" FROM "JobPosting" p JOIN "Company" c ON c."id" = p."companyId" WHERE p."id" = $1"#,
            $id
        )
    };
}

/// The row and what it is to `actor`.
pub async fn find_facts(
    connection: &mut PgConnection,
    id: JobPostingId,
    actor: Option<UserId>,
) -> Result<Option<(JobPosting, JobPostingFacts)>, sqlx::Error> {
    let Some(row) = select_with_company!("", id.0).fetch_optional(&mut *connection).await? else { return Ok(None) };
    let (owner, posting) = (row.owner, job_posting_of!(row));
    let facts = facts_of(connection, &posting, owner, actor).await?;
    Ok(Some((posting, facts)))
}

/// A posting with its company's name, its checkpoints and the ids of its skills, and what it is to somebody.
#[derive(Clone, Debug)]
pub struct PostingWithFacts {
    pub posting: JobPosting,
    pub company_name: String,
    pub skill_ids: Vec<Uuid>,
    /// In the order of their dates.
    pub checkpoints: Vec<Checkpoint>,
    pub facts: JobPostingFacts,
}

/// What everybody sees of a posting, in one statement, and what it is to `actor`, in a second one for those who do not own it.
pub async fn find_with_facts(
    connection: &mut PgConnection,
    id: JobPostingId,
    actor: Option<UserId>,
) -> Result<Option<PostingWithFacts>, sqlx::Error> {
    let row = select_with_company!(
        r#", c."name" AS company_name,
           ARRAY(SELECT link."B" FROM "_JobPostingToSkill" link WHERE link."A" = p."id") AS "skill_ids!",
           ARRAY(SELECT ROW(ROW(s."id", s."name", s."description", s."amount", s."date", s."status"::text),
                            ROW(s."submittedAt", s."validatedAt", s."submittedBy", s."validatedBy", s."createdAt",
                                s."updatedAt"))
                 FROM "Checkpoint" s WHERE s."jobPostingId" = p."id") AS "checkpoints!: Vec<CheckpointRecord>""#,
        id.0
    )
    .fetch_optional(&mut *connection)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let checkpoints = row.checkpoints.into_iter().map(|record| checkpoint_of(record, row.id));
    let mut checkpoints: Vec<_> = checkpoints.collect::<Result<_, _>>()?;
    // A few rows are sorted sooner here than by a node of the plan.
    checkpoints.sort_unstable_by_key(|checkpoint| (checkpoint.date, checkpoint.created_at, checkpoint.id));
    let (owner, company_name, skill_ids) = (row.owner, row.company_name, row.skill_ids);
    let posting = job_posting_of!(row);
    let facts = facts_of(connection, &posting, owner, actor).await?;
    Ok(Some(PostingWithFacts { posting, company_name, skill_ids, checkpoints, facts }))
}

/// The company a user with that role has filled in, if any.
pub async fn find_company_id_of_user(
    connection: &mut PgConnection,
    user_id: UserId,
) -> Result<Option<CompanyId>, sqlx::Error> {
    sqlx::query_scalar!(r#"SELECT "id" AS "id: CompanyId" FROM "Company" WHERE "userId" = $1"#, user_id.0)
        .fetch_optional(connection)
        .await
}

pub async fn has_accepted_candidate(connection: &mut PgConnection, id: JobPostingId) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM "Candidate" WHERE "jobPostingId" = $1 AND "status" = 'ACCEPTED') AS "exists!""#,
        id.0,
    )
    .fetch_one(connection)
    .await
}

/// The project that came of the posting, if any.
pub async fn find_project_id(
    connection: &mut PgConnection,
    id: JobPostingId,
) -> Result<Option<ProjectId>, sqlx::Error> {
    sqlx::query_scalar!(r#"SELECT "id" AS "id: ProjectId" FROM "Project" WHERE "jobPostingId" = $1"#, id.0)
        .fetch_optional(connection)
        .await
}

pub async fn get_payment_state(connection: &mut PgConnection, id: JobPostingId) -> Result<PaymentState, sqlx::Error> {
    sqlx::query_as!(
        PaymentState,
        r#"SELECT count(*) > 0 AS "has_session!",
                  coalesce(bool_or(status <> 'EXPIRED'), false) AS "has_live_session!",
                  coalesce(bool_or(paid_at IS NOT NULL OR quarantine IS NOT NULL
                                   OR status NOT IN ('CREATING', 'OPEN', 'EXPIRED')), false) AS "was_paid!"
           FROM payment_session WHERE job_posting_id = $1"#,
        id.0,
    )
    .fetch_one(connection)
    .await
}

/// The sessions a customer could still pay.
pub async fn list_open_payment_sessions(
    connection: &mut PgConnection,
    id: JobPostingId,
) -> Result<Vec<PaymentSessionId>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT id AS "id: PaymentSessionId" FROM payment_session
           WHERE job_posting_id = $1 AND status IN ('CREATING', 'OPEN')"#,
        id.0,
    )
    .fetch_all(connection)
    .await
}

pub async fn update_status(
    connection: &mut PgConnection,
    id: JobPostingId,
    status: JobPostingStatus,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        r#"UPDATE "JobPosting" SET "status" = $2, "updatedAt" = (now() AT TIME ZONE 'UTC') WHERE "id" = $1"#,
        id.0,
        status as JobPostingStatus,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Publishes the posting and notes the Checkout Session that paid for it.
pub async fn update_published(
    connection: &mut PgConnection,
    id: JobPostingId,
    stripe_session_id: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        r#"UPDATE "JobPosting"
           SET "status" = 'PUBLISHED', "stripeSessionId" = $2, "updatedAt" = (now() AT TIME ZONE 'UTC')
           WHERE "id" = $1"#,
        id.0,
        stripe_session_id,
    )
    .execute(connection)
    .await?;
    Ok(())
}

pub async fn update_canceled(
    connection: &mut PgConnection,
    id: JobPostingId,
    reason: Option<&str>,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        r#"UPDATE "JobPosting"
           SET "status" = 'CANCELED', "cancelReason" = $2, "canceledAt" = (now() AT TIME ZONE 'UTC'),
               "updatedAt" = (now() AT TIME ZONE 'UTC')
           WHERE "id" = $1"#,
        id.0,
        reason,
    )
    .execute(connection)
    .await?;
    Ok(())
}

pub async fn update_stripe_refund(
    connection: &mut PgConnection,
    id: JobPostingId,
    stripe_refund_id: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        r#"UPDATE "JobPosting" SET "stripeRefundId" = $2, "updatedAt" = (now() AT TIME ZONE 'UTC') WHERE "id" = $1"#,
        id.0,
        stripe_refund_id,
    )
    .execute(connection)
    .await?;
    Ok(())
}
