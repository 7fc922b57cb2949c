//! Statements on `refund_intent`.

use sqlx::PgConnection;

use super::{
    super::model::{CAME_BACK, RefundIntent, RefundReason, RefundStatus},
    keys::key_statements,
};
use crate::{
    Cents,
    ids::{JobPostingId, PaymentSessionId, RefundIntentId},
};

key_statements!("refund_intent", RefundIntentId);

/// A statement that yields whole rows of `refund_intent`: a head, the columns, a tail.
macro_rules! refunds {
    ($head:literal, $tail:literal $(, $argument:expr)*) => {
        sqlx::query_as!(
            RefundIntent,
            $head + r#"id AS "id: RefundIntentId", payment_session_id AS "payment_session_id: PaymentSessionId",
                   job_posting_id AS "job_posting_id: JobPostingId", stripe_payment_intent_id,
                   amount_cents AS "amount: Cents", reason AS "reason: RefundReason",
                   status AS "status: RefundStatus", key_number, key_used_at, key_sent_at, key_spent,
                   stripe_refund_id, failure_code "# + $tail
            $(, $argument)*
        )
    };
}

#[derive(Clone, Debug)]
pub struct NewRefund<'a> {
    pub payment_session_id: PaymentSessionId,
    pub job_posting_id: JobPostingId,
    pub stripe_payment_intent_id: &'a str,
    pub amount: Cents,
    pub reason: RefundReason,
}

/// The payment's one refund, under a new key where it takes the place of one by hand that came back; `None` when the
/// payment has one already.
pub async fn insert_refund(
    connection: &mut PgConnection,
    refund: &NewRefund<'_>,
) -> Result<Option<RefundIntent>, sqlx::Error> {
    refunds!(
        r#"INSERT INTO refund_intent (payment_session_id, job_posting_id, stripe_payment_intent_id, amount_cents, reason)
           VALUES ($1, $2, $3, $4, $5)
           ON CONFLICT (stripe_payment_intent_id) DO UPDATE
           SET status = 'PENDING', amount_cents = excluded.amount_cents, reason = excluded.reason,
               key_number = refund_intent.key_number + CASE WHEN refund_intent.key_sent_again THEN 0 ELSE 1 END,
               key_used_at = CASE WHEN refund_intent.key_sent_again THEN refund_intent.key_used_at END,
               key_sent_at = CASE WHEN refund_intent.key_sent_again THEN refund_intent.key_sent_at END,
               key_spent = refund_intent.key_sent_again,
               failure_code = NULL, stripe_refund_id = NULL, created_at = now(), updated_at = now()
           WHERE refund_intent.status = 'FAILED' AND refund_intent.failure_code = $6
           RETURNING "#,
        "",
        refund.payment_session_id.0,
        refund.job_posting_id.0,
        refund.stripe_payment_intent_id,
        refund.amount.0,
        refund.reason as RefundReason,
        CAME_BACK
    )
    .fetch_optional(connection)
    .await
}

pub async fn find_refund(
    connection: &mut PgConnection,
    id: RefundIntentId,
) -> Result<Option<RefundIntent>, sqlx::Error> {
    refunds!("SELECT ", "FROM refund_intent WHERE id = $1", id.0).fetch_optional(connection).await
}

pub async fn lock_refund(
    connection: &mut PgConnection,
    id: RefundIntentId,
) -> Result<Option<RefundIntent>, sqlx::Error> {
    refunds!("SELECT ", "FROM refund_intent WHERE id = $1 FOR UPDATE", id.0).fetch_optional(connection).await
}

pub async fn lock_refund_of_session(
    connection: &mut PgConnection,
    session: PaymentSessionId,
) -> Result<Option<RefundIntent>, sqlx::Error> {
    refunds!("SELECT ", "FROM refund_intent WHERE payment_session_id = $1 FOR UPDATE", session.0)
        .fetch_optional(connection)
        .await
}

pub async fn find_refund_of_stripe(
    connection: &mut PgConnection,
    stripe_refund_id: &str,
) -> Result<Option<RefundIntent>, sqlx::Error> {
    refunds!("SELECT ", "FROM refund_intent WHERE stripe_refund_id = $1", stripe_refund_id)
        .fetch_optional(connection)
        .await
}

/// The payment's refund, while it was not made.
pub async fn find_pending_refund(
    connection: &mut PgConnection,
    session: PaymentSessionId,
) -> Result<Option<RefundIntentId>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT id AS "id: RefundIntentId" FROM refund_intent WHERE payment_session_id = $1 AND status = 'PENDING'"#,
        session.0,
    )
    .fetch_optional(connection)
    .await
}

/// Pending intents without a live job, and refunds the bank has not confirmed for an hour.
pub async fn list_stranded_refunds(
    connection: &mut PgConnection,
    limit: i64,
) -> Result<Vec<RefundIntentId>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT r.id AS "id: RefundIntentId" FROM refund_intent r
           WHERE (r.status = 'PENDING' AND r.updated_at < now() - interval '15 seconds'
                  OR r.status = 'PENDING_AT_STRIPE' AND r.updated_at < now() - interval '1 hour')
             AND NOT EXISTS (SELECT FROM job j WHERE j.state = 'READY' AND j.unique_key = 'send_refund:' || r.id::text)
           ORDER BY r.updated_at LIMIT $1"#,
        limit,
    )
    .fetch_all(connection)
    .await
}

