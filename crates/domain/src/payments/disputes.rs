//! A customer's bank takes the money back, perhaps: nothing is paid out of it until that is settled.

use serde_json::json;
use sqlx::PgPool;

use super::{
    model::SessionStatus,
    queries::{
        ledger::{DisputeFacts, Entry, EntryKind, has_open_dispute, insert_entry, upsert_dispute},
        sessions::{find_session_of_charge, lock_session, update_status},
        transfers::list_pending_transfers,
    },
};
use crate::{
    Cents,
    audit::{self, AuditActor, AuditRecord},
    job_postings::queries::lock_job_posting,
    jobs::{Job, enqueue},
};

/// Enters what Stripe says of a dispute; a won one frees the money again. `false` when the charge is not ours (yet).
pub async fn record_dispute(pool: &PgPool, dispute: &DisputeFacts) -> Result<bool, sqlx::Error> {
    let mut transaction = pool.begin().await?;
    let Some(found) = find_session_of_charge(&mut transaction, &dispute.charge).await? else {
        upsert_dispute(&mut transaction, dispute, None).await?;
        transaction.commit().await?;
        return Ok(false);
    };
    lock_job_posting(&mut transaction, found.job_posting_id).await?;
    let Some(session) = lock_session(&mut transaction, found.id).await? else { return Ok(false) };
    upsert_dispute(&mut transaction, dispute, Some(session.job_posting_id)).await?;
    let entry = Entry {
        kind: EntryKind::Dispute,
        reference: &dispute.id,
        job_posting_id: session.job_posting_id,
        payment_session_id: session.id,
        checkpoint_id: None,
        amount: Cents(-dispute.amount.0),
    };
    insert_entry(&mut transaction, &entry).await?;
    let is_won = dispute.is_closed && dispute.status != "lost";
    if is_won {
        let reference = format!("{}:won", dispute.id);
        insert_entry(&mut transaction, &Entry { reference: &reference, amount: dispute.amount, ..entry }).await?;
    }
    let is_open = has_open_dispute(&mut transaction, session.job_posting_id).await?;
    match session.status {
        SessionStatus::Paid if is_open || (dispute.is_closed && !is_won) => {
            update_status(&mut transaction, session.id, SessionStatus::Disputed).await?;
        }
        SessionStatus::Disputed if is_won && !is_open => {
            update_status(&mut transaction, session.id, SessionStatus::Paid).await?;
            for transfer in list_pending_transfers(&mut transaction, session.job_posting_id).await? {
                enqueue(&mut transaction, &Job::SendTransfer { transfer_intent_id: transfer }).await?;
            }
        }
        _ => {}
    }
    let record = AuditRecord {
        actor: AuditActor::Stripe,
        table: "JobPosting",
        action: "dispute",
        subject_id: Some(session.job_posting_id.to_string()),
        client_address: None,
        details: Some(json!({ "dispute": dispute.id, "status": dispute.status, "amountCents": dispute.amount.0 })),
    };
    audit::record(&mut transaction, &record).await?;
    transaction.commit().await?;
    Ok(true)
}
