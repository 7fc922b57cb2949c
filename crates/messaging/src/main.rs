//! `freehunt-messaging`: the Socket.IO server.

use std::{process::ExitCode, time::Duration};

use anyhow::{Context, ensure};
use clap::{Parser, Subcommand};
use freehunt_config::{HttpConfig, LogConfig, LogFormat, MessagingConfig, Source};
use freehunt_domain::time::Clock;
use freehunt_messaging::{asyncapi, build, metrics, serve};
use tracing_subscriber::{EnvFilter, fmt, layer::SubscriberExt, util::SubscriberInitExt};

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
    /// Ask the running server on this machine whether it is ready
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
        Command::Healthcheck => check_health().await,
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
    start_logging(&config.log);
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    if config.redis_url.is_some() {
        tracing::warn!("REDIS_URL is set but not used: PostgreSQL spreads messages over the replicas");
    }
    if let Some(address) = config.metrics_address {
        metrics::start(address).await?;
    }
    let listener = serve::bind(config.http.bind, config.http.port).await?;
    tracing::info!(address = %listener.local_addr()?, "serving");
    serve::serve(build(config, Clock::system())?, listener, serve::stop_signal()).await
}

/// Structured lines on standard error. No cookie, token or e-mail is ever a field.
fn start_logging(config: &LogConfig) {
    let filter = EnvFilter::try_new(&config.filter).unwrap_or_else(|_| EnvFilter::new("info"));
    let registry = tracing_subscriber::registry().with(filter);
    let _started = match config.format {
        LogFormat::Json => registry.with(fmt::layer().json().with_writer(std::io::stderr)).try_init(),
        LogFormat::Text => registry.with(fmt::layer().with_writer(std::io::stderr)).try_init(),
    };
}

/// What the container's health check runs; there is no shell or curl in the image.
async fn check_health() -> anyhow::Result<()> {
    let port = HttpConfig::port_of(&Source::process(), 3001)?;
    let client = reqwest::Client::builder().timeout(Duration::from_secs(2)).no_proxy().build()?;
    let url = format!("http://127.0.0.1:{port}/health/ready");
    let response = client.get(&url).send().await.with_context(|| format!("nothing answers on port {port}"))?;
    ensure!(response.status().is_success(), "not ready: {}", response.status());
    Ok(())
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
