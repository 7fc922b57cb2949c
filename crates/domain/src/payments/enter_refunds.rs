//! What Stripe says was refunded of a payment enters the books, each refund once, ours and made by hand alike; what that
//! means for the payment's own refund and its posting follows in the same transaction.

use std::collections::HashSet;

use sqlx::{PgConnection, PgPool};

use super::{
    disputes::settle_status,
    model::{
        PaymentSession, ProviderRefund, ProviderRefundState, RefundIntent, RefundReason, RefundStatus, SessionStatus,
    },
    queries::{
        ledger::{Entry, EntryKind, insert_entry, is_booked, sum_kept, sum_left},
        projects::lock_project_of_posting,
        refunds::{lock_refund_of_session, update_made},
        sessions::{find_session_of_payment_intent, lock_session, update_status},
    },
    refunds::{audit_refund, fit},
    refunds_by_hand::{adopt_refund_by_hand, is_given_up, owe_what_came_back, record_returned, release_payment},
};
use crate::{
    Cents,
    job_postings::{
        JobPosting,
        queries::{lock_job_posting, update_stripe_refund},
    },
};

/// What the books say after Stripe's refunds were entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordedRefunds {
    /// Whether our intent, if any, is settled or on its way.
    pub is_intent_made: bool,
    /// Whether a refund that had gone out, ours or by hand, is known to have failed since just now.
    pub has_failed: bool,
    /// Whether nothing of the payment is left to be refunded.
    pub is_all_refunded: bool,
}

/// Enters everything Stripe says was refunded of a payment, ours and made by hand, each once. `None` when the payment
/// is not ours.
pub async fn record_refunds(
    pool: &PgPool,
    payment_intent: &str,
    refunds: &[ProviderRefund],
) -> Result<Option<RecordedRefunds>, sqlx::Error> {
    let mut transaction = pool.begin().await?;
    let Some(found) = find_session_of_payment_intent(&mut transaction, payment_intent).await? else { return Ok(None) };
    let posting = lock_job_posting(&mut transaction, found.job_posting_id).await?;
    lock_project_of_posting(&mut transaction, found.job_posting_id).await?;
    let Some(session) = lock_session(&mut transaction, found.id).await? else { return Ok(None) };
    let recorded = enter_refunds(&mut transaction, posting.as_ref(), &session, refunds).await?;
    transaction.commit().await?;
    Ok(Some(recorded))
}

/// As [`record_refunds`], in a transaction that holds the posting's and the session's lock.
pub(super) async fn enter_refunds(
    connection: &mut PgConnection,
    posting: Option<&JobPosting>,
    session: &PaymentSession,
    refunds: &[ProviderRefund],
) -> Result<RecordedRefunds, sqlx::Error> {
    let intent = lock_refund_of_session(connection, session.id).await?;
    let entered = book_all(connection, session, refunds).await?;
    let mut recorded = RecordedRefunds {
        is_intent_made: false,
        has_failed: entered.came_back(),
        is_all_refunded: entered.left.0 <= 0,
    };
    // One by hand that came back is as good as none.
    match intent.filter(|intent| !intent.is_void()) {
        Some(intent) => settle_intent(connection, posting, session, intent, &entered, &mut recorded).await?,
        // What the bank took was not given back.
        None if given_back(&entered.refunds).0 > 0 && sum_kept(connection, session.id).await?.0 <= 0 => {
            adopt_refund_by_hand(connection, posting, session, &entered.refunds).await?;
            recorded.is_intent_made = true;
        }
        None if entered.has_money_again() && is_given_up(connection, posting, session).await? => {
            owe_what_came_back(connection, session, entered.left).await?;
        }
        None => {
            settle_status(connection, session).await?;
        }
    }
    Ok(recorded)
}

/// The sum of the refunds that have not failed.
pub(super) fn given_back(refunds: &[ProviderRefund]) -> Cents {
    refunds.iter().filter(|refund| refund.state != ProviderRefundState::Failed).map(|refund| refund.amount).sum()
}

/// Refunds as they stand in the books.
struct Entered {
    refunds: Vec<ProviderRefund>,
    /// The ids of those that are heard of for the first time.
    new: HashSet<String>,
    /// The ids of those whose failure is news.
    failed: HashSet<String>,
    /// What is left of the payment.
    left: Cents,
}

impl Entered {
    /// Whether one that was believed to have gone out has failed since.
    fn came_back(&self) -> bool {
        self.failed.difference(&self.new).next().is_some()
    }

    fn has_money_again(&self) -> bool {
        self.came_back() && self.left.0 > 0
    }

    /// The refund that was made of the intent and has not failed. One that names it and was known before is of an earlier
    /// attempt: it would have been entered as this one's.
    fn made_of(&self, intent: &RefundIntent) -> Option<&ProviderRefund> {
        self.refunds.iter().filter(|refund| refund.state != ProviderRefundState::Failed).find(|refund| {
            is_named_by(intent, refund) || refund.intent == Some(intent.id) && self.new.contains(&refund.id)
        })
    }

