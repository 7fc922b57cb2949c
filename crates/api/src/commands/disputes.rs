//! `disputes`: open ones, which freeze a posting's transfers, and their end when Stripe's event of it never came.

use clap::{Args, Subcommand, ValueEnum};
use freehunt_domain::payments::queries::disputes::list_open_disputes;
use freehunt_jobs::disputes::{ClosedBy, close};
use serde_json::json;

use super::{connect, database_config, print, state};

#[derive(Args)]
pub struct DisputesArguments {
    #[command(subcommand)]
    action: Option<DisputesAction>,
}

#[derive(Subcommand)]
enum DisputesAction {
    /// Open disputes (the default)
    List,
    /// Enter how a dispute ended, as Stripe says or, when it knows no such dispute, as the outcome says. What was not
    /// lost can be paid out and given back again
    Close {
        /// `dp_…` or `du_…`
        id: String,
        #[arg(long)]
        outcome: Outcome,
        /// Who decides it, for the audit trail
        #[arg(long)]
        operator: String,
    },
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Outcome {
    Won,
    Lost,
}

/// One JSON object a line.
pub async fn run(arguments: DisputesArguments) -> anyhow::Result<()> {
    match arguments.action.unwrap_or(DisputesAction::List) {
        DisputesAction::List => {
            let mut connection = connect(&database_config()?).await?;
            for dispute in list_open_disputes(&mut connection).await? {
                let line = json!({
                    "id": dispute.id, "charge": dispute.charge, "status": dispute.status, "cents": dispute.amount.0,
                });
                print(&Ok(line.to_string()))?;
            }
            Ok(())
        }
        DisputesAction::Close { id, outcome, operator } => {
            let state = state()?;
            let by = close(&state.pool, &state.stripe, &id, outcome == Outcome::Won, &operator).await?;
            let whose = match by {
                ClosedBy::Stripe => "as Stripe says",
                ClosedBy::Operator => "by your word: Stripe knows no such dispute",
            };
            print(&Ok(format!("dispute {id} is closed, {whose}")))
        }
    }
}
