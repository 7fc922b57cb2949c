//! The results of a run: as JSON to compare with, and as tables for people.

use std::fmt::Write;

use anyhow::{Context, ensure};
use serde::{Deserialize, Serialize};

use crate::{machine::Machine, measure::Figure, sockets::SocketFigures};

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Report {
    pub machine: Machine,
    /// The commit that was built, as far as git knows.
    pub commit: String,
    pub postings: i64,
    pub freelances: i64,
    pub messages: i64,
    pub seconds_a_scenario: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub programs: Option<ProgramFigures>,
    pub scenarios: Vec<Figure>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sockets: Option<SocketFigures>,
    /// What could not be measured.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<String>,
}

/// Size, start and memory of the programs, in MiB.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ProgramFigures {
    pub api_binary: f64,
    pub messaging_binary: f64,
    pub api_ready_ms: f64,
    pub messaging_ready_ms: f64,
    pub api_idle: f64,
    pub messaging_idle: f64,
    /// The most there was during the mixed day.
    pub api_mixed_day: f64,
}

pub const MOST_IDLE: f64 = 30.0;
pub const MOST_MIXED_DAY: f64 = 96.0;

impl Report {
    pub fn markdown(&self) -> String {
        let mut text = format!(
            "{}.\n\n{} postings, {} freelances, {} messages; {} s a scenario; commit {}.\n\n",
            self.machine.sentence(),
            self.postings,
            self.freelances,
            self.messages,
            self.seconds_a_scenario,
            self.commit
        );
        self.write_scenarios(&mut text);
        self.write_limits(&mut text);
        if let Some(programs) = &self.programs {
            programs.write(&mut text);
        }
        if let Some(sockets) = &self.sockets {
            sockets.write(&mut text);
        }
        text
    }

    // Writing to a string cannot fail, here and below.
    fn write_scenarios(&self, text: &mut String) {
        text.push_str(
            "| scenario | CPU ms/request: server + PostgreSQL | original | of it | wanted | statements | requests/s | p50 ms | p99 ms | failures |\n\
             |---|---|---|---|---|---|---|---|---|---|\n",
        );
        for figure in &self.scenarios {
            let (original, share, wanted) = match (figure.original_cpu_ms, figure.wanted_cpu_ms) {
                (Some(original), Some(wanted)) => (
                    number(original),
                    format!("1/{:.0}", original / figure.cpu_ms().max(f64::MIN_POSITIVE)),
                    format!("≤ {} {}", number(wanted), mark(figure.cpu_ms() <= wanted)),
                ),
                _ => ("–".to_owned(), "–".to_owned(), "–".to_owned()),
            };
            let _ = writeln!(
                text,
                "| {} | {} + {} = {} | {original} | {share} | {wanted} | {} | {:.0} | {:.2} | {:.2} | {} |",
                figure.name,
                number(figure.server_cpu_ms),
                number(figure.postgresql_cpu_ms),
                number(figure.cpu_ms()),
                figure.statements.map_or_else(|| "–".to_owned(), |count| count.to_string()),
                figure.requests_a_second,
                figure.p50_ms,
                figure.p99_ms,
                figure.failures,
            );
        }
    }

    fn write_limits(&self, text: &mut String) {
        text.push_str("\n| limit | its requests/s | reached | by CPU time | wanted |\n|---|---|---|---|---|\n");
        for figure in &self.scenarios {
            let limits = [("pgbench", &figure.pgbench, 0.7), ("a bare handler", &figure.bare_handler, 0.8)];
            for (name, limit, wanted) in limits {
                let Some(limit) = limit else { continue };
                let saved =
                    if name == "pgbench" && figure.statements == Some(0) { " of what memory saves" } else { "" };
                let (by_rate, by_cpu) = (figure.share_of(limit), figure.cpu_share_of(limit));
                let _ = writeln!(
                    text,
                    "| {}: {name}{saved} | {:.0} | {:.0} % | {:.0} % | ≥ {:.0} % {} |",
                    figure.name,
                    limit.requests_a_second,
                    by_rate * 100.0,
                    by_cpu * 100.0,
                    wanted * 100.0,
                    mark(by_rate >= wanted),
                );
            }
        }
    }
}

