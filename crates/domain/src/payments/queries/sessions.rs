//! Statements on `payment_session`.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::super::model::{PaymentSession, SessionStatus};
use crate::{
    Cents,
    ids::{CompanyId, JobPostingId, PaymentSessionId},
};

/// A statement that yields whole rows of `payment_session`: a head, the columns, a tail.
macro_rules! sessions {
    ($head:literal, $tail:literal $(, $argument:expr)*) => {
        sqlx::query_as!(
            PaymentSession,
            $head + r#"id AS "id: PaymentSessionId", job_posting_id AS "job_posting_id: JobPostingId",
                   company_id AS "company_id: CompanyId", number, status AS "status: SessionStatus",
                   amount_subtotal_cents AS "amount_subtotal: Cents", amount_total_cents AS "amount_total: Cents",
                   currency, live_mode, title, customer_email, success_url, cancel_url, expires_at, idempotency_key,
                   key_used_at, stripe_session_id, stripe_payment_intent_id, stripe_charge_id, url, failure_code,
                   quarantine, created_at "# + $tail
            $(, $argument)*
        )
    };
}

/// What a new session is made of; its number and key follow from the posting's earlier ones.
#[derive(Clone, Debug)]
pub struct NewSession<'a> {
    pub job_posting_id: JobPostingId,
    pub company_id: CompanyId,
    pub amount_subtotal: Cents,
    pub live_mode: bool,
    pub title: &'a str,
    pub customer_email: &'a str,
    pub success_url: &'a str,
    pub cancel_url: &'a str,
    pub expires_at: DateTime<Utc>,
}

/// Needs the posting's lock: the number counts the posting's sessions.
pub async fn insert_session(
    connection: &mut PgConnection,
    session: &NewSession<'_>,
) -> Result<PaymentSession, sqlx::Error> {
    sessions!(
        r#"INSERT INTO payment_session (job_posting_id, company_id, number, status, amount_subtotal_cents, live_mode,
               title, customer_email, success_url, cancel_url, expires_at, idempotency_key)
           SELECT $1, $2, next.number, 'CREATING', $3, $4, $5, $6, $7, $8, $9,
                  'checkout:' || $1::uuid::text || ':' || next.number::text
           FROM (SELECT coalesce(max(number), 0) + 1 AS number FROM payment_session WHERE job_posting_id = $1) next
           RETURNING "#,
        "",
        session.job_posting_id.0,
        session.company_id.0,
        session.amount_subtotal.0,
        session.live_mode,
        session.title,
        session.customer_email,
        session.success_url,
        session.cancel_url,
        session.expires_at
    )
    .fetch_one(connection)
    .await
}

pub async fn find_session(
    connection: &mut PgConnection,
    id: PaymentSessionId,
) -> Result<Option<PaymentSession>, sqlx::Error> {
    sessions!("SELECT ", "FROM payment_session WHERE id = $1", id.0).fetch_optional(connection).await
}

pub async fn lock_session(
    connection: &mut PgConnection,
    id: PaymentSessionId,
) -> Result<Option<PaymentSession>, sqlx::Error> {
    sessions!("SELECT ", "FROM payment_session WHERE id = $1 FOR UPDATE", id.0).fetch_optional(connection).await
}

pub async fn find_session_of_stripe(
    connection: &mut PgConnection,
    stripe_session_id: &str,
) -> Result<Option<PaymentSession>, sqlx::Error> {
    sessions!("SELECT ", "FROM payment_session WHERE stripe_session_id = $1", stripe_session_id)
        .fetch_optional(connection)
        .await
}

pub async fn find_session_of_payment_intent(
    connection: &mut PgConnection,
    payment_intent: &str,
) -> Result<Option<PaymentSession>, sqlx::Error> {
    sessions!("SELECT ", "FROM payment_session WHERE stripe_payment_intent_id = $1", payment_intent)
        .fetch_optional(connection)
        .await
}

pub async fn find_session_of_charge(
    connection: &mut PgConnection,
    charge: &str,
) -> Result<Option<PaymentSession>, sqlx::Error> {
    sessions!("SELECT ", "FROM payment_session WHERE stripe_charge_id = $1 LIMIT 1", charge)
        .fetch_optional(connection)
        .await
}

/// A posting's sessions, oldest first. Needs the posting's lock to be meaningful.
pub async fn list_sessions(
    connection: &mut PgConnection,
    job_posting_id: JobPostingId,
) -> Result<Vec<PaymentSession>, sqlx::Error> {
    sessions!("SELECT ", "FROM payment_session WHERE job_posting_id = $1 ORDER BY number", job_posting_id.0)
        .fetch_all(connection)
        .await
}

/// Every session Stripe knows, for the comparison of the books.
pub async fn list_sessions_at_stripe(connection: &mut PgConnection) -> Result<Vec<PaymentSession>, sqlx::Error> {
    sessions!("SELECT ", "FROM payment_session WHERE stripe_session_id IS NOT NULL ORDER BY created_at, id")
        .fetch_all(connection)
        .await
}

