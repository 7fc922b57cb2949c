//! `serve`: the server itself.

use freehunt_config::{ApiConfig, Source};
use freehunt_domain::time::Clock;

use super::migrate;
use crate::{build, logging, serve};

pub async fn run() -> anyhow::Result<()> {
    let config = ApiConfig::load(&Source::process())?;
    logging::start(&config.log);
    logging::warn_all(&config.warnings);
    // The port first: a second server on it must not touch the database.
    let listener = serve::bind(config.http.bind, config.http.port).await?;
    let outcome = migrate::bring_up_to_date(&config.database).await?;
    tracing::info!(schema = migrate::describe(outcome), "database ready");
    tracing::info!(address = %listener.local_addr()?, "serving");
    serve::serve(build(config, Clock::system())?, listener, serve::stop_signal()).await
}
