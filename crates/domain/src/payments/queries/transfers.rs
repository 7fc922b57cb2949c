//! Statements on `transfer_intent`.

use sqlx::PgConnection;

use super::{
    super::model::{TransferIntent, TransferStatus},
    keys::key_statements,
};
use crate::{
    Cents,
    ids::{CheckpointId, FreelanceId, JobPostingId, PaymentSessionId, TransferIntentId, UserId},
    money::TransferFees,
};

key_statements!("transfer_intent", TransferIntentId);

/// A statement that yields whole rows of `transfer_intent`: a head, the columns, a tail.
macro_rules! transfers {
    ($head:literal, $tail:literal $(, $argument:expr)*) => {
        sqlx::query_as!(
            TransferIntent,
            $head + r#"id AS "id: TransferIntentId", checkpoint_id AS "checkpoint_id: CheckpointId",
                   job_posting_id AS "job_posting_id: JobPostingId",
                   payment_session_id AS "payment_session_id: PaymentSessionId",
                   freelance_id AS "freelance_id: FreelanceId", destination, source_transaction,
                   gross_cents AS "gross: Cents", fee_cents AS "fee: Cents", net_cents AS "net: Cents",
                   status AS "status: TransferStatus", key_number, key_used_at, key_sent_at, key_spent,
                   stripe_transfer_id, failure_code, approved_by AS "approved_by: UserId" "# + $tail
            $(, $argument)*
        )
    };
}

#[derive(Clone, Debug)]
pub struct NewTransfer<'a> {
    pub checkpoint_id: CheckpointId,
    pub job_posting_id: JobPostingId,
    pub payment_session_id: PaymentSessionId,
    pub freelance_id: FreelanceId,
    pub destination: &'a str,
    pub source_transaction: &'a str,
    pub fees: TransferFees,
    pub approved_by: UserId,
}

/// Inserts the checkpoint's one intent, or makes a refused one pending again under a new key: at once if the old one was
/// sent once and refused, and after its rest if an earlier sending of it was never answered.
pub async fn upsert_transfer(
    connection: &mut PgConnection,
    transfer: &NewTransfer<'_>,
) -> Result<TransferIntent, sqlx::Error> {
    transfers!(
        r#"INSERT INTO transfer_intent (checkpoint_id, job_posting_id, payment_session_id, freelance_id, destination,
               source_transaction, gross_cents, fee_cents, net_cents, approved_by)
           VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
           ON CONFLICT (checkpoint_id) DO UPDATE
           SET status = 'PENDING', payment_session_id = excluded.payment_session_id, freelance_id = excluded.freelance_id,
               destination = excluded.destination, source_transaction = excluded.source_transaction,
               gross_cents = excluded.gross_cents, fee_cents = excluded.fee_cents, net_cents = excluded.net_cents,
               key_number = transfer_intent.key_number + CASE WHEN transfer_intent.key_sent_again THEN 0 ELSE 1 END,
               key_used_at = CASE WHEN transfer_intent.key_sent_again THEN transfer_intent.key_used_at END,
               key_sent_at = CASE WHEN transfer_intent.key_sent_again THEN transfer_intent.key_sent_at END,
               key_spent = transfer_intent.key_sent_again,
               failure_code = NULL, approved_by = excluded.approved_by, approved_at = now(), updated_at = now()
           WHERE transfer_intent.status = 'FAILED'
           RETURNING "#,
        "",
        transfer.checkpoint_id.0,
        transfer.job_posting_id.0,
        transfer.payment_session_id.0,
        transfer.freelance_id.0,
        transfer.destination,
        transfer.source_transaction,
        transfer.fees.gross.0,
        transfer.fees.fee.0,
        transfer.fees.net.0,
        transfer.approved_by.0
    )
    .fetch_one(connection)
    .await
}

pub async fn find_transfer(
    connection: &mut PgConnection,
    id: TransferIntentId,
) -> Result<Option<TransferIntent>, sqlx::Error> {
    transfers!("SELECT ", "FROM transfer_intent WHERE id = $1", id.0).fetch_optional(connection).await
}

pub async fn lock_transfer(
    connection: &mut PgConnection,
    id: TransferIntentId,
) -> Result<Option<TransferIntent>, sqlx::Error> {
    transfers!("SELECT ", "FROM transfer_intent WHERE id = $1 FOR UPDATE", id.0).fetch_optional(connection).await
}