/// The ids of open sessions nobody has spoken of for a while and that no job asks about; those set aside are left to the
/// operator.
pub async fn list_silent_open_sessions(
    connection: &mut PgConnection,
    silent_seconds: f64,
    limit: i64,
) -> Result<Vec<PaymentSessionId>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT s.id AS "id: PaymentSessionId" FROM payment_session s
           WHERE s.status = 'OPEN' AND s.quarantine IS NULL AND s.updated_at < now() - make_interval(secs => $1)
             AND NOT EXISTS (SELECT FROM job j WHERE j.state = 'READY' AND j.unique_key = 'reconcile_checkout:' || s.id::text)
           ORDER BY s.updated_at LIMIT $2"#,
        silent_seconds,
        limit,
    )
    .fetch_all(connection)
    .await
}

/// The posting's open session, when nothing was heard of it for some seconds.
pub async fn find_silent_open_session(
    connection: &mut PgConnection,
    job_posting_id: JobPostingId,
) -> Result<Option<PaymentSessionId>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT id AS "id: PaymentSessionId" FROM payment_session
           WHERE job_posting_id = $1 AND status = 'OPEN' AND quarantine IS NULL
             AND updated_at < now() - interval '5 seconds'"#,
        job_posting_id.0,
    )
    .fetch_optional(connection)
    .await
}

/// The ids of sessions whose making has no live job.
pub async fn list_stranded_creations(
    connection: &mut PgConnection,
    limit: i64,
) -> Result<Vec<PaymentSessionId>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT s.id AS "id: PaymentSessionId" FROM payment_session s
           WHERE s.status = 'CREATING' AND s.updated_at < now() - interval '15 seconds'
             AND NOT EXISTS (SELECT FROM job j WHERE j.state = 'READY' AND j.unique_key = 'create_checkout:' || s.id::text)
           ORDER BY s.updated_at LIMIT $1"#,
        limit,
    )
    .fetch_all(connection)
    .await
}

/// Notes that the key goes out now, unless it did before.
pub async fn update_key_used(connection: &mut PgConnection, id: PaymentSessionId) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "UPDATE payment_session SET key_used_at = coalesce(key_used_at, now()), updated_at = now() WHERE id = $1",
        id.0,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// The next attempt uses a new key: a look-up found nothing made under the old one. Of several that found nothing, one
/// makes the new key.
pub async fn update_next_key(
    connection: &mut PgConnection,
    id: PaymentSessionId,
    old_key: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        r#"UPDATE payment_session
           SET key_number = key_number + 1, key_used_at = NULL, updated_at = now(),
               idempotency_key = 'checkout:' || job_posting_id::text || ':' || number::text || ':' || (key_number + 1)::text
           WHERE id = $1 AND status = 'CREATING' AND idempotency_key = $2"#,
        id.0,
        old_key,
    )
    .execute(connection)
    .await?;
    Ok(())
}

pub async fn update_opened(
    connection: &mut PgConnection,
    id: PaymentSessionId,
    stripe_session_id: &str,
    url: Option<&str>,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "UPDATE payment_session SET status = 'OPEN', stripe_session_id = $2, url = $3, updated_at = now() WHERE id = $1",
        id.0,
        stripe_session_id,
        url,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Binds a session that Stripe knows to the row that asked for it, after a crash in between.
pub async fn update_adopted(
    connection: &mut PgConnection,
    id: PaymentSessionId,
    stripe_session_id: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "UPDATE payment_session SET stripe_session_id = $2, updated_at = now() WHERE id = $1 AND stripe_session_id IS NULL",
        id.0,
        stripe_session_id,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Ends a session that was not paid; a paid one is left alone.
pub async fn update_expired(
    connection: &mut PgConnection,
    id: PaymentSessionId,
    failure_code: Option<&str>,
) -> Result<bool, sqlx::Error> {
    let updated = sqlx::query!(
        r#"UPDATE payment_session SET status = 'EXPIRED', failure_code = coalesce($2, failure_code), url = NULL, updated_at = now()
           WHERE id = $1 AND status IN ('CREATING', 'OPEN')"#,
        id.0,
        failure_code,
    )
    .execute(connection)
    .await?;
    Ok(updated.rows_affected() == 1)
}

/// What is written when money came in.
#[derive(Clone, Debug)]
pub struct PaidFacts<'a> {
    pub payment_intent: &'a str,
    pub charge: &'a str,
    pub amount_total: Cents,
}

pub async fn update_paid(
    connection: &mut PgConnection,
    id: PaymentSessionId,
    paid: &PaidFacts<'_>,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        r#"UPDATE payment_session
           SET status = 'PAID', stripe_payment_intent_id = $2, stripe_charge_id = $3, amount_total_cents = $4,
               paid_at = now(), url = NULL, quarantine = NULL, updated_at = now()
           WHERE id = $1"#,
        id.0,
        paid.payment_intent,
        paid.charge,
        paid.amount_total.0,
    )
    .execute(connection)
    .await?;
    Ok(())
}

