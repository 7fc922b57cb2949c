//! Statements on `dispute`.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::super::model::DisputeFacts;
use crate::{
    Cents,
    ids::{JobPostingId, PaymentSessionId},
};

/// A statement that yields whole rows of `dispute`: a head, the columns, a tail.
macro_rules! disputes {
    ($head:literal, $tail:literal $(, $argument:expr)*) => {
        sqlx::query_as!(
            DisputeFacts,
            $head + r#"stripe_dispute_id AS id, stripe_charge_id AS charge, status, amount_cents AS "amount: Cents",
                   closed_at IS NOT NULL AS "is_closed!", closed_by, looked_at "# + $tail
            $(, $argument)*
        )
    };
}

/// Keeps others from recording the charge or a dispute about it until the transaction ends, so that neither misses the
/// other. Taken after the posting's lock, or without it.
pub async fn lock_charge(connection: &mut PgConnection, charge: &str) -> Result<(), sqlx::Error> {
    sqlx::query!("SELECT pg_advisory_xact_lock(hashtextextended('charge:' || $1, 0))", charge)
        .execute(connection)
        .await?;
    Ok(())
}

pub async fn find_dispute(
    connection: &mut PgConnection,
    stripe_dispute_id: &str,
) -> Result<Option<DisputeFacts>, sqlx::Error> {
    disputes!("SELECT ", "FROM dispute WHERE stripe_dispute_id = $1", stripe_dispute_id)
        .fetch_optional(connection)
        .await
}

/// Every dispute about a charge, the oldest first.
pub async fn list_disputes_of_charge(
    connection: &mut PgConnection,
    charge: &str,
) -> Result<Vec<DisputeFacts>, sqlx::Error> {
    disputes!("SELECT ", "FROM dispute WHERE stripe_charge_id = $1 ORDER BY opened_at, stripe_dispute_id", charge)
        .fetch_all(connection)
        .await
}

/// Disputes that are not closed, the oldest first.
pub async fn list_open_disputes(connection: &mut PgConnection) -> Result<Vec<DisputeFacts>, sqlx::Error> {
    disputes!("SELECT ", "FROM dispute WHERE closed_at IS NULL ORDER BY opened_at").fetch_all(connection).await
}

/// Writes the dispute as it is believed now. Needs the charge's lock.
pub async fn upsert_dispute(
    connection: &mut PgConnection,
    dispute: &DisputeFacts,
    job_posting_id: Option<JobPostingId>,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        r#"INSERT INTO dispute (stripe_dispute_id, stripe_charge_id, job_posting_id, status, amount_cents, closed_at,
                                closed_by, looked_at)
           VALUES ($1, $2, $3, $4, $5, CASE WHEN $6 THEN now() END, $7, $8)
           ON CONFLICT (stripe_dispute_id) DO UPDATE
           SET job_posting_id = coalesce(dispute.job_posting_id, excluded.job_posting_id), status = excluded.status,
               amount_cents = excluded.amount_cents, closed_by = excluded.closed_by,
               looked_at = coalesce(excluded.looked_at, dispute.looked_at),
               -- Another end is a new one.
               closed_at = CASE WHEN NOT $6 THEN NULL
                                WHEN dispute.status = excluded.status THEN coalesce(dispute.closed_at, now())
                                ELSE now() END"#,
        dispute.id,
        dispute.charge,
        job_posting_id.map(|id| id.0),
        dispute.status,
        dispute.amount.0,
        dispute.is_closed,
        dispute.closed_by,
        dispute.looked_at,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Binds the disputes that came before the payment was recorded, and returns them.
pub async fn claim_disputes(
    connection: &mut PgConnection,
    charge: &str,
    posting: JobPostingId,
) -> Result<Vec<DisputeFacts>, sqlx::Error> {
    disputes!(
        "UPDATE dispute SET job_posting_id = $2 WHERE stripe_charge_id = $1 AND job_posting_id IS NULL RETURNING ",
        "",
        charge,
        posting.0
    )
    .fetch_all(connection)
    .await
}

/// Whether a dispute about the posting's money is open; it freezes transfers and cancellation.
pub async fn has_open_dispute(connection: &mut PgConnection, posting: JobPostingId) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM dispute WHERE job_posting_id = $1 AND closed_at IS NULL) AS "exists!""#,
        posting.0,
    )
    .fetch_one(connection)
    .await
}

/// Whether the bank holds money of this payment until a dispute is decided. It holds none for an inquiry, whose best end
/// is a refund.
pub async fn is_money_held(connection: &mut PgConnection, session: PaymentSessionId) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM dispute d JOIN payment_session s ON s.stripe_charge_id = d.stripe_charge_id
                          WHERE s.id = $1 AND d.closed_at IS NULL AND d.status NOT LIKE 'warning%') AS "exists!""#,
        session.0,
    )
    .fetch_one(connection)
    .await
}

/// When a dispute about this payment was last seen to end.
pub async fn find_last_end(
    connection: &mut PgConnection,
    session: PaymentSessionId,
) -> Result<Option<DateTime<Utc>>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT max(d.closed_at) AS "ended_at" FROM dispute d
           JOIN payment_session s ON s.stripe_charge_id = d.stripe_charge_id WHERE s.id = $1"#,
        session.0,
    )
    .fetch_one(connection)
    .await
}
