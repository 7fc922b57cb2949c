//! What a company is asked to pay, and that it is asked once: one open session a posting.

use chrono::{DateTime, Utc};
use serde_json::json;
use sqlx::{PgConnection, PgPool};

use super::{
    model::{PaymentSession, SESSION_LIFETIME, SessionStatus},
    queries::sessions::{self, NewSession},
};
use crate::{
    Cents,
    audit::{self, AuditActor, AuditRecord},
    checkpoints::{Checkpoint, CheckpointStatus, queries::list_checkpoints},
    ids::{JobId, JobPostingId, UserId},
    job_postings::{JobPosting, JobPostingStatus, queries::lock_job_posting},
    jobs::{Job, enqueue},
    money::{MAXIMUM_CENTS, MINIMUM_CHARGE_CENTS, TransferFees},
};

/// What the client and the configuration add to the posting.
#[derive(Clone, Debug)]
pub struct CheckoutTerms<'a> {
    pub job_posting_id: JobPostingId,
    pub payer: UserId,
    pub customer_email: &'a str,
    /// Checked to lead to the frontend already.
    pub success_url: &'a str,
    pub cancel_url: &'a str,
    pub live_mode: bool,
    pub now: DateTime<Utc>,
}

/// How the request goes on.
#[derive(Clone, Debug)]
pub enum Checkout {
    /// The open session, which can still be paid for a while.
    Open(PaymentSession),
    /// Run the job, then read the session.
    Creating(PaymentSession, JobId),
    /// The open session is (nearly) over: run the job, then begin anew.
    Replacing(JobId),
}

