//! Statements on `ledger_entry`.

use sqlx::PgConnection;

use crate::{
    Cents,
    ids::{CheckpointId, JobPostingId, PaymentSessionId},
};

/// What moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    Charge,
    Transfer,
    TransferReversal,
    Refund,
    Dispute,
}

impl EntryKind {
    fn name(self) -> &'static str {
        match self {
            Self::Charge => "charge",
            Self::Transfer => "transfer",
            Self::TransferReversal => "transfer_reversal",
            Self::Refund => "refund",
            Self::Dispute => "dispute",
        }
    }
}

/// One booking. Positive amounts came in, negative ones went out.
#[derive(Clone, Debug)]
pub struct Entry<'a> {
    pub kind: EntryKind,
    /// The provider's id, which makes a second booking impossible.
    pub reference: &'a str,
    pub job_posting_id: JobPostingId,
    pub payment_session_id: PaymentSessionId,
    pub checkpoint_id: Option<CheckpointId>,
    pub amount: Cents,
}

/// Books once; `false` when it was booked before.
pub async fn insert_entry(connection: &mut PgConnection, entry: &Entry<'_>) -> Result<bool, sqlx::Error> {
    let inserted = sqlx::query!(
        r#"INSERT INTO ledger_entry (kind, reference, job_posting_id, payment_session_id, checkpoint_id, amount_cents)
           VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (kind, reference) DO NOTHING"#,
        entry.kind.name(),
        entry.reference,
        entry.job_posting_id.0,
        entry.payment_session_id.0,
        entry.checkpoint_id.map(|id| id.0),
        entry.amount.0,
    )
    .execute(connection)
    .await?;
    Ok(inserted.rows_affected() == 1)
}

/// Whether something was booked under this reference.
pub async fn is_booked(connection: &mut PgConnection, kind: EntryKind, reference: &str) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM ledger_entry WHERE kind = $1 AND reference = $2) AS "exists!""#,
        kind.name(),
        reference,
    )
    .fetch_one(connection)
    .await
}

/// What is left of a payment: charged minus transferred, refunded, and lost in disputes, as booked. What an open dispute
/// keeps away counts: nothing moves until it is decided.
pub async fn sum_left(connection: &mut PgConnection, session: PaymentSessionId) -> Result<Cents, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT coalesce(sum(e.amount_cents), 0)::bigint AS "left!: Cents" FROM ledger_entry e
           WHERE e.payment_session_id = $1
             AND NOT (e.kind = 'dispute'
                      AND EXISTS (SELECT FROM dispute d
                                  WHERE d.stripe_dispute_id = split_part(e.reference, ':', 1) AND d.closed_at IS NULL))"#,
        session.0,
    )
    .fetch_one(connection)
    .await
}

/// As [`sum_left`], as if nothing had been lost: what was neither paid out nor given back.
pub async fn sum_kept(connection: &mut PgConnection, session: PaymentSessionId) -> Result<Cents, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT coalesce(sum(amount_cents), 0)::bigint AS "kept!: Cents" FROM ledger_entry
           WHERE payment_session_id = $1 AND kind <> 'dispute'"#,
        session.0,
    )
    .fetch_one(connection)
    .await
}

/// What went back of a payment, as a positive amount.
pub async fn sum_refunded(connection: &mut PgConnection, session: PaymentSessionId) -> Result<Cents, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT coalesce(-sum(amount_cents), 0)::bigint AS "refunded!: Cents" FROM ledger_entry
           WHERE payment_session_id = $1 AND kind = 'refund'"#,
        session.0,
    )
    .fetch_one(connection)
    .await
}

/// What was taken back of a transfer so far; its reversals are booked as `<transfer>:<sum so far>`.
pub async fn sum_reversed(connection: &mut PgConnection, stripe_transfer_id: &str) -> Result<Cents, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT coalesce(sum(amount_cents), 0)::bigint AS "reversed!: Cents" FROM ledger_entry
           WHERE kind = 'transfer_reversal' AND split_part(reference, ':', 1) = $1"#,
        stripe_transfer_id,
    )
    .fetch_one(connection)
    .await
}

/// What is booked of a dispute so far, as `<dispute>` and `<dispute>:<number>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BookedDispute {
    /// Negative when money was taken.
    pub amount: Cents,
    pub entries: i64,
}

pub async fn find_booked_dispute(
    connection: &mut PgConnection,
    stripe_dispute_id: &str,
) -> Result<BookedDispute, sqlx::Error> {
    sqlx::query_as!(
        BookedDispute,
        r#"SELECT coalesce(sum(amount_cents), 0)::bigint AS "amount!: Cents", count(*) AS "entries!" FROM ledger_entry
           WHERE kind = 'dispute' AND split_part(reference, ':', 1) = $1"#,
        stripe_dispute_id,
    )
    .fetch_one(connection)
    .await
}