/// What is left changed. A key that went out with another amount never goes out again.
pub async fn update_amount(
    connection: &mut PgConnection,
    id: RefundIntentId,
    amount: Cents,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        r#"UPDATE refund_intent
           SET amount_cents = $2, key_spent = key_spent OR key_sent_at IS NOT NULL, updated_at = now()
           WHERE id = $1 AND status = 'PENDING'"#,
        id.0,
        amount.0,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// It was made, by us or by hand, over `amount`.
pub async fn update_made(
    connection: &mut PgConnection,
    id: RefundIntentId,
    status: RefundStatus,
    stripe_refund_id: &str,
    amount: Cents,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        r#"UPDATE refund_intent
           SET status = $2, stripe_refund_id = $3, amount_cents = $4, failure_code = NULL, updated_at = now()
           WHERE id = $1"#,
        id.0,
        status as RefundStatus,
        stripe_refund_id,
        amount.0,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// What had been made came back; `code` says what that means. Which one it was is in the audit trail: one that still
/// stands would be taken for the one that is to follow.
pub async fn update_returned(connection: &mut PgConnection, id: RefundIntentId, code: &str) -> Result<(), sqlx::Error> {
    sqlx::query!(
        r#"UPDATE refund_intent SET status = 'FAILED', failure_code = $2, stripe_refund_id = NULL, updated_at = now()
           WHERE id = $1"#,
        id.0,
        code,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// An operator's word: a failed refund is tried again under a new key: at once if the old one was sent once and refused,
/// and after its rest if an earlier sending of it was never answered.
pub async fn update_pending_again(connection: &mut PgConnection, id: RefundIntentId) -> Result<bool, sqlx::Error> {
    let updated = sqlx::query!(
        r#"UPDATE refund_intent
           SET status = 'PENDING', key_number = key_number + CASE WHEN key_sent_again THEN 0 ELSE 1 END,
               key_used_at = CASE WHEN key_sent_again THEN key_used_at END,
               key_sent_at = CASE WHEN key_sent_again THEN key_sent_at END,
               key_spent = key_sent_again, failure_code = NULL, stripe_refund_id = NULL, updated_at = now()
           WHERE id = $1 AND status = 'FAILED'"#,
        id.0,
    )
    .execute(connection)
    .await?;
    Ok(updated.rows_affected() == 1)
}

/// `failure_code` of a refund that nothing was left for: the bank took it.
pub const NOTHING_LEFT: &str = "nothing_left";

/// The bank gave back what it had taken: the refund that nothing was left for is pending again, over `amount`. A key that
/// went out before does not go out again.
pub async fn update_revived(
    connection: &mut PgConnection,
    session: PaymentSessionId,
    amount: Cents,
) -> Result<Option<RefundIntentId>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"UPDATE refund_intent
           SET status = 'PENDING', amount_cents = $2, key_spent = key_spent OR key_sent_at IS NOT NULL, failure_code = NULL,
               stripe_refund_id = NULL, updated_at = now()
           WHERE payment_session_id = $1 AND status = 'FAILED' AND failure_code = $3
           RETURNING id AS "id: RefundIntentId""#,
        session.0,
        amount.0,
        NOTHING_LEFT,
    )
    .fetch_optional(connection)
    .await
}

/// Why Stripe does not make it yet; it stays pending.
pub async fn update_waiting(connection: &mut PgConnection, id: RefundIntentId, code: &str) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "UPDATE refund_intent SET failure_code = $2, updated_at = now() WHERE id = $1 AND status = 'PENDING'",
        id.0,
        code,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Refunds that failed, that wait for a bank's decision, or that Stripe has not been heard of for 15 minutes, and those of
/// a payment of which more is left to be given back than they gave; the oldest first.
pub async fn list_troubled_refunds(connection: &mut PgConnection) -> Result<Vec<RefundIntent>, sqlx::Error> {
    refunds!(
        "SELECT ",
        r#"FROM refund_intent
           CROSS JOIN LATERAL (
               SELECT coalesce(sum(e.amount_cents), 0) AS cents_left,
                      coalesce(sum(e.amount_cents) FILTER (WHERE e.kind = 'transfer_reversal'), 0) AS taken_back
               FROM ledger_entry e
               WHERE e.payment_session_id = refund_intent.payment_session_id
                 AND NOT (e.kind = 'dispute'
                          AND EXISTS (SELECT FROM dispute d
                                      WHERE d.stripe_dispute_id = split_part(e.reference, ':', 1)
                                        AND d.closed_at IS NULL))) remaining
           WHERE status = 'FAILED' AND failure_code IS DISTINCT FROM $2
                 AND (failure_code IS DISTINCT FROM $1 OR cents_left > 0)
              OR status = 'SUCCEEDED' AND cents_left > taken_back
              OR status = 'PENDING'
                 AND (created_at < now() - interval '15 minutes' OR failure_code IS NOT NULL
                      OR EXISTS (SELECT FROM dispute d JOIN payment_session s ON s.stripe_charge_id = d.stripe_charge_id
                                 WHERE s.id = refund_intent.payment_session_id AND d.closed_at IS NULL
                                   AND d.status NOT LIKE 'warning%'))
           ORDER BY created_at"#,
        NOTHING_LEFT,
        CAME_BACK
    )
    .fetch_all(connection)
    .await
}
