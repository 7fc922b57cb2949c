//! `freehunt-bench`: generated data, load on the release programs, and the limits to compare with.

mod bare;
mod database;
mod generate;
mod limits;
mod load;
mod machine;
mod measure;
mod original;
mod processes;
mod report;
mod scenarios;
mod servers;
mod sessions;
mod soak;
mod sockets;
mod statements;
mod suite;
mod webhooks;

use std::{net::SocketAddr, path::PathBuf, process::ExitCode, time::Duration};

use anyhow::{Context, ensure};
use clap::{Parser, Subcommand};
use sqlx::{Connection, PgConnection};

use crate::{
    database::Database,
    generate::Sizes,
    suite::{Place, RunArguments},
};

#[derive(Parser)]
#[command(name = "freehunt-bench", version, about = "Measures FreeHunt's servers; see docs/performance.md")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Measure everything: about five minutes, with the data of the smallest size
    Run(RunArguments),
    /// The mixed day in six parts, of which the last must be like the first
    Soak {
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        sizes: Sizes,
        /// In all; the wanted hour is 60
        #[arg(long, default_value_t = 1)]
        minutes: u64,
    },
    /// How long webhooks wait for their acknowledgement, fifty at once; fails when the p99 is 20 ms or more
    Webhooks {
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        sizes: Sizes,
        /// Fifties
        #[arg(long, default_value_t = 100)]
        waves: usize,
    },
    /// Compare two results of `run`; fails when something takes more than the threshold allows
    Compare {
        baseline: PathBuf,
        results: PathBuf,
        /// The highest ratio of CPU time or memory that is still fine
        #[arg(long, default_value_t = 1.25)]
        threshold: f64,
    },
    /// Fill an empty database with generated data
    Generate {
        /// `postgres://…` of a superuser; without it, a database of the benchmarks' own PostgreSQL
        #[arg(long)]
        database_url: Option<String>,
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        sizes: Sizes,
    },
    /// Answer everything with the same bytes
    #[command(hide = true)]
    Bare { address: SocketAddr, answer: PathBuf },
}

#[tokio::main]
async fn main() -> ExitCode {
    let _installed = rustls::crypto::ring::default_provider().install_default();
    match run(Arguments::parse().command).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&error);
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stdout, reason = "the results of the commands")]
async fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Run(arguments) => {
            let report = suite::run(&arguments).await?;
            println!("{}", report.markdown());
            if let Some(path) = &arguments.json {
                std::fs::write(path, serde_json::to_string_pretty(&report)? + "\n")?;
            }
            if let Some(path) = &arguments.markdown {
                std::fs::write(path, report.markdown())?;
            }
            ensure!(report.problems.is_empty(), "{}", report.problems.join("; "));
            Ok(())
        }
        Command::Soak { place, sizes, minutes } => {
            let programs = place.find_programs()?;
            let database = Database::start(&place.data, sizes).await?;
            let result = soak::run(&database, &programs, sizes, Duration::from_secs(minutes * 60)).await;
            database.stop().await?;
            result
        }
        Command::Webhooks { place, sizes, waves } => {
            let programs = place.find_programs()?;
            let database = Database::start(&place.data, sizes).await?;
            let result = webhooks::run(&database, &programs, waves.max(1)).await;
            database.stop().await?;
            println!("{}", result?);
            Ok(())
        }
        Command::Compare { baseline, results, threshold } => {
            println!("{}", report::compare(&report::read(&baseline)?, &report::read(&results)?, threshold)?);
            Ok(())
        }
        Command::Generate { database_url: Some(url), sizes, .. } => {
            let mut connection = PgConnection::connect(&url).await.context("the database cannot be reached")?;
            generate::ensure_filled(&mut connection, sizes).await?;
            Ok(connection.close().await?)
        }
        Command::Generate { database_url: None, place, sizes } => {
            let database = Database::start(&place.data, sizes).await?;
            println!("{}", database.url());
            database.stop().await
        }
        Command::Bare { address, answer } => bare::serve(address, &answer).await,
    }
}

#[expect(clippy::print_stderr, reason = "the only place a person looks")]
fn complain(error: &anyhow::Error) {
    eprintln!("freehunt-bench: {error:#}");
}
