//! The sandbox's own settings. What the servers need is made from them.

use std::path::PathBuf;

use clap::Parser;

/// Runs all of FreeHunt on this machine: PostgreSQL, stand-ins for Authentik, S3 and Stripe, both servers, demo data.
#[derive(Clone, Debug, Parser)]
#[command(name = "freehunt-sandbox", version)]
pub struct Arguments {
    /// Start over: removes the data of earlier runs first
    #[arg(long)]
    pub fresh: bool,
    /// Where the data lives between runs
    #[arg(long, default_value = ".sandbox")]
    pub data: PathBuf,
    /// Where the web frontend is served, as the browser has it
    #[arg(long, default_value = "http://localhost:5173")]
    pub frontend_url: String,
    #[arg(long, default_value_t = 3000)]
    pub api_port: u16,
    #[arg(long, default_value_t = 3001)]
    pub messaging_port: u16,
    #[arg(long, default_value_t = 9000)]
    pub authentik_port: u16,
    #[arg(long, default_value_t = 10_000)]
    pub s3_port: u16,
    #[arg(long, default_value_t = 12_111)]
    pub stripe_port: u16,
    /// The folder of PostgreSQL's programs; found by itself when not given
    #[arg(long)]
    pub postgres_binaries: Option<PathBuf>,
    /// How much is logged, as in RUST_LOG
    #[arg(long, default_value = "warn,freehunt_sandbox=info")]
    pub log: String,
}