impl ProgramFigures {
    fn write(&self, text: &mut String) {
        let rows = [
            ("freehunt-api, size of the program", self.api_binary, None),
            ("freehunt-messaging, size of the program", self.messaging_binary, None),
            ("freehunt-api, resident and idle", self.api_idle, Some(MOST_IDLE)),
            ("freehunt-messaging, resident and idle", self.messaging_idle, Some(MOST_IDLE)),
            ("freehunt-api, most during the mixed day", self.api_mixed_day, Some(MOST_MIXED_DAY)),
        ];
        text.push_str("\n| memory | MiB | wanted |\n|---|---|---|\n");
        for (name, value, most) in rows {
            let wanted = most.map_or_else(|| "–".to_owned(), |most| format!("≤ {most:.0} {}", mark(value <= most)));
            let _ = writeln!(text, "| {name} | {value:.1} | {wanted} |");
        }
        let _ = writeln!(
            text,
            "\nReady after {:.0} ms (API) and {:.0} ms (messaging).",
            self.api_ready_ms, self.messaging_ready_ms
        );
    }
}

pub fn mark(holds: bool) -> &'static str {
    if holds { "✓" } else { "✗" }
}

/// Three digits that say something.
fn number(value: f64) -> String {
    match value {
        value if value >= 100.0 => format!("{value:.0}"),
        value if value >= 10.0 => format!("{value:.1}"),
        value if value >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

/// Compares CPU times a request, statements and memory, which hold from run to run; rates and waiting times do not. An
/// error when something takes more than `threshold` times what it took, or one statement more.
pub fn compare(baseline: &Report, report: &Report, threshold: f64) -> anyhow::Result<String> {
    let sizes = |report: &Report| (report.postings, report.freelances, report.messages);
    ensure!(sizes(baseline) == sizes(report), "the runs are of different sizes and cannot be compared");
    let mut comparison = Comparison::default();
    for figure in &report.scenarios {
        let Some(before) = baseline.scenarios.iter().find(|before| before.name == figure.name) else { continue };
        let name = &figure.name;
        comparison.add(&format!("{name}: CPU ms a request"), before.cpu_ms(), figure.cpu_ms(), threshold);
        if let (Some(before), Some(now)) = (before.statements, figure.statements) {
            comparison.add(&format!("{name}: statements"), before as f64, now as f64, 1.0);
        }
    }
    if let (Some(before), Some(now)) = (&baseline.programs, &report.programs) {
        comparison.add("freehunt-api: MiB idle", before.api_idle, now.api_idle, threshold);
        comparison.add("freehunt-messaging: MiB idle", before.messaging_idle, now.messaging_idle, threshold);
        comparison.add("freehunt-api: MiB in the mixed day", before.api_mixed_day, now.api_mixed_day, threshold);
    }
    if let (Some(before), Some(now)) = (&baseline.sockets, &report.sockets) {
        comparison.add("idle socket: KiB", before.idle_kibibytes, now.idle_kibibytes, threshold);
        let (before, now) = (before.delivery_microseconds, now.delivery_microseconds);
        comparison.add("delivery in a room of 200: µs of CPU", before, now, threshold);
    }
    let Comparison { rows, worse } = comparison;
    let table = format!("| figure | baseline | now | ratio |\n|---|---|---|---|\n{rows}");
    ensure!(worse.is_empty(), "{table}\nworse than the baseline allows: {}", worse.join(", "));
    Ok(table)
}

#[derive(Default)]
struct Comparison {
    rows: String,
    worse: Vec<String>,
}

impl Comparison {
    fn add(&mut self, name: &str, before: f64, now: f64, highest_ratio: f64) {
        let ratio = if now == before { 1.0 } else { now / before };
        let holds = ratio <= highest_ratio;
        let _ = writeln!(self.rows, "| {name} | {} | {} | {ratio:.2} {} |", number(before), number(now), mark(holds));
        if !holds {
            self.worse.push(name.to_owned());
        }
    }
}

pub fn read(path: &std::path::Path) -> anyhow::Result<Report> {
    let text = std::fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} holds no results", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_higher_ratio_or_one_more_statement_is_worse() {
        let mut comparison = Comparison::default();
        comparison.add("cpu", 1.0, 1.2, 1.25);
        comparison.add("no statements", 0.0, 0.0, 1.0);
        assert!(comparison.worse.is_empty());
        comparison.add("more cpu", 1.0, 1.3, 1.25);
        comparison.add("more statements", 0.0, 1.0, 1.0);
        assert_eq!(comparison.worse, ["more cpu", "more statements"]);
        assert!(comparison.rows.contains("| cpu | 1.00 | 1.20 | 1.20 ✓ |"));
    }
}
