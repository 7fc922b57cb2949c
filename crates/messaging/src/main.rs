//! `freehunt-messaging`: the Socket.IO server.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use freehunt_config::{MessagingConfig, Source};
use freehunt_domain::{database::Counts, time::Clock};
use freehunt_messaging::{asyncapi, build, metrics, serve};
use freehunt_serving::{
    health, logging,
    metrics::{Recorder, set_connections},
    serve::{bind, stop_signal},
    traces::Traces,
};

/// A handshake takes tens of kilobytes for a moment, and a socket a few for hours: the system's allocator puts the ones into
/// the holes of the others, and a socket then keeps twice of what it needs (measured in docs/performance.md).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Parser)]
#[command(name = "freehunt-messaging", version, about = "FreeHunt's live chat server")]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Serve until SIGTERM or Ctrl-C (the default)
    Serve,
    /// Ask the server on this machine whether it has started and lives
    Healthcheck,
    /// Print the AsyncAPI document of the events as JSON
    Asyncapi,
}

#[tokio::main]
async fn main() -> ExitCode {
    // Every TLS client of the process uses this provider; a second installation changes nothing.
    let _installed = rustls::crypto::ring::default_provider().install_default();
    let result = match Arguments::parse().command.unwrap_or(Command::Serve) {
        Command::Serve => run().await,
        Command::Healthcheck => health::ask(3001).await,
        Command::Asyncapi => print_asyncapi(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&error);
            ExitCode::FAILURE
        }
    }
}

async fn run() -> anyhow::Result<()> {
    let config = MessagingConfig::load(&Source::process())?;
    let endpoint = config.otlp_endpoint.as_ref();
    let traces = endpoint.map(|endpoint| Traces::start(endpoint, "freehunt-messaging")).transpose()?;
    logging::start(&config.log, traces.as_ref());
    logging::warn_all(&config.warnings);
    let listener = bind(config.http.bind, config.http.port)?;
    let recorder = config.metrics_address.map(|address| Recorder::install().map(|it| (it, address))).transpose()?;
    let server = build(config, Clock::system())?;
    if let Some((recorder, address)) = recorder {
        metrics::describe();
        let pools = [server.state.pool.clone(), server.state.delivery_pool.clone()];
        recorder.serve(address, move || set_connections(&pools.each_ref().map(Counts::of))).await?;
    }
    tracing::info!(address = %listener.local_addr()?, "serving");
    let served = serve::serve(server, listener, stop_signal()).await;
    if let Some(traces) = traces {
        traces.finish().await;
    }
    served
}

#[expect(clippy::print_stdout, reason = "what the user asked for")]
fn print_asyncapi() -> anyhow::Result<()> {
    println!("{}", serde_json::to_string_pretty(&asyncapi::document())?);
    Ok(())
}

/// One clear line for each problem.
#[expect(clippy::print_stderr, reason = "logging may not have started")]
fn complain(error: &anyhow::Error) {
    eprintln!("freehunt-messaging: {error:#}");
}
