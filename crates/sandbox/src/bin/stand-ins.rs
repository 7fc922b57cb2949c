//! The stand-ins for Authentik, S3 and Stripe alone, for the test of the Swarm stack, where the servers are containers
//! of their own; and a page in the place of the frontend. It knows no database.

use std::{net::SocketAddr, path::PathBuf, process::ExitCode};

use anyhow::Context;
use axum::{Router, http::Uri};
use clap::Parser;
use freehunt_sandbox::{
    authentik::{AuthentikStandIn, AuthentikStandInSettings},
    s3::{S3StandIn, S3StandInSettings},
    stripe::{StripeStandIn, StripeStandInSettings},
};
use tokio::net::TcpListener;

/// Serves stand-ins for what FreeHunt's servers call, until SIGTERM or Ctrl-C
#[derive(Parser)]
#[command(name = "stand-ins", version)]
struct Arguments {
    #[arg(long, default_value = "0.0.0.0:9000")]
    authentik: SocketAddr,
    /// Where browsers reach Authentik, which is also what its tokens name
    #[arg(long, default_value = "http://localhost:9000")]
    authentik_public_url: String,
    #[arg(long, default_value = "0.0.0.0:10000")]
    s3: SocketAddr,
    #[arg(long)]
    s3_access_key: String,
    #[arg(long)]
    s3_secret_key: String,
    /// Further buckets beside that of the avatars
    #[arg(long)]
    bucket: Vec<String>,
    #[arg(long, default_value = "0.0.0.0:12111")]
    stripe: SocketAddr,
    #[arg(long)]
    stripe_key: String,
    #[arg(long)]
    webhook_secret: String,
    #[arg(long)]
    webhook_target: Vec<String>,
    /// Answers every path with the path itself
    #[arg(long, default_value = "0.0.0.0:5173")]
    frontend: SocketAddr,
    /// Ignored: what the program that is stood in for was told
    ignored: Vec<String>,
    /// Where S3's objects are kept
    #[arg(long, default_value = "/tmp/stand-ins")]
    data: PathBuf,
}

#[tokio::main]
#[expect(clippy::print_stderr, reason = "nothing else is written anywhere")]
async fn main() -> ExitCode {
    let _installed = rustls::crypto::ring::default_provider().install_default();
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("stand-ins: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> anyhow::Result<()> {
    drop(arguments.ignored);
    let stop = freehunt_serving::serve::stop_signal();
    let authentik = AuthentikStandInSettings {
        public_url: Some(arguments.authentik_public_url),
        ..AuthentikStandInSettings::default()
    };
    let _authentik = AuthentikStandIn::start(bind(arguments.authentik).await?, authentik).await?;
    let mut buckets = arguments.bucket;
    buckets.push(freehunt_sandbox::s3::PUBLIC_BUCKET.to_owned());
    let s3 = S3StandInSettings {
        root: arguments.data.join("s3"),
        access_key: arguments.s3_access_key,
        secret_key: arguments.s3_secret_key,
        buckets,
    };
    let _s3 = S3StandIn::start(bind(arguments.s3).await?, s3)?;
    let stripe = StripeStandInSettings {
        webhook_secret: arguments.webhook_secret,
        webhook_targets: arguments.webhook_target,
        api_key: arguments.stripe_key,
        ..StripeStandInSettings::default()
    };
    let _stripe = StripeStandIn::start(bind(arguments.stripe).await?, stripe)?;
    let page = Router::new().fallback(async |uri: Uri| format!("frontend: {}", uri.path()));
    axum::serve(bind(arguments.frontend).await?, page)
        .with_graceful_shutdown(stop.cancelled_owned())
        .await
        .context("the frontend's page")
}

async fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| format!("{address} cannot be used"))
}
