//! `disputes`: open ones, which freeze a posting's transfers, and their end when Stripe's event of it never came.

use anyhow::ensure;
use clap::{Args, Subcommand, ValueEnum};
use freehunt_domain::payments::{close_dispute, queries::ledger::list_open_disputes};
use serde_json::json;

use super::{connect, database_config, pool, print};

#[derive(Args)]
pub struct DisputesArguments {
    #[command(subcommand)]
    action: Option<DisputesAction>,
}

#[derive(Subcommand)]
enum DisputesAction {
    /// Open disputes (the default)
    List,
    /// Enter how a dispute ended, as Stripe's dashboard shows it; a won one frees the transfers
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
    let config = database_config()?;
    match arguments.action.unwrap_or(DisputesAction::List) {
        DisputesAction::List => {
            let mut connection = connect(&config).await?;
            for dispute in list_open_disputes(&mut connection).await? {
                let line = json!({
                    "id": dispute.id, "charge": dispute.charge, "status": dispute.status, "cents": dispute.amount.0,
                });
                print(&Ok(line.to_string()))?;
            }
            Ok(())
        }
        DisputesAction::Close { id, outcome, operator } => {
            let closed = close_dispute(&pool(&config), &id, outcome == Outcome::Won, &operator).await?;
            ensure!(closed, "no dispute {id} is open");
            print(&Ok(format!("dispute {id} is closed")))
        }
    }
}