pub async fn lock_transfer_of_checkpoint(
    connection: &mut PgConnection,
    checkpoint: CheckpointId,
) -> Result<Option<TransferIntent>, sqlx::Error> {
    transfers!("SELECT ", "FROM transfer_intent WHERE checkpoint_id = $1 FOR UPDATE", checkpoint.0)
        .fetch_optional(connection)
        .await
}

pub async fn find_transfer_of_checkpoint(
    connection: &mut PgConnection,
    checkpoint: CheckpointId,
) -> Result<Option<TransferIntent>, sqlx::Error> {
    transfers!("SELECT ", "FROM transfer_intent WHERE checkpoint_id = $1", checkpoint.0)
        .fetch_optional(connection)
        .await
}

pub async fn find_transfer_of_stripe(
    connection: &mut PgConnection,
    stripe_transfer_id: &str,
) -> Result<Option<TransferIntent>, sqlx::Error> {
    transfers!("SELECT ", "FROM transfer_intent WHERE stripe_transfer_id = $1", stripe_transfer_id)
        .fetch_optional(connection)
        .await
}

/// Every intent of a posting, for the comparison of the books.
pub async fn list_transfers(
    connection: &mut PgConnection,
    job_posting_id: JobPostingId,
) -> Result<Vec<TransferIntent>, sqlx::Error> {
    transfers!("SELECT ", "FROM transfer_intent WHERE job_posting_id = $1 ORDER BY approved_at, id", job_posting_id.0)
        .fetch_all(connection)
        .await
}

/// The postings with transfers, for the comparison of the books.
pub async fn list_transfer_postings(connection: &mut PgConnection) -> Result<Vec<JobPostingId>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT DISTINCT job_posting_id AS "id: JobPostingId" FROM transfer_intent ORDER BY job_posting_id"#
    )
    .fetch_all(connection)
    .await
}

/// Pending intents without a live job.
pub async fn list_stranded_transfers(
    connection: &mut PgConnection,
    limit: i64,
) -> Result<Vec<TransferIntentId>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT t.id AS "id: TransferIntentId" FROM transfer_intent t
           WHERE t.status = 'PENDING' AND t.updated_at < now() - interval '15 seconds'
             AND NOT EXISTS (SELECT FROM job j WHERE j.state = 'READY' AND j.unique_key = 'send_transfer:' || t.id::text)
           ORDER BY t.updated_at LIMIT $1"#,
        limit,
    )
    .fetch_all(connection)
    .await
}

/// The pending intents of a posting, to be sent at once when a dispute ended.
pub async fn list_pending_transfers(
    connection: &mut PgConnection,
    job_posting_id: JobPostingId,
) -> Result<Vec<TransferIntentId>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT id AS "id: TransferIntentId" FROM transfer_intent WHERE job_posting_id = $1 AND status = 'PENDING'"#,
        job_posting_id.0,
    )
    .fetch_all(connection)
    .await
}

/// What was promised or sent out of a payment before fees, as far as it was not taken back.
pub async fn sum_promised_gross(
    connection: &mut PgConnection,
    session: PaymentSessionId,
) -> Result<Cents, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT coalesce(sum(gross_cents), 0)::bigint AS "gross!: Cents"
           FROM transfer_intent WHERE payment_session_id = $1 AND status IN ('PENDING', 'SUCCEEDED')"#,
        session.0,
    )
    .fetch_one(connection)
    .await
}

/// What is promised out of a payment after fees and not booked yet.
pub async fn sum_pending(connection: &mut PgConnection, session: PaymentSessionId) -> Result<Cents, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT coalesce(sum(net_cents), 0)::bigint AS "net!: Cents"
           FROM transfer_intent WHERE payment_session_id = $1 AND status = 'PENDING'"#,
        session.0,
    )
    .fetch_one(connection)
    .await
}

pub async fn update_succeeded(
    connection: &mut PgConnection,
    id: TransferIntentId,
    stripe_transfer_id: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        r#"UPDATE transfer_intent SET status = 'SUCCEEDED', stripe_transfer_id = $2, failure_code = NULL, updated_at = now()
           WHERE id = $1"#,
        id.0,
        stripe_transfer_id,
    )
    .execute(connection)
    .await?;
    Ok(())
}

pub async fn update_reversed(connection: &mut PgConnection, id: TransferIntentId) -> Result<(), sqlx::Error> {
    sqlx::query!("UPDATE transfer_intent SET status = 'REVERSED', updated_at = now() WHERE id = $1", id.0)
        .execute(connection)
        .await?;
    Ok(())
}