#[derive(Debug, thiserror::Error)]
pub enum BeginCheckoutError {
    #[error("the posting does not exist")]
    NotFound,
    #[error("the posting does not await a payment")]
    NotPending,
    #[error("a payment is on record")]
    AlreadyPaid,
    /// An operator has to look at it first.
    #[error("a payment was set aside")]
    SetAside,
    #[error("the posting has no checkpoints")]
    NoCheckpoints,
    #[error("the checkpoints do not add up to the total")]
    TotalDiffers,
    #[error("a checkpoint is too small to be paid out")]
    CheckpointTooSmall,
    #[error("the amount is below the provider's minimum")]
    TooSmall,
    #[error("the amount is above the maximum")]
    TooLarge,
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// Finds the session to be paid, or records that one is to be made and enqueues its making.
pub async fn begin_checkout(pool: &PgPool, terms: &CheckoutTerms<'_>) -> Result<Checkout, BeginCheckoutError> {
    let mut transaction = pool.begin().await?;
    let posting =
        lock_job_posting(&mut transaction, terms.job_posting_id).await?.ok_or(BeginCheckoutError::NotFound)?;
    if posting.status != JobPostingStatus::PendingPayment {
        return Err(BeginCheckoutError::NotPending);
    }
    let recorded = sessions::list_sessions(&mut transaction, posting.id).await?;
    // What was given back does not count: the posting awaits a payment again.
    if recorded.iter().any(|session| session.status.holds_money()) {
        return Err(BeginCheckoutError::AlreadyPaid);
    }
    let amount = amount_to_pay(&posting, &list_checkpoints(&mut transaction, posting.id).await?)?;
    let live = recorded.into_iter().find(|session| session.status.is_live());
    let checkout = match live {
        Some(session) if session.quarantine.is_some() => return Err(BeginCheckoutError::SetAside),
        Some(session) if session.status == SessionStatus::Creating => {
            let job = Job::CreateCheckout { payment_session_id: session.id };
            let job = enqueue(&mut transaction, &job).await?;
            Checkout::Creating(session, job)
        }
        Some(session) if session.is_payable(amount, terms.now) => return Ok(Checkout::Open(session)),
        Some(session) => {
            let job = Job::ExpireCheckout { payment_session_id: session.id };
            Checkout::Replacing(enqueue(&mut transaction, &job).await?)
        }
        None => create(&mut transaction, &posting, amount, terms).await?,
    };
    transaction.commit().await?;
    Ok(checkout)
}

/// The price in cents, which is the sum of what will be paid out before fees.
fn amount_to_pay(posting: &JobPosting, checkpoints: &[Checkpoint]) -> Result<Cents, BeginCheckoutError> {
    let to_pay: Vec<Cents> = checkpoints
        .iter()
        .filter(|checkpoint| checkpoint.status != CheckpointStatus::Canceled)
        .map(Checkpoint::cents)
        .collect();
    if to_pay.is_empty() {
        return Err(BeginCheckoutError::NoCheckpoints);
    }
    let total: Cents = to_pay.iter().copied().sum();
    if posting.total() != Some(total) {
        return Err(BeginCheckoutError::TotalDiffers);
    }
    if total.0 < MINIMUM_CHARGE_CENTS {
        return Err(BeginCheckoutError::TooSmall);
    }
    if total.0 > MAXIMUM_CENTS {
        return Err(BeginCheckoutError::TooLarge);
    }
    if to_pay.iter().any(|amount| TransferFees::of(*amount).net.0 <= 0) {
        return Err(BeginCheckoutError::CheckpointTooSmall);
    }
    Ok(total)
}

async fn create(
    connection: &mut PgConnection,
    posting: &JobPosting,
    amount: Cents,
    terms: &CheckoutTerms<'_>,
) -> Result<Checkout, BeginCheckoutError> {
    let new = NewSession {
        job_posting_id: posting.id,
        company_id: posting.company_id,
        amount_subtotal: amount,
        live_mode: terms.live_mode,
        title: &format!("Publication d'annonce: {}", posting.title),
        customer_email: terms.customer_email,
        success_url: terms.success_url,
        cancel_url: terms.cancel_url,
        expires_at: terms.now + SESSION_LIFETIME,
    };
    let session = sessions::insert_session(connection, &new).await?;
    let job = enqueue(connection, &Job::CreateCheckout { payment_session_id: session.id }).await?;
    let record = AuditRecord {
        actor: AuditActor::User(terms.payer),
        table: "JobPosting",
        action: "begin_checkout",
        subject_id: Some(posting.id.to_string()),
        client_address: None,
        details: Some(json!({ "paymentSession": session.id, "amountCents": amount.0 })),
    };
    audit::record(connection, &record).await?;
    Ok(Checkout::Creating(session, job))
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use uuid::Uuid;

    use super::*;
    use crate::{
        Timestamp,
        ids::{CheckpointId, CompanyId},
        job_postings::JobPostingLocation,
    };

    fn time() -> Timestamp {
        Timestamp(DateTime::UNIX_EPOCH.naive_utc())
    }

    fn posting(total: f64) -> JobPosting {
        JobPosting {
            id: JobPostingId(Uuid::nil()),
            company_id: CompanyId(Uuid::nil()),
            title: String::new(),
            description: String::new(),
            location: JobPostingLocation::Remote,
            is_promoted: false,
            average_daily_rate: 400.0,
            seniority: 1,
            total_amount: Some(total),
            status: JobPostingStatus::PendingPayment,
            stripe_session_id: None,
            stripe_refund_id: None,
            canceled_at: None,
            cancel_reason: None,
            created_at: time(),
            updated_at: time(),
        }
    }

    fn checkpoints(amounts: &[f64]) -> Vec<Checkpoint> {
        let checkpoint = |amount: &f64| Checkpoint {
            id: CheckpointId(Uuid::nil()),
            name: String::new(),
            description: String::new(),
            amount: *amount,
            date: time(),
            status: CheckpointStatus::Todo,
            submitted_at: None,
            validated_at: None,
            submitted_by: None,
            validated_by: None,
            job_posting_id: JobPostingId(Uuid::nil()),
            created_at: time(),
            updated_at: time(),
        };
        amounts.iter().map(checkpoint).collect()
    }

    fn amount(total: f64, amounts: &[f64]) -> Result<i64, String> {
        amount_to_pay(&posting(total), &checkpoints(amounts)).map(|cents| cents.0).map_err(|error| error.to_string())
    }

    /// Fault cases 98 and 99.
    #[test]
    fn amounts_are_exact_cents() {
        assert_eq!(amount(19.99, &[19.99]), Ok(1999));
        assert_eq!(amount(0.7, &[0.3, 0.4]), Ok(70));
        assert_eq!(amount(0.1 + 0.2 + 0.5, &[0.3, 0.5]), Ok(80));
        assert_eq!(amount(999.99, &[333.33, 333.33, 333.33]), Ok(99_999));
        for (total, amounts) in
            [(0.49, vec![0.49]), (1e6, vec![1e6]), (10.0, vec![9.99]), (10.0, vec![]), (1.0, vec![0.26, 0.74])]
        {
            assert!(amount(total, &amounts).is_err(), "{total} {amounts:?}");
        }
    }
}
