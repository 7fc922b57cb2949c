//! A checkpoint's payment went out, was refused, or was taken back. The checkpoint and, with the last one, the
//! project move in the same transaction (I3, I8, I9).

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::json;
use sqlx::{PgConnection, PgPool};

use super::{
    disputes::settle_status,
    keys::KeyState,
    model::{SessionStatus, TransferIntent, TransferStatus},
    queries::{
        disputes::has_open_dispute,
        keys::find_now,
        ledger::{Entry, EntryKind, insert_entry, sum_reversed},
        projects::{lock_project_of_posting, update_completed_if_done},
        sessions::lock_session,
        transfers::{
            find_transfer, find_transfer_of_stripe, lock_transfer, update_failed, update_key_sent, update_next_key,
            update_reversed, update_succeeded,
        },
    },
    refunds::sum_free,
};
use crate::{
    Cents, Timestamp,
    audit::{self, AuditActor, AuditRecord},
    checkpoints::{
        CheckpointStatus,
        queries::{lock_checkpoint, update_checkpoint_status, update_checkpoint_validated},
    },
    ids::TransferIntentId,
    job_postings::queries::lock_job_posting,
};

/// What is to be done about an approved checkpoint.
#[derive(Clone, Debug)]
pub enum TransferStep {
    /// See whether Stripe has made it; when it has not, see what [`begin_transfer_call`] makes of it. `looked_at` is the
    /// database's time before that look.
    Ask { intent: Box<TransferIntent>, looked_at: DateTime<Utc> },
    /// Nothing.
    Settled,
}

pub async fn next_transfer_step(pool: &PgPool, id: TransferIntentId) -> Result<TransferStep, sqlx::Error> {
    let mut connection = pool.acquire().await?;
    let intent = find_transfer(&mut connection, id).await?;
    let Some(intent) = intent.filter(|intent| intent.status == TransferStatus::Pending) else {
        return Ok(TransferStep::Settled);
    };
    Ok(TransferStep::Ask { intent: Box::new(intent), looked_at: find_now(&mut connection).await? })
}

/// Whether Stripe is asked now.
#[derive(Clone, Debug)]
pub enum TransferCall {
    /// With this intent's key, which is noted as sent.
    Send(Box<TransferIntent>),
    /// What went out with the key may still be carried out for so long.
    Resting(Duration),
    /// A dispute about the money is open: later.
    Frozen,
    /// The payment was refunded or lost since the approval, and Stripe has made nothing of it: nothing may be sent.
    Gone,
    /// Nothing.
    Settled,
}

/// Decides the call, after Stripe was seen to have made nothing at `looked_at`.
pub async fn begin_transfer_call(
    pool: &PgPool,
    id: TransferIntentId,
    looked_at: DateTime<Utc>,
) -> Result<TransferCall, sqlx::Error> {
    let mut transaction = pool.begin().await?;
    let Some(found) = find_transfer(&mut transaction, id).await? else { return Ok(TransferCall::Settled) };
    // The posting's lock keeps a dispute from slipping in between the look and the key.
    lock_job_posting(&mut transaction, found.job_posting_id).await?;
    let Some(intent) = lock_transfer(&mut transaction, id).await? else { return Ok(TransferCall::Settled) };
    if intent.status != TransferStatus::Pending {
        return Ok(TransferCall::Settled);
    }
    if has_open_dispute(&mut transaction, intent.job_posting_id).await? {
        return Ok(TransferCall::Frozen);
    }
    if !is_covered(&mut transaction, &intent).await? {
        return Ok(intent.key_use().rest(looked_at).map_or(TransferCall::Gone, TransferCall::Resting));
    }
    match intent.key_use().state(looked_at) {
        KeyState::Usable => {}
        KeyState::Replaceable => update_next_key(&mut transaction, id, intent.key_number).await?,
        KeyState::Resting(rest) => return Ok(TransferCall::Resting(rest)),
    }
    update_key_sent(&mut transaction, id).await?;
    let intent = find_transfer(&mut transaction, id).await?;
    transaction.commit().await?;
    Ok(intent.map_or(TransferCall::Settled, |intent| TransferCall::Send(Box::new(intent))))
}

/// Whether the payment still holds what was promised of it, this transfer among it: paid, and not refunded by hand or
/// lost in a dispute meanwhile (I2).
async fn is_covered(connection: &mut PgConnection, intent: &TransferIntent) -> Result<bool, sqlx::Error> {
    let Some(session) = lock_session(&mut *connection, intent.payment_session_id).await? else { return Ok(false) };
    Ok(session.status == SessionStatus::Paid && sum_free(connection, session.id).await?.0 >= 0)
}

