//! `serve`: the server itself.

use freehunt_config::{ApiConfig, Source};
use freehunt_domain::{schema, time::Clock};
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
    let stop = stop_signal();
    let mut connection = tokio::select! {
        connection = migrate::connect_patiently(&config.database, config.database_start_timeout) => connection?,
        () = stop.cancelled() => return Ok(()),
    };
    let outcome = schema::migrate(&mut connection).await?;
    drop(connection);
    tracing::info!(schema = migrate::describe(outcome), "database ready");
    let server = build(config, Clock::system())?;
    if let Some((recorder, address)) = recorder {
        metrics::describe();
        let state = server.state.clone();
        recorder.serve(address, move || metrics::sample(&state)).await?;
    }
    tracing::info!(address = %listener.local_addr()?, "serving");
    let served = serve::serve(server, listener, stop).await;
    if let Some(traces) = traces {
        traces.finish().await;
    }
    served
}
