//! One scenario against one server: load for a while, and the CPU time that server, PostgreSQL and driver took for it.

use std::{path::Path, sync::Arc, time::Duration};

use anyhow::ensure;
use serde::{Deserialize, Serialize};

use crate::{
    database::Database,
    limits,
    load::{self, Request},
    processes,
    scenarios::{CONNECTIONS, Scenario},
    servers::Server,
    statements,
};

const WARM_UP: Duration = Duration::from_millis(700);

/// What was measured of a scenario. Times are milliseconds of CPU a request, unless they are waiting times.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Figure {
    pub name: String,
    pub connections: usize,
    pub requests: usize,
    pub failures: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    pub requests_a_second: f64,
    /// Waiting times.
    pub p50_ms: f64,
    pub p99_ms: f64,
    pub server_cpu_ms: f64,
    pub postgresql_cpu_ms: f64,
    /// The load generator shares the cores, so its part belongs to the rate.
    pub driver_cpu_ms: f64,
    /// Statements a request, as PostgreSQL logged them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub statements: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub original_cpu_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wanted_cpu_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pgbench: Option<Limit>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bare_handler: Option<Limit>,
}

/// The best that could be: requests a second, and CPU time a request of everything that took part.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Limit {
    pub requests_a_second: f64,
    pub cpu_ms: f64,
}

impl Figure {
    /// Server and PostgreSQL.
    pub fn cpu_ms(&self) -> f64 {
        self.server_cpu_ms + self.postgresql_cpu_ms
    }

    /// Everything that shared the cores.
    fn all_cpu_ms(&self) -> f64 {
        self.cpu_ms() + self.driver_cpu_ms
    }

    /// Rate over the limit's rate.
    pub fn share_of(&self, limit: &Limit) -> f64 {
        self.requests_a_second / limit.requests_a_second
    }

    /// The same by CPU time, which holds on a busy machine: what the rates' ratio is when the cores are full.
    pub fn cpu_share_of(&self, limit: &Limit) -> f64 {
        limit.cpu_ms / self.all_cpu_ms()
    }
}

/// CPU times of everybody, at one moment.
struct Clocks {
    server: Duration,
    postgresql: Duration,
    driver: Duration,
}

impl Clocks {
    fn read(server: u32, postgresql: u32) -> anyhow::Result<Self> {
        Ok(Self {
            server: processes::cpu_time(server)?,
            postgresql: processes::cpu_time_with_children(postgresql)?,
            driver: processes::own_cpu_time()?,
        })
    }
}

/// Load of any requests, with CPU times.
pub async fn load(
    database: &Database,
    server: &Server,
    name: &str,
    requests: &Arc<Vec<Request>>,
    connections: usize,
    duration: Duration,
) -> anyhow::Result<Figure> {
    load::run(server.address, Arc::clone(requests), connections, WARM_UP.min(duration)).await?;
    let (server_id, postgresql_id) = (server.process_id()?, database.process_id()?);
    let before = Clocks::read(server_id, postgresql_id)?;
    let outcome = load::run(server.address, Arc::clone(requests), connections, duration).await?;
    let after = Clocks::read(server_id, postgresql_id)?;
    let each = |time: Duration| time.as_secs_f64() * 1000.0 / outcome.requests().max(1) as f64;
    Ok(Figure {
        name: name.to_owned(),
        connections,
        requests: outcome.requests(),
        failures: outcome.failures,
        failure: outcome.failure.clone(),
        requests_a_second: outcome.rate(),
        p50_ms: outcome.quantile(0.5),
        p99_ms: outcome.quantile(0.99),
        server_cpu_ms: each(after.server - before.server),
        postgresql_cpu_ms: each(after.postgresql.saturating_sub(before.postgresql)),
        driver_cpu_ms: each(after.driver - before.driver),
        ..Figure::default()
    })
}

/// A scenario with its statements and limits.
pub async fn scenario(
    database: &Database,
    server: &Server,
    scenario: &Scenario,
    duration: Duration,
    folder: &Path,
) -> anyhow::Result<Figure> {
    let executed = statements::of_request(database, server, &scenario.requests).await?;
    let mut figure = load(database, server, scenario.name, &scenario.requests, CONNECTIONS, duration).await?;
    figure.statements = Some(executed.count);
    figure.original_cpu_ms = scenario.original.map(|original| original.total_ms());
    figure.wanted_cpu_ms = scenario.original.map(|original| original.wanted_ms());
    if scenario.has_pgbench {
        ensure!(!executed.statements.is_empty(), "no statement was seen");
        figure.pgbench = Some(pgbench(database, &executed.statements, duration, folder).await?);
    }
    if scenario.has_bare {
        figure.bare_handler = Some(bare(server, scenario.requests[..1].to_vec(), duration, folder).await?);
    }
    Ok(figure)
}

async fn pgbench(
    database: &Database,
    executed: &[statements::Statement],
    duration: Duration,
    folder: &Path,
) -> anyhow::Result<Limit> {
    let postgresql = database.process_id()?;
    let before = (processes::cpu_time_with_children(postgresql)?, processes::own_children_cpu_time()?);
    let rate = limits::pgbench(&database.url(), executed, CONNECTIONS, duration, folder).await?;
    let after = (processes::cpu_time_with_children(postgresql)?, processes::own_children_cpu_time()?);
    let used = after.0.saturating_sub(before.0) + (after.1 - before.1);
    let transactions = rate * duration.as_secs().max(1) as f64;
    Ok(Limit { requests_a_second: rate, cpu_ms: used.as_secs_f64() * 1000.0 / transactions })
}

async fn bare(server: &Server, requests: Vec<Request>, duration: Duration, folder: &Path) -> anyhow::Result<Limit> {
    let answer = folder.join("answer");
    std::fs::write(&answer, load::Connection::open(server.address).await?.send(&requests[0]).await?.bytes())?;
    let bare = Server::start_bare(&answer, folder).await?;
    let requests = Arc::new(requests);
    load::run(bare.address, Arc::clone(&requests), CONNECTIONS, WARM_UP).await?;
    let before = (processes::cpu_time(bare.process_id()?)?, processes::own_cpu_time()?);
    let outcome = load::run(bare.address, requests, CONNECTIONS, duration).await?;
    let after = (processes::cpu_time(bare.process_id()?)?, processes::own_cpu_time()?);
    bare.kill().await?;
    let used = (after.0 - before.0) + (after.1 - before.1);
    Ok(Limit {
        requests_a_second: outcome.rate(),
        cpu_ms: used.as_secs_f64() * 1000.0 / outcome.requests().max(1) as f64,
    })
}
