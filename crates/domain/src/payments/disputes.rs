//! A customer's bank takes the money back, perhaps: nothing is paid out of it until that is settled. Once it is, what
//! the bank did not take is the payment's again, and goes on as if nothing had been; so does what it gives back later.

use serde_json::json;
use sqlx::{PgConnection, PgPool, Postgres, Transaction};

use super::{
    model::{DisputeFacts, LOST, PaymentSession, RefundReason, SessionStatus},
    queries::{
        disputes::{claim_disputes, find_dispute, is_money_held, list_disputes_of_charge, lock_charge, upsert_dispute},
        ledger::{Entry, EntryKind, find_booked_dispute, insert_entry, sum_left},
        projects::is_project_canceled,
        refunds::{find_pending_refund, update_revived},
        sessions::{find_session_of_charge, lock_session, update_status},
        transfers::list_pending_transfers,
    },
    refunds::begin_refund,
};
use crate::{
    Cents,
    audit::{self, AuditActor, AuditRecord},
    ids::RefundIntentId,
    job_postings::{JobPosting, JobPostingStatus, queries::lock_job_posting},
    jobs::{Job, enqueue},
};

/// What came of a telling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedDispute {
    /// `false` when the charge is not ours (yet): the payment that it turns out to be of takes the dispute over.
    pub is_ours: bool,
    /// What is believed now, which need not be what was told.
    pub dispute: DisputeFacts,
}

/// Enters what is said of a dispute.
pub async fn record_dispute(pool: &PgPool, told: &DisputeFacts) -> Result<RecordedDispute, sqlx::Error> {
    loop {
        let mut transaction = pool.begin().await?;
        if let Some(found) = find_session_of_charge(&mut transaction, &told.charge).await? {
            return enter(transaction, &found, told).await;
        }
        // The payment may be committing just now: either it sees this row, or its own is seen here. The posting's lock is
        // not waited for while this one is held; with it the payment goes the other way round.
        lock_charge(&mut transaction, &told.charge).await?;
        if find_session_of_charge(&mut transaction, &told.charge).await?.is_none() {
            let known = find_dispute(&mut transaction, &told.id).await?;
            let dispute = believed(known.as_ref(), told);
            upsert_dispute(&mut transaction, &dispute, None).await?;
            transaction.commit().await?;
            return Ok(RecordedDispute { is_ours: false, dispute });
        }
    }
}

fn believed(known: Option<&DisputeFacts>, told: &DisputeFacts) -> DisputeFacts {
    known.map_or_else(|| told.clone(), |known| known.clone().after(told.clone()))
}

async fn enter(
    mut transaction: Transaction<'_, Postgres>,
    found: &PaymentSession,
    told: &DisputeFacts,
) -> Result<RecordedDispute, sqlx::Error> {
    let posting = lock_job_posting(&mut transaction, found.job_posting_id).await?;
    let session = lock_session(&mut transaction, found.id).await?.ok_or(sqlx::Error::RowNotFound)?;
    lock_charge(&mut transaction, &told.charge).await?;
    let known = find_dispute(&mut transaction, &told.id).await?;
    let dispute = believed(known.as_ref(), told);
    upsert_dispute(&mut transaction, &dispute, Some(session.job_posting_id)).await?;
    book_dispute(&mut transaction, &session, &dispute).await?;
    let is_open = settle_status(&mut transaction, &session).await?;
    let lost_before = known.as_ref().map_or(Cents(0), DisputeFacts::lost);
    let owed = if dispute.lost() < lost_before {
        refund_what_came_back(&mut transaction, posting.as_ref(), &session).await?
    } else {
        None
    };
    wake(&mut transaction, &session, is_open).await?;
    let is_news = known.is_none_or(|known| DisputeFacts { looked_at: dispute.looked_at, ..known } != dispute);
    if is_news || told.closed_by.is_some() {
        audit_dispute(&mut transaction, &session, told, &dispute, owed).await?;
    }
    transaction.commit().await?;
    Ok(RecordedDispute { is_ours: true, dispute })
}

