//! Statements on `ledger_entry` and `dispute`.

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

/// What is left of a payment: charged minus transferred and refunded, as booked.
pub async fn sum_left(connection: &mut PgConnection, session: PaymentSessionId) -> Result<Cents, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT coalesce(sum(amount_cents), 0)::bigint AS "left!: Cents" FROM ledger_entry
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

/// What Stripe says of a dispute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DisputeFacts {
    pub id: String,
    pub charge: String,
    pub status: String,
    pub amount: Cents,
    pub is_closed: bool,
}

impl DisputeFacts {
    /// Whether it ended without the money being taken; a closed inquiry counts as won.
    pub fn is_won(&self) -> bool {
        self.is_closed && self.status != "lost"
    }
}

/// Records the dispute; events may come in any order, and a closed dispute stays closed.
pub async fn upsert_dispute(
    connection: &mut PgConnection,
    dispute: &DisputeFacts,
    job_posting_id: Option<JobPostingId>,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        r#"INSERT INTO dispute (stripe_dispute_id, stripe_charge_id, job_posting_id, status, amount_cents, closed_at)
           VALUES ($1, $2, $3, $4, $5, CASE WHEN $6 THEN now() END)
           ON CONFLICT (stripe_dispute_id) DO UPDATE
           SET job_posting_id = coalesce(dispute.job_posting_id, excluded.job_posting_id),
               status = CASE WHEN dispute.closed_at IS NULL THEN excluded.status ELSE dispute.status END,
               closed_at = coalesce(dispute.closed_at, excluded.closed_at)"#,
        dispute.id,
        dispute.charge,
        job_posting_id.map(|id| id.0),
        dispute.status,
        dispute.amount.0,
        dispute.is_closed,
    )
    .execute(connection)
    .await?;
    Ok(())
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

/// Keeps others from recording the charge or a dispute about it until the transaction ends, so that neither misses the
/// other. Taken after the posting's lock, or without it.
pub async fn lock_charge(connection: &mut PgConnection, charge: &str) -> Result<(), sqlx::Error> {
    sqlx::query!("SELECT pg_advisory_xact_lock(hashtextextended('charge:' || $1, 0))", charge)
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
    sqlx::query_as!(
        DisputeFacts,
        r#"UPDATE dispute SET job_posting_id = $2 WHERE stripe_charge_id = $1 AND job_posting_id IS NULL
           RETURNING stripe_dispute_id AS id, stripe_charge_id AS charge, status, amount_cents AS "amount: Cents",
                     closed_at IS NOT NULL AS "is_closed!""#,
        charge,
        posting.0,
    )
    .fetch_all(connection)
    .await
}

/// Disputes that are not closed, the oldest first.
pub async fn list_open_disputes(connection: &mut PgConnection) -> Result<Vec<DisputeFacts>, sqlx::Error> {
    sqlx::query_as!(
        DisputeFacts,
        r#"SELECT stripe_dispute_id AS id, stripe_charge_id AS charge, status, amount_cents AS "amount: Cents",
                  closed_at IS NOT NULL AS "is_closed!"
           FROM dispute WHERE closed_at IS NULL ORDER BY opened_at"#
    )
    .fetch_all(connection)
    .await
}
