//! A customer's bank takes the money back, perhaps: nothing is paid out of it until that is settled.

use serde_json::json;
use sqlx::{PgConnection, PgPool, Postgres, Transaction};

use super::{
    model::{PaymentSession, SessionStatus},
    queries::{
        ledger::{
            DisputeFacts, Entry, EntryKind, has_open_dispute, insert_entry, list_open_disputes, lock_charge,
            upsert_dispute,
        },
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

/// Enters what Stripe says of a dispute; a won one frees the money again. `false` when the charge is not ours (yet): the
/// payment that it turns out to be of takes the dispute over.
pub async fn record_dispute(pool: &PgPool, dispute: &DisputeFacts) -> Result<bool, sqlx::Error> {
    record(pool, dispute, None).await
}

async fn record(pool: &PgPool, dispute: &DisputeFacts, operator: Option<&str>) -> Result<bool, sqlx::Error> {
    loop {
        let mut transaction = pool.begin().await?;
        if let Some(found) = find_session_of_charge(&mut transaction, &dispute.charge).await? {
            return enter(transaction, &found, dispute, operator).await;
        }
        // The payment may be committing just now: either it sees this row, or its own is seen here. The posting's lock is
        // not waited for while this one is held; with it the payment goes the other way round.
        lock_charge(&mut transaction, &dispute.charge).await?;
        if find_session_of_charge(&mut transaction, &dispute.charge).await?.is_none() {
            upsert_dispute(&mut transaction, dispute, None).await?;
            transaction.commit().await?;
            return Ok(false);
        }
    }
}

/// Books what a dispute takes, and gives it back when it was won; each once.
pub(super) async fn book_dispute(
    connection: &mut PgConnection,
    session: &PaymentSession,
    dispute: &DisputeFacts,
) -> Result<(), sqlx::Error> {
    let entry = Entry {
        kind: EntryKind::Dispute,
        reference: &dispute.id,
        job_posting_id: session.job_posting_id,
        payment_session_id: session.id,
        checkpoint_id: None,
        amount: Cents(-dispute.amount.0),
    };
    insert_entry(connection, &entry).await?;
    if dispute.is_won() {
        let reference = format!("{}:won", dispute.id);
        insert_entry(connection, &Entry { reference: &reference, amount: dispute.amount, ..entry }).await?;
    }
    Ok(())
}

async fn enter(
    mut transaction: Transaction<'_, Postgres>,
    found: &PaymentSession,
    dispute: &DisputeFacts,
    operator: Option<&str>,
) -> Result<bool, sqlx::Error> {
    lock_job_posting(&mut transaction, found.job_posting_id).await?;
    let Some(session) = lock_session(&mut transaction, found.id).await? else { return Ok(false) };
    upsert_dispute(&mut transaction, dispute, Some(session.job_posting_id)).await?;
    book_dispute(&mut transaction, &session, dispute).await?;
    let is_open = has_open_dispute(&mut transaction, session.job_posting_id).await?;
    match session.status {
        SessionStatus::Paid if is_open || (dispute.is_closed && !dispute.is_won()) => {
            update_status(&mut transaction, session.id, SessionStatus::Disputed).await?;
        }
        SessionStatus::Disputed if dispute.is_won() && !is_open => {
            update_status(&mut transaction, session.id, SessionStatus::Paid).await?;
            for transfer in list_pending_transfers(&mut transaction, session.job_posting_id).await? {
                enqueue(&mut transaction, &Job::SendTransfer { transfer_intent_id: transfer }).await?;
            }
        }
        _ => {}
    }
    let record = AuditRecord {
        actor: if operator.is_some() { AuditActor::Operator } else { AuditActor::Stripe },
        table: "JobPosting",
        action: "dispute",
        subject_id: Some(session.job_posting_id.to_string()),
        client_address: None,
        details: Some(json!({
            "dispute": dispute.id, "status": dispute.status, "amountCents": dispute.amount.0, "operator": operator,
        })),
    };
    audit::record(&mut transaction, &record).await?;
    transaction.commit().await?;
    Ok(true)
}

/// An operator's word on a dispute whose end Stripe has not told. `false` when no such dispute is open.
pub async fn close_dispute(pool: &PgPool, id: &str, is_won: bool, operator: &str) -> Result<bool, sqlx::Error> {
    let open = list_open_disputes(&mut *pool.acquire().await?).await?;
    let Some(dispute) = open.into_iter().find(|dispute| dispute.id == id) else { return Ok(false) };
    let status = if is_won { "won" } else { "lost" }.to_owned();
    record(pool, &DisputeFacts { status, is_closed: true, ..dispute }, Some(operator)).await?;
    Ok(true)
}