async fn audit_dispute(
    connection: &mut PgConnection,
    session: &PaymentSession,
    told: &DisputeFacts,
    believed: &DisputeFacts,
    refund: Option<RefundIntentId>,
) -> Result<(), sqlx::Error> {
    let record = AuditRecord {
        actor: if told.closed_by.is_some() { AuditActor::Operator } else { AuditActor::Stripe },
        table: "JobPosting",
        action: "dispute",
        subject_id: Some(session.job_posting_id.to_string()),
        client_address: None,
        details: Some(json!({
            "dispute": told.id, "status": told.status, "amountCents": told.amount.0, "operator": told.closed_by,
            "believed": believed.status, "refundIntent": refund,
        })),
    };
    audit::record(connection, &record).await
}

/// The bank gave back what it had taken for good. A refund that nothing was left for is asked for after all, and one is
/// decided for a posting or project that was given up when there was nothing to refund.
async fn refund_what_came_back(
    connection: &mut PgConnection,
    posting: Option<&JobPosting>,
    session: &PaymentSession,
) -> Result<Option<RefundIntentId>, sqlx::Error> {
    let left = sum_left(connection, session.id).await?;
    if left.0 <= 0 {
        return Ok(None);
    }
    if let Some(revived) = update_revived(connection, session.id, left).await? {
        enqueue(connection, &Job::SendRefund { refund_intent_id: revived }).await?;
        return Ok(Some(revived));
    }
    let Some(payment_intent) = session.stripe_payment_intent_id.as_deref() else { return Ok(None) };
    let reason = if posting.is_some_and(|posting| posting.status == JobPostingStatus::Canceled) {
        RefundReason::Canceled
    } else if is_project_canceled(connection, session.job_posting_id).await? {
        RefundReason::ProjectCanceled
    } else {
        return Ok(None);
    };
    let begun = begin_refund(connection, session.id, session.job_posting_id, payment_intent, left, reason).await?;
    Ok(begun.map(|intent| intent.id))
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
    Ok(disputes.iter().map(DisputeFacts::lost).sum())
}

/// Books the difference between what is booked of the dispute and what it takes.
async fn book_dispute(
    connection: &mut PgConnection,
    session: &PaymentSession,
    dispute: &DisputeFacts,
) -> Result<(), sqlx::Error> {
    let booked = find_booked_dispute(connection, &dispute.id).await?;
    let taken = Cents(-dispute.taken().0);
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

/// What waited for the end of a dispute goes on: with what is left, or it ends. A refund waits only while the bank holds
/// the money.
async fn wake(connection: &mut PgConnection, session: &PaymentSession, is_open: bool) -> Result<(), sqlx::Error> {
    if !is_open {
        for transfer in list_pending_transfers(connection, session.job_posting_id).await? {
            enqueue(connection, &Job::SendTransfer { transfer_intent_id: transfer }).await?;
        }
    }
    if !is_money_held(connection, session.id).await?
        && let Some(refund) = find_pending_refund(connection, session.id).await?
    {
        enqueue(connection, &Job::SendRefund { refund_intent_id: refund }).await?;
    }
    Ok(())
}

/// An operator's word on a dispute whose end Stripe cannot be asked about any more. It holds until Stripe tells another,
/// which may come in between: what is believed then is returned. `None` when no such dispute is open.
pub async fn close_dispute(
    pool: &PgPool,
    id: &str,
    is_won: bool,
    operator: &str,
) -> Result<Option<DisputeFacts>, sqlx::Error> {
    let known = find_dispute(&mut *pool.acquire().await?, id).await?;
    let Some(dispute) = known.filter(|dispute| !dispute.is_closed) else { return Ok(None) };
    let status = if is_won { "won" } else { LOST }.to_owned();
    let word = DisputeFacts { status, is_closed: true, closed_by: Some(operator.to_owned()), ..dispute };
    Ok(Some(record_dispute(pool, &word).await?.dispute))
}
