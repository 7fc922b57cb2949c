//! A whole run: the database, the servers, every scenario, memory, and the sockets.

use std::{path::PathBuf, time::Duration};

use anyhow::Context;
use clap::Args;

use crate::{
    database::Database,
    generate::Sizes,
    machine::Machine,
    measure::{self, Figure},
    processes,
    report::{ProgramFigures, Report},
    scenarios::{self, Cast, MIXED_CONNECTIONS},
    servers::{Programs, Server},
    sockets,
};

const MEBIBYTE: f64 = 1024.0 * 1024.0;
/// After a start, until memory is what it stays.
const IDLE: Duration = Duration::from_secs(2);

/// Where everything is.
#[derive(Args, Clone, Debug)]
pub struct Place {
    /// Where the databases and logs are kept between runs
    #[arg(long, default_value = "target/freehunt-bench")]
    pub data: PathBuf,
    /// The folder of the server programs; the one of this program when not given
    #[arg(long)]
    pub programs: Option<PathBuf>,
}

impl Place {
    pub fn find_programs(&self) -> anyhow::Result<Programs> {
        Programs::find(self.programs.as_deref(), &self.data)
    }
}

#[derive(Args, Clone, Debug)]
pub struct RunArguments {
    #[command(flatten)]
    pub place: Place,
    #[command(flatten)]
    pub sizes: Sizes,
    /// How long each scenario is measured
    #[arg(long, default_value_t = 3)]
    pub seconds: u64,
    /// Only scenarios whose name contains this; may be given several times. `mixed day` and `sockets` are names too
    #[arg(long)]
    pub only: Vec<String>,
    /// Sockets that do nothing, on one process
    #[arg(long, default_value_t = 10_000)]
    pub idle_sockets: usize,
    /// Redis to carry messages between replicas instead of PostgreSQL
    #[arg(long)]
    pub redis_url: Option<String>,
    /// Where the results go as JSON
    #[arg(long)]
    pub json: Option<PathBuf>,
    /// Where the tables go; they are printed in any case
    #[arg(long)]
    pub markdown: Option<PathBuf>,
}

impl RunArguments {
    fn wants(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|part| name.contains(part.as_str()))
    }
}

pub async fn run(arguments: &RunArguments) -> anyhow::Result<Report> {
    let programs = arguments.place.find_programs()?;
    say("starting PostgreSQL, and generating data if there is none of these sizes");
    let database = Database::start(&arguments.place.data, arguments.sizes).await?;
    let mut connection = database.connect().await?;
    let machine = Machine::describe(&mut connection).await?;
    say(&machine.sentence());
    let cast = Cast::choose(&mut connection, arguments.sizes).await?;
    drop(connection);
    let mut report = Report {
        machine,
        commit: commit(),
        postings: arguments.sizes.postings,
        freelances: arguments.sizes.freelances(),
        messages: arguments.sizes.messages,
        seconds_a_scenario: arguments.seconds,
        programs: None,
        scenarios: measure_scenarios(arguments, &database, &programs, &cast).await?,
        sockets: None,
        problems: Vec::new(),
    };
    if arguments.wants("mixed day") {
        let (figure, figures) = measure_mixed_day(arguments, &database, &programs, &cast).await?;
        report.scenarios.push(figure);
        report.programs = Some(figures);
    }
    if arguments.wants("sockets") {
        let redis = arguments.redis_url.as_deref();
        let (sizes, seconds) = (arguments.sizes, arguments.seconds);
        match sockets::run(&database, &programs, sizes, redis, arguments.idle_sockets, seconds).await {
            Ok(figures) => report.sockets = Some(figures),
            // What was measured before is worth keeping.
            Err(problem) => report.problems.push(format!("sockets: {problem:#}")),
        }
    }
    database.stop().await?;
    Ok(report)
}

async fn measure_scenarios(
    arguments: &RunArguments,
    database: &Database,
    programs: &Programs,
    cast: &Cast,
) -> anyhow::Result<Vec<Figure>> {
    let mut figures = Vec::new();
    let chosen: Vec<_> =
        scenarios::all(cast, arguments.sizes).into_iter().filter(|scenario| arguments.wants(scenario.name)).collect();
    if chosen.is_empty() {
        return Ok(figures);
    }
    let server = Server::start_api(programs, &database.url(), &[]).await?;
    let duration = Duration::from_secs(arguments.seconds);
    for scenario in chosen {
        let figure = measure::scenario(database, &server, &scenario, duration, &arguments.place.data)
            .await
            .with_context(|| format!("the scenario “{}” cannot be measured", scenario.name))?;
        say_figure(&figure);
        figures.push(figure);
    }
    server.stop().await?;
    Ok(figures)
}

/// On servers of its own, so that memory is that of the day alone.
async fn measure_mixed_day(
    arguments: &RunArguments,
    database: &Database,
    programs: &Programs,
    cast: &Cast,
) -> anyhow::Result<(Figure, ProgramFigures)> {
    let server = Server::start_api(programs, &database.url(), &[]).await?;
    let messaging = Server::start_messaging(programs, &database.url(), &[]).await?;
    tokio::time::sleep(IDLE).await;
    let size = |path: &PathBuf| anyhow::Ok(std::fs::metadata(path)?.len() as f64 / MEBIBYTE);
    let resident = |server: &Server| anyhow::Ok(processes::memory(server.process_id()?)?.now as f64 / MEBIBYTE);
    let mut figures = ProgramFigures {
        api_binary: size(&programs.api)?,
        messaging_binary: size(&programs.messaging)?,
        api_ready_ms: server.ready_after.as_secs_f64() * 1000.0,
        messaging_ready_ms: messaging.ready_after.as_secs_f64() * 1000.0,
        api_idle: resident(&server)?,
        messaging_idle: resident(&messaging)?,
        api_mixed_day: 0.0,
    };
    let day = scenarios::mixed_day(cast);
    let duration = Duration::from_secs(arguments.seconds * 4);
    let figure = measure::load(database, &server, "mixed day", &day, MIXED_CONNECTIONS, duration).await?;
    say_figure(&figure);
    figures.api_mixed_day = processes::memory(server.process_id()?)?.peak as f64 / MEBIBYTE;
    server.stop().await?;
    messaging.stop().await?;
    Ok((figure, figures))
}

/// As far as git knows it here.
fn commit() -> String {
    let output = std::process::Command::new("git").args(["describe", "--always", "--dirty"]).output();
    let text = output.ok().filter(|output| output.status.success()).map(|output| output.stdout);
    text.and_then(|text| String::from_utf8(text).ok())
        .map_or_else(|| "unknown".to_owned(), |text| text.trim().to_owned())
}

#[expect(clippy::print_stderr, reason = "progress is for the person who waits")]
fn say(what: &str) {
    eprintln!("{what}");
}

fn say_figure(figure: &Figure) {
    let failures = figure.failure.as_deref().map(|text| format!(", {} failed: {text}", figure.failures));
    say(&format!(
        "{:<40} {:>8.0}/s  p50 {:>8.2}  p99 {:>8.2} ms  CPU {:.3} + {:.3} ms (driver {:.3})  {} statements{}",
        figure.name,
        figure.requests_a_second,
        figure.p50_ms,
        figure.p99_ms,
        figure.server_cpu_ms,
        figure.postgresql_cpu_ms,
        figure.driver_cpu_ms,
        figure.statements.map_or_else(|| "?".to_owned(), |count| count.to_string()),
        failures.unwrap_or_default(),
    ));
}