/// Stripe made the transfer. A second telling of the same one changes nothing.
pub async fn record_transfer_succeeded(
    pool: &PgPool,
    id: TransferIntentId,
    stripe_transfer_id: &str,
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    let mut transaction = pool.begin().await?;
    let Some(intent) = lock_all(&mut transaction, id).await? else { return Ok(()) };
    if matches!(intent.status, TransferStatus::Succeeded | TransferStatus::Reversed) {
        return Ok(());
    }
    update_succeeded(&mut transaction, id, stripe_transfer_id).await?;
    let entry = Entry {
        kind: EntryKind::Transfer,
        reference: stripe_transfer_id,
        job_posting_id: intent.job_posting_id,
        payment_session_id: intent.payment_session_id,
        checkpoint_id: Some(intent.checkpoint_id),
        amount: Cents(-intent.net.0),
    };
    insert_entry(&mut transaction, &entry).await?;
    let validated_at = Timestamp::from_utc(now);
    update_checkpoint_validated(&mut transaction, intent.checkpoint_id, intent.approved_by, validated_at).await?;
    let completed = update_completed_if_done(&mut transaction, intent.job_posting_id).await?;
    let details = json!({ "transfer": stripe_transfer_id, "netCents": intent.net.0, "completedProject": completed });
    audit_transfer(&mut transaction, &intent, "transfer", details).await?;
    transaction.commit().await
}

/// Stripe refused for good: the company may approve again when the reason is gone.
pub async fn record_transfer_failed(pool: &PgPool, id: TransferIntentId, code: &str) -> Result<(), sqlx::Error> {
    let mut transaction = pool.begin().await?;
    let Some(intent) = lock_all(&mut transaction, id).await? else { return Ok(()) };
    if intent.status != TransferStatus::Pending {
        return Ok(());
    }
    update_failed(&mut transaction, id, code).await?;
    let status = CheckpointStatus::PendingCompanyApproval;
    update_checkpoint_status(&mut transaction, intent.checkpoint_id, status).await?;
    audit_transfer(&mut transaction, &intent, "transfer_failed", json!({ "code": code })).await?;
    transaction.commit().await
}

/// An operator took (part of) a transfer back at Stripe. `false` when the transfer is not ours.
pub async fn record_transfer_reversed(
    pool: &PgPool,
    stripe_transfer_id: &str,
    reversed_so_far: Cents,
) -> Result<bool, sqlx::Error> {
    let mut transaction = pool.begin().await?;
    let Some(found) = find_transfer_of_stripe(&mut transaction, stripe_transfer_id).await? else { return Ok(false) };
    let Some(intent) = lock_all(&mut transaction, found.id).await? else { return Ok(false) };
    let newly = reversed_so_far - sum_reversed(&mut transaction, stripe_transfer_id).await?;
    if newly.0 > 0 {
        let entry = Entry {
            kind: EntryKind::TransferReversal,
            reference: &format!("{stripe_transfer_id}:{}", reversed_so_far.0),
            job_posting_id: intent.job_posting_id,
            payment_session_id: intent.payment_session_id,
            checkpoint_id: Some(intent.checkpoint_id),
            amount: newly,
        };
        insert_entry(&mut transaction, &entry).await?;
        audit_transfer(&mut transaction, &intent, "transfer_reversed", json!({ "cents": newly.0 })).await?;
    }
    if reversed_so_far >= intent.net && intent.status == TransferStatus::Succeeded {
        update_reversed(&mut transaction, intent.id).await?;
    }
    // What came back may be all that is left of a payment that a dispute had used up.
    if let Some(session) = lock_session(&mut transaction, intent.payment_session_id).await? {
        settle_status(&mut transaction, &session).await?;
    }
    transaction.commit().await?;
    Ok(true)
}

/// Posting, project, checkpoint, intent: the fixed order.
async fn lock_all(connection: &mut PgConnection, id: TransferIntentId) -> Result<Option<TransferIntent>, sqlx::Error> {
    let Some(found) = find_transfer(connection, id).await? else { return Ok(None) };
    lock_job_posting(connection, found.job_posting_id).await?;
    lock_project_of_posting(connection, found.job_posting_id).await?;
    lock_checkpoint(connection, found.checkpoint_id).await?;
    lock_transfer(connection, id).await
}

async fn audit_transfer(
    connection: &mut PgConnection,
    intent: &TransferIntent,
    action: &str,
    details: serde_json::Value,
) -> Result<(), sqlx::Error> {
    let record = AuditRecord {
        actor: AuditActor::System,
        table: "Checkpoint",
        action,
        subject_id: Some(intent.checkpoint_id.to_string()),
        client_address: None,
        details: Some(details),
    };
    audit::record(connection, &record).await
}
