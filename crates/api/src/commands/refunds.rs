//! `refunds`: those that failed, wait or hang, why, and another attempt.

use anyhow::{Context, ensure};
use clap::{Args, Subcommand};
use freehunt_domain::{
    ids::RefundIntentId,
    payments::{
        RefundIntent,
        queries::{
            disputes::is_money_held,
            ledger::sum_left,
            refunds::{find_refund, list_troubled_refunds},
        },
        retry_refund,
    },
};
use serde_json::{Value, json};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{connect, database_config, pool, print, state};

#[derive(Args)]
pub struct RefundsArguments {
    #[command(subcommand)]
    action: Option<RefundsAction>,
}

#[derive(Subcommand)]
enum RefundsAction {
    /// Refunds that failed, that a bank holds up, or that Stripe has not answered for 15 minutes, and those of a payment
    /// of which more is left than they gave back (the default)
    List,
    /// A refund, and what Stripe knows to be refunded of its payment
    Explain { id: Uuid },
    /// Ask Stripe again for a refund that failed, as far as anything is left to give back
    Retry {
        id: Uuid,
        /// Who decides it, for the audit trail
        #[arg(long)]
        operator: String,
    },
}

/// One JSON object a line.
pub async fn run(arguments: RefundsArguments) -> anyhow::Result<()> {
    match arguments.action.unwrap_or(RefundsAction::List) {
        RefundsAction::List => {
            let mut connection = connect(&database_config()?).await?;
            for refund in list_troubled_refunds(&mut connection).await? {
                print(&Ok(describe(&mut connection, &refund).await?.to_string()))?;
            }
            Ok(())
        }
        RefundsAction::Explain { id } => explain(id.into()).await,
        RefundsAction::Retry { id, operator } => {
            let asked = retry_refund(&pool(&database_config()?), id.into(), &operator).await?;
            ensure!(asked, "refund {id} has not failed, its payment goes on, or nothing is left to give back");
            print(&Ok(format!("refund {id} is due now; a running server makes it")))
        }
    }
}

async fn explain(id: RefundIntentId) -> anyhow::Result<()> {
    let state = state()?;
    let mut connection = state.pool.acquire().await?;
    let refund = find_refund(&mut connection, id).await?.with_context(|| format!("there is no refund {id}"))?;
    let made = state.stripe.list_refunds(&refund.stripe_payment_intent_id).await?;
    let made = made.iter().map(|made| json!({ "id": made.id, "cents": made.amount_cents, "status": made.status }));
    let mut told = describe(&mut connection, &refund).await?;
    told["atStripe"] = made.collect();
    print(&serde_json::to_string_pretty(&told).map_err(Into::into))
}

async fn describe(connection: &mut PgConnection, refund: &RefundIntent) -> Result<Value, sqlx::Error> {
    Ok(json!({
        "id": refund.id,
        "jobPostingId": refund.job_posting_id,
        "paymentIntent": refund.stripe_payment_intent_id,
        "cents": refund.amount.0,
        "centsLeft": sum_left(connection, refund.payment_session_id).await?.0,
        "reason": refund.reason.name(),
        "status": format!("{:?}", refund.status),
        "failureCode": refund.failure_code,
        "bankHolds": is_money_held(connection, refund.payment_session_id).await?,
        "refundId": refund.stripe_refund_id,
    }))
}
