//! `cargo run`: the whole platform on one machine.

use std::{
    io::{IsTerminal, Write},
    process::ExitCode,
};

use clap::Parser;
use freehunt_domain::seed::{DEMO_COMPANY, DEMO_FREELANCE};
use freehunt_sandbox::{
    arguments::Arguments,
    platform::{DEMO_PASSWORD, Platform},
};
use tracing_subscriber::EnvFilter;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let filter = EnvFilter::try_new(&arguments.log).unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_target(false)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .init();
    let _installed = rustls::crypto::ring::default_provider().install_default();
    match run(&arguments).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _written = writeln!(std::io::stderr(), "freehunt-sandbox: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &Arguments) -> anyhow::Result<()> {
    // Ctrl-C while starting drops what was started, which stops it.
    let mut platform = tokio::select! {
        platform = Platform::start(arguments, external_database()) => platform?,
        () = interrupted() => return Ok(()),
    };
    writeln!(std::io::stdout(), "{}", summary(arguments))?;
    let failure = tokio::select! {
        error = platform.failed() => Some(error),
        () = interrupted() => None,
    };
    tracing::info!("stopping");
    platform.stop().await?;
    failure.map_or(Ok(()), Err)
}

/// Set, it names the database to use instead of an embedded one.
#[expect(clippy::disallowed_methods, reason = "the sandbox's one setting that the environment shares with the servers")]
fn external_database() -> Option<String> {
    std::env::var("DATABASE_URL").ok().filter(|url| !url.trim().is_empty())
}

/// Ctrl-C, or the signal a process manager sends.
async fn interrupted() {
    freehunt_serving::serve::stop_signal().cancelled().await;
}

fn summary(arguments: &Arguments) -> String {
    let Arguments { api_port, messaging_port, authentik_port, s3_port, stripe_port, frontend_url, .. } = arguments;
    format!(
        "
FreeHunt is running.

  API          http://localhost:{api_port}        documentation at http://localhost:{api_port}/api
  Messaging    http://localhost:{messaging_port}
  Authentik    http://localhost:{authentik_port}        (stand-in)
  S3           http://localhost:{s3_port}       (stand-in, bucket freehunt-avatar)
  Stripe       http://localhost:{stripe_port}       (stand-in)
  Frontend     {frontend_url}        expected there; start it with
               NEXT_PUBLIC_API_URL=http://localhost:{api_port} NEXT_PUBLIC_SOCKET_URL=http://localhost:{messaging_port}

  Demo accounts, password {DEMO_PASSWORD}
    {DEMO_FREELANCE}
    {DEMO_COMPANY}

  Stop with Ctrl-C. The data stays; `cargo run -- --fresh` starts over.
"
    )
}
