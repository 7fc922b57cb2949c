//! A customer's bank takes the money back, perhaps: nothing is paid out of it until that is settled. Once it is, what
//! the bank did not take is the payment's again, and goes on as if nothing had been.

use serde_json::json;
use sqlx::{PgConnection, PgPool, Postgres, Transaction};

use super::{
    model::{DisputeFacts, LOST, PaymentSession, SessionStatus},
    queries::{
        disputes::{claim_disputes, find_dispute, list_disputes_of_charge, lock_charge, upsert_dispute},
        ledger::{Entry, EntryKind, find_booked_dispute, insert_entry, sum_left},
        refunds::find_pending_refund,
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

/// Enters what is said of a dispute. `false` when the charge is not ours (yet): the payment that it turns out to be of
/// takes the dispute over.
pub async fn record_dispute(pool: &PgPool, dispute: &DisputeFacts) -> Result<bool, sqlx::Error> {
    loop {
        let mut transaction = pool.begin().await?;
        if let Some(found) = find_session_of_charge(&mut transaction, &dispute.charge).await? {
            return enter(transaction, &found, dispute).await;
        }
        // The payment may be committing just now: either it sees this row, or its own is seen here. The posting's lock is
        // not waited for while this one is held; with it the payment goes the other way round.
        lock_charge(&mut transaction, &dispute.charge).await?;
        if find_session_of_charge(&mut transaction, &dispute.charge).await?.is_none() {
            let believed = believe(&mut transaction, dispute).await?;
            upsert_dispute(&mut transaction, &believed, None).await?;
            transaction.commit().await?;
            return Ok(false);
        }
    }
}

async fn believe(connection: &mut PgConnection, told: &DisputeFacts) -> Result<DisputeFacts, sqlx::Error> {
    let known = find_dispute(connection, &told.id).await?;
    Ok(known.map_or_else(|| told.clone(), |known| known.after(told.clone())))
}

async fn enter(
    mut transaction: Transaction<'_, Postgres>,
    found: &PaymentSession,
    told: &DisputeFacts,
) -> Result<bool, sqlx::Error> {
    lock_job_posting(&mut transaction, found.job_posting_id).await?;
    let Some(session) = lock_session(&mut transaction, found.id).await? else { return Ok(false) };
    lock_charge(&mut transaction, &told.charge).await?;
    let dispute = believe(&mut transaction, told).await?;
    upsert_dispute(&mut transaction, &dispute, Some(session.job_posting_id)).await?;
    book_dispute(&mut transaction, &session, &dispute).await?;
    if !settle_status(&mut transaction, &session).await? {
        wake(&mut transaction, &session).await?;
    }
    let record = AuditRecord {
        actor: if told.closed_by.is_some() { AuditActor::Operator } else { AuditActor::Stripe },
        table: "JobPosting",
        action: "dispute",
        subject_id: Some(session.job_posting_id.to_string()),
        client_address: None,
        details: Some(json!({
            "dispute": told.id, "status": told.status, "amountCents": told.amount.0, "operator": told.closed_by,
            "believed": dispute.status,
        })),
    };
    audit::record(&mut transaction, &record).await?;
    transaction.commit().await?;
    Ok(true)
}

/// Takes over the disputes that were told before the payment; whether the bank still decides on one. Needs the charge's
/// lock.
pub(super) async fn claim(
    connection: &mut PgConnection,
    session: &PaymentSession,
    charge: &str,
) -> Result<bool, sqlx::Error> {
    let disputes = claim_disputes(connection, charge, session.job_posting_id).await?;
    for dispute in &disputes {
        book_dispute(connection, session, dispute).await?;
    }
    Ok(disputes.iter().any(|dispute| !dispute.is_closed))
}

/// What the bank took of a charge for good.
pub(super) async fn sum_lost(connection: &mut PgConnection, charge: &str) -> Result<Cents, sqlx::Error> {
    let disputes = list_disputes_of_charge(connection, charge).await?;
    Ok(disputes.iter().filter(|dispute| dispute.is_lost()).map(|dispute| dispute.amount).sum())
}

/// Books the difference between what is booked of the dispute and what it takes: its amount, unless it was won.
async fn book_dispute(
    connection: &mut PgConnection,
    session: &PaymentSession,
    dispute: &DisputeFacts,
) -> Result<(), sqlx::Error> {
    let booked = find_booked_dispute(connection, &dispute.id).await?;
    let taken = if dispute.is_won() { Cents(0) } else { Cents(-dispute.amount.0) };
    if booked.amount == taken {
        return Ok(());
    }
    let numbered = format!("{}:{}", dispute.id, booked.entries + 1);
    let entry = Entry {
        kind: EntryKind::Dispute,
        reference: if booked.entries == 0 { &dispute.id } else { &numbered },
        job_posting_id: session.job_posting_id,
        payment_session_id: session.id,
        checkpoint_id: None,
        amount: taken - booked.amount,
    };
    insert_entry(connection, &entry).await?;
    Ok(())
}

/// The status of a session that holds money follows from the disputes about its charge, and from nothing else; whether
/// one of them is open. Needs the posting's and the session's lock.
pub(super) async fn settle_status(
    connection: &mut PgConnection,
    session: &PaymentSession,
) -> Result<bool, sqlx::Error> {
    let Some(charge) = session.stripe_charge_id.as_deref() else { return Ok(false) };
    let disputes = list_disputes_of_charge(connection, charge).await?;
    let is_open = disputes.iter().any(|dispute| !dispute.is_closed);
    let is_gone = disputes.iter().any(DisputeFacts::is_lost) && sum_left(connection, session.id).await?.0 <= 0;
    let status = if is_open || is_gone { SessionStatus::Disputed } else { SessionStatus::Paid };
    if session.status.holds_money() && session.status != status {
        update_status(connection, session.id, status).await?;
    }
    Ok(is_open)
}

/// What waited for the end of a dispute goes on: with what is left, or it ends.
async fn wake(connection: &mut PgConnection, session: &PaymentSession) -> Result<(), sqlx::Error> {
    for transfer in list_pending_transfers(connection, session.job_posting_id).await? {
        enqueue(connection, &Job::SendTransfer { transfer_intent_id: transfer }).await?;
    }
    if let Some(refund) = find_pending_refund(connection, session.id).await? {
        enqueue(connection, &Job::SendRefund { refund_intent_id: refund }).await?;
    }
    Ok(())
}

/// An operator's word on a dispute whose end Stripe cannot be asked about any more. It holds until Stripe tells another.
/// `false` when no such dispute is open.
pub async fn close_dispute(pool: &PgPool, id: &str, is_won: bool, operator: &str) -> Result<bool, sqlx::Error> {
    let known = find_dispute(&mut *pool.acquire().await?, id).await?;
    let Some(dispute) = known.filter(|dispute| !dispute.is_closed) else { return Ok(false) };
    let status = if is_won { "won" } else { LOST }.to_owned();
    let word = DisputeFacts { status, is_closed: true, closed_by: Some(operator.to_owned()), ..dispute };
    record_dispute(pool, &word).await?;
    Ok(true)
}
