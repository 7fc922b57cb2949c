//! `freehunt-api`: the HTTP API, and the operator's commands.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use freehunt_api::commands;

#[derive(Parser)]
#[command(name = "freehunt-api", version, about = "FreeHunt's HTTP API and the operator's commands")]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Bring the database up to date, then serve until SIGTERM or Ctrl-C (the default)
    Serve,
    /// Bring the database up to date and stop
    Migrate,
    /// Fill an empty database with demo data; refuses any other
    Seed,
    /// Ask the server on this machine whether it has started and lives
    Healthcheck,
    /// Print the OpenAPI document as JSON
    Openapi,
    /// Print every setting with its default, as a Markdown table
    Settings,
    /// Check everything the servers depend on, a line each: ok, or what to do
    Check,
    /// Bind the original's users to their accounts at Authentik
    BindIdentities(commands::bind_identities::BindIdentitiesArguments),
    /// Show, explain and retry what has to happen outside the database
    Jobs(commands::jobs::JobsArguments),
    /// Compare the ledger with Stripe; reports, and moves nothing
    Reconcile,
    /// Show, explain and retry refunds that failed
    Refunds(commands::refunds::RefundsArguments),
    /// Show, explain and decide on payments that were set aside
    Payments(commands::payments::PaymentsArguments),
    /// Show open disputes, and close one whose end was never told
    Disputes(commands::disputes::DisputesArguments),
    /// End a project that will not be finished, and refund what was not paid out
    CancelProject(commands::cancel_project::CancelProjectArguments),
    /// Adopt payout accounts that the original made
    PayoutAccounts(commands::payout_accounts::PayoutAccountsArguments),
    /// Let a candidate be accepted on a posting the original published without a recorded payment
    AllowAcceptance(commands::allow_acceptance::AllowAcceptanceArguments),
    /// Make the avatars' bucket on a server like MinIO
    BootstrapStorage,
    /// Show the audit trail, newest first
    Audit(commands::audit::AuditArguments),
}

#[tokio::main]
async fn main() -> ExitCode {
    // Every TLS client of the process uses this provider; a second installation changes nothing.
    let _installed = rustls::crypto::ring::default_provider().install_default();
    let arguments = Arguments::parse();
    let result = match arguments.command.unwrap_or(Command::Serve) {
        Command::Serve => commands::serve::run().await,
        Command::Migrate => commands::migrate::run().await,
        Command::Seed => commands::seed::run().await,
        Command::Healthcheck => freehunt_serving::health::ask(3000).await,
        Command::Openapi => commands::print(&commands::openapi_json()),
        Command::Settings => commands::print(&Ok(freehunt_config::settings_markdown())),
        Command::Check => commands::check::run().await,
        Command::BindIdentities(arguments) => commands::bind_identities::run(arguments).await,
        Command::Jobs(arguments) => commands::jobs::run(arguments).await,
        Command::Reconcile => commands::reconcile::run().await,
        Command::Refunds(arguments) => commands::refunds::run(arguments).await,
        Command::Payments(arguments) => commands::payments::run(arguments).await,
        Command::Disputes(arguments) => commands::disputes::run(arguments).await,
        Command::CancelProject(arguments) => commands::cancel_project::run(arguments).await,
        Command::PayoutAccounts(arguments) => commands::payout_accounts::run(arguments).await,
        Command::AllowAcceptance(arguments) => commands::allow_acceptance::run(arguments).await,
        Command::BootstrapStorage => commands::bootstrap_storage::run().await,
        Command::Audit(arguments) => commands::audit::run(arguments).await,
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            commands::complain(&error);
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_commands_are_well_formed() {
        super::Arguments::command().debug_assert();
    }
}