    /// Whether what was made of the intent has failed; not an earlier one of its refunds, which every look still shows. One
    /// whose making nobody was told of ends this attempt when its failure is heard of: no other key goes out before that.
    fn has_failed(&self, intent: &RefundIntent) -> bool {
        let is_untold = |refund: &ProviderRefund| {
            intent.stripe_refund_id.is_none() && refund.intent == Some(intent.id) && self.new.contains(&refund.id)
        };
        self.refunds.iter().any(|refund| {
            refund.state == ProviderRefundState::Failed && (is_named_by(intent, refund) || is_untold(refund))
        })
    }

    /// The newest, whoever made it, when nothing is left to be asked for.
    fn made_by_hand(&self) -> Option<&ProviderRefund> {
        self.refunds.iter().find(|refund| self.left.0 <= 0 && refund.state != ProviderRefundState::Failed)
    }
}

fn is_named_by(intent: &RefundIntent, refund: &ProviderRefund) -> bool {
    intent.stripe_refund_id.as_deref() == Some(refund.id.as_str())
}

async fn book_all(
    connection: &mut PgConnection,
    session: &PaymentSession,
    refunds: &[ProviderRefund],
) -> Result<Entered, sqlx::Error> {
    let mut entered = Entered { refunds: Vec::new(), new: HashSet::new(), failed: HashSet::new(), left: Cents(0) };
    for refund in refunds {
        book(connection, session, refund, &mut entered).await?;
    }
    entered.left = sum_left(connection, session.id).await?;
    Ok(entered)
}

/// Each refund takes its amount once; one that failed gives it back once. A failure that is booked is the last word on its
/// refund: what was asked of Stripe before may be entered after it.
async fn book(
    connection: &mut PgConnection,
    session: &PaymentSession,
    refund: &ProviderRefund,
    entered: &mut Entered,
) -> Result<(), sqlx::Error> {
    let mut refund = refund.clone();
    let entry = Entry {
        kind: EntryKind::Refund,
        reference: &refund.id,
        job_posting_id: session.job_posting_id,
        payment_session_id: session.id,
        checkpoint_id: None,
        amount: Cents(-refund.amount.0),
    };
    if insert_entry(connection, &entry).await? {
        entered.new.insert(refund.id.clone());
    }
    let reference = format!("{}:failed", refund.id);
    if refund.state == ProviderRefundState::Failed {
        let failure = Entry { reference: &reference, amount: refund.amount, ..entry };
        if insert_entry(connection, &failure).await? {
            entered.failed.insert(refund.id.clone());
        }
    } else if is_booked(connection, EntryKind::Refund, &reference).await? {
        refund.state = ProviderRefundState::Failed;
    }
    entered.refunds.push(refund);
    Ok(())
}

/// Our own refund is among them, or others made it unnecessary, or leave less to be asked for; or it, or one by hand that
/// it counted on, came back.
async fn settle_intent(
    connection: &mut PgConnection,
    posting: Option<&JobPosting>,
    session: &PaymentSession,
    intent: RefundIntent,
    entered: &Entered,
    recorded: &mut RecordedRefunds,
) -> Result<(), sqlx::Error> {
    let ours = entered.made_of(&intent);
    let made = ours.or_else(|| entered.made_by_hand());
    if let Some(refund) = made {
        recorded.is_intent_made = true;
        let is_one = ours.is_some_and(|refund| refund.intent == Some(intent.id));
        let amount = if is_one { refund.amount } else { given_back(&entered.refunds) };
        record_made(connection, &intent, refund, amount).await?;
    }
    let was_made = made.is_some() || intent.status.is_made();
    let is_dashboard = intent.reason == RefundReason::Dashboard;
    let has_failed = made.is_none() && !is_dashboard && entered.has_failed(&intent);
    if was_made && entered.has_money_again() || has_failed && intent.status != RefundStatus::Failed {
        (recorded.is_intent_made, recorded.has_failed) = (false, true);
        if is_dashboard && !is_given_up(connection, posting, session).await? {
            return release_payment(connection, session, &intent).await;
        }
        return record_returned(connection, &intent).await;
    }
    if made.is_none() && intent.status == RefundStatus::Pending {
        fit(connection, intent).await?;
    }
    Ok(())
}

async fn record_made(
    connection: &mut PgConnection,
    intent: &RefundIntent,
    refund: &ProviderRefund,
    amount: Cents,
) -> Result<(), sqlx::Error> {
    let status = refund.state.intent_status();
    let is_known = intent.stripe_refund_id.as_deref() == Some(refund.id.as_str());
    if is_known && intent.status == RefundStatus::Succeeded && status == RefundStatus::PendingAtStripe {
        // Asked before the bank had confirmed it.
        return Ok(());
    }
    let is_new = intent.status != status || !is_known;
    // The time of the last look is kept in the row.
    update_made(connection, intent.id, status, &refund.id, amount).await?;
    if !is_new {
        return Ok(());
    }
    update_stripe_refund_of_canceled(connection, intent, &refund.id).await?;
    if status == RefundStatus::Succeeded {
        update_status(connection, intent.payment_session_id, SessionStatus::Refunded).await?;
    }
    audit_refund(connection, intent, "refund", &refund.id).await
}

/// The posting carries the refund of the payment that had published it, as the original shows it.
async fn update_stripe_refund_of_canceled(
    connection: &mut PgConnection,
    intent: &RefundIntent,
    refund: &str,
) -> Result<(), sqlx::Error> {
    if intent.reason != RefundReason::DoublePayment {
        update_stripe_refund(connection, intent.job_posting_id, refund).await?;
    }
    Ok(())
}
