//! `serve`: the server itself.

use freehunt_config::{ApiConfig, Source};
use freehunt_domain::time::Clock;
use freehunt_serving::{
    logging,
    metrics::Recorder,
    serve::{bind, stop_signal},
    traces::Traces,
};

use super::migrate;
use crate::{build, metrics, serve};

pub async fn run() -> anyhow::Result<()> {
    let config = ApiConfig::load(&Source::process())?;
    let traces = config.otlp_endpoint.as_ref().map(|endpoint| Traces::start(endpoint, "freehunt-api")).transpose()?;
    logging::start(&config.log, traces.as_ref());
    logging::warn_all(&config.warnings);
    // The port first: a second server on it must not touch the database.
    let listener = bind(config.http.bind, config.http.port)?;
    let recorder = config.metrics_address.map(|address| Recorder::install().map(|it| (it, address))).transpose()?;
    let outcome = migrate::bring_up_to_date(&config.database).await?;
    tracing::info!(schema = migrate::describe(outcome), "database ready");
    let server = build(config, Clock::system())?;
    if let Some((recorder, address)) = recorder {
        metrics::describe();
        let state = server.state.clone();
        recorder.serve(address, move || metrics::sample(&state)).await?;
    }
    tracing::info!(address = %listener.local_addr()?, "serving");
    let served = serve::serve(server, listener, stop_signal()).await;
    if let Some(traces) = traces {
        traces.finish().await;
    }
    served
}