pub async fn update_status(
    connection: &mut PgConnection,
    id: PaymentSessionId,
    status: SessionStatus,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "UPDATE payment_session SET status = $2, updated_at = now() WHERE id = $1",
        id.0,
        status as SessionStatus,
    )
    .execute(connection)
    .await?;
    Ok(())
}

pub async fn update_quarantined(
    connection: &mut PgConnection,
    id: PaymentSessionId,
    reason: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query!("UPDATE payment_session SET quarantine = $2, updated_at = now() WHERE id = $1", id.0, reason)
        .execute(connection)
        .await?;
    Ok(())
}

/// Notes that Stripe was asked about an open session just now.
pub async fn update_looked_at(connection: &mut PgConnection, id: PaymentSessionId) -> Result<(), sqlx::Error> {
    sqlx::query!("UPDATE payment_session SET updated_at = now() WHERE id = $1 AND status = 'OPEN'", id.0)
        .execute(connection)
        .await?;
    Ok(())
}

/// A session that Stripe knows and no row does, taken over by an operator's word.
#[derive(Clone, Debug)]
pub struct AdoptedSession<'a> {
    /// The id that its metadata names, when it is free.
    pub id: Option<PaymentSessionId>,
    pub job_posting_id: JobPostingId,
    pub company_id: CompanyId,
    pub amount_subtotal: Cents,
    pub live_mode: bool,
    pub title: &'a str,
    pub expires_at: DateTime<Utc>,
    pub stripe_session_id: &'a str,
}

/// Needs the posting's lock. It is never handed out, so that it leads nowhere.
pub async fn insert_adopted_session(
    connection: &mut PgConnection,
    session: &AdoptedSession<'_>,
) -> Result<PaymentSession, sqlx::Error> {
    sessions!(
        r#"INSERT INTO payment_session (id, job_posting_id, company_id, number, status, amount_subtotal_cents, live_mode,
               title, customer_email, success_url, cancel_url, expires_at, idempotency_key, stripe_session_id)
           SELECT coalesce($1, gen_random_uuid()), $2, $3, next.number, 'EXPIRED', $4, $5, $6, '', '', '', $7,
                  'adopted:' || $8, $8
           FROM (SELECT coalesce(max(number), 0) + 1 AS number FROM payment_session WHERE job_posting_id = $2) next
           RETURNING "#,
        "",
        session.id.map(|id| id.0),
        session.job_posting_id.0,
        session.company_id.0,
        session.amount_subtotal.0,
        session.live_mode,
        session.title,
        session.expires_at,
        session.stripe_session_id
    )
    .fetch_one(connection)
    .await
}

/// What a session that was set aside should have been over, by an operator's word.
pub async fn update_subtotal(
    connection: &mut PgConnection,
    id: PaymentSessionId,
    amount: Cents,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "UPDATE payment_session SET amount_subtotal_cents = $2, updated_at = now() WHERE id = $1 AND paid_at IS NULL",
        id.0,
        amount.0,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// `failure_code` of a session that an operator put away.
pub const DISMISSED: &str = "dismissed";

/// Nothing is left to be decided about a session that was set aside.
pub async fn update_dismissed(connection: &mut PgConnection, id: PaymentSessionId) -> Result<(), sqlx::Error> {
    sqlx::query!(
        r#"UPDATE payment_session
           SET status = 'EXPIRED', quarantine = NULL, failure_code = $2, url = NULL, updated_at = now()
           WHERE id = $1 AND paid_at IS NULL"#,
        id.0,
        DISMISSED,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// A payment that was set aside.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct QuarantinedPayment {
    pub stripe_session_id: Option<String>,
    /// The posting it was asked for; absent when no session is recorded.
    pub job_posting_id: Option<JobPostingId>,
    pub reason: String,
    pub since: DateTime<Utc>,
    /// Whether this database knows the session.
    pub is_recorded: bool,
}

/// What was set aside and not decided yet, the oldest first.
pub async fn list_quarantined(connection: &mut PgConnection) -> Result<Vec<QuarantinedPayment>, sqlx::Error> {
    sqlx::query_as!(
        QuarantinedPayment,
        r#"SELECT s.stripe_session_id, s.job_posting_id AS "job_posting_id?: JobPostingId", s.quarantine AS "reason!",
                  s.updated_at AS "since!", true AS "is_recorded!"
           FROM payment_session s WHERE s.quarantine IS NOT NULL
           UNION ALL
           SELECT DISTINCT ON (e.payload #>> '{data,object,id}') e.payload #>> '{data,object,id}', NULL::uuid,
                  substr(e.outcome, length('quarantined: ') + 1), e.received_at, false
           FROM stripe_event e
           WHERE e.outcome LIKE 'quarantined%'
             AND NOT EXISTS (SELECT FROM payment_session s WHERE s.stripe_session_id = e.payload #>> '{data,object,id}')
           ORDER BY 4"#
    )
    .fetch_all(connection)
    .await
}
