//! `payments`: payments that were set aside because they are not what was asked for, and what an operator decides.

use clap::{Args, Subcommand};
use freehunt_domain::payments::quarantine::list_quarantined;
use freehunt_jobs::set_aside::{self, Decision};
use serde_json::json;

use super::{connect, database_config, print, state};

#[derive(Args)]
pub struct PaymentsArguments {
    #[command(subcommand)]
    action: Option<PaymentsAction>,
}

#[derive(Subcommand)]
enum PaymentsAction {
    /// Payments that wait for a decision (the default)
    List,
    /// How Stripe tells the payment now
    Explain {
        /// `cs_…`
        session: String,
    },
    /// Take it for the posting's payment: it has to be over what the posting costs
    Adopt(OnSession),
    /// Give back what is left of it
    Refund(OnSession),
    /// Put it away: nothing was paid, or it went back by hand
    Dismiss(OnSession),
}

#[derive(Args)]
struct OnSession {
    /// `cs_…`
    session: String,
    /// Who decides it, for the audit trail
    #[arg(long)]
    operator: String,
}

impl OnSession {
    fn decision(&self, live_mode: bool) -> Decision<'_> {
        Decision { stripe_session_id: &self.session, operator: &self.operator, live_mode }
    }
}

/// One JSON object a line.
pub async fn run(arguments: PaymentsArguments) -> anyhow::Result<()> {
    match arguments.action.unwrap_or(PaymentsAction::List) {
        PaymentsAction::List => list().await,
        PaymentsAction::Explain { session } => explain(&session).await,
        PaymentsAction::Adopt(on) => {
            let state = state()?;
            let decision = on.decision(state.config.stripe.live_mode);
            let outcome = set_aside::adopt(&state.pool, &state.stripe, decision).await?;
            print(&Ok(format!("{}: {outcome}", on.session)))
        }
        PaymentsAction::Refund(on) => {
            let state = state()?;
            let decision = on.decision(state.config.stripe.live_mode);
            let intent = set_aside::give_back(&state.pool, &state.stripe, decision).await?;
            print(&Ok(format!("{}: a running server makes the refund {intent}", on.session)))
        }
        PaymentsAction::Dismiss(on) => {
            let state = state()?;
            let decision = on.decision(state.config.stripe.live_mode);
            set_aside::dismiss(&state.pool, &state.stripe, decision).await?;
            print(&Ok(format!("{}: put away", on.session)))
        }
    }
}

async fn list() -> anyhow::Result<()> {
    let mut connection = connect(&database_config()?).await?;
    for payment in list_quarantined(&mut connection).await? {
        print(&serde_json::to_string(&payment).map_err(Into::into))?;
    }
    Ok(())
}

async fn explain(session: &str) -> anyhow::Result<()> {
    let state = state()?;
    let mut connection = state.pool.acquire().await?;
    let kept = list_quarantined(&mut connection).await?;
    let why = kept.into_iter().find(|payment| payment.stripe_session_id.as_deref() == Some(session));
    let look = set_aside::look(&state.stripe, session).await?;
    let told = json!({
        "setAside": why,
        "atStripe": {
            "status": look.session.status.as_str(),
            "paymentStatus": look.payment.payment_status,
            "subtotalCents": look.payment.amount_subtotal.map(|cents| cents.0),
            "totalCents": look.payment.amount_total.map(|cents| cents.0),
            "refundedCents": look.refunded_cents(),
            "currency": look.payment.currency,
            "livemode": look.payment.live_mode,
            "paymentIntent": look.payment.payment_intent,
            "jobPostingId": look.payment.named_posting,
        },
    });
    print(&serde_json::to_string_pretty(&told).map_err(Into::into))
}
