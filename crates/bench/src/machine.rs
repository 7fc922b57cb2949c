//! What the figures were taken on; without it they say nothing.

use std::{fs, thread, time::Duration};

use serde::{Deserialize, Serialize};
use sqlx::PgConnection;

use crate::{database, processes};

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Machine {
    pub processor: String,
    pub cores: usize,
    pub memory_gibibytes: u64,
    pub kernel: String,
    pub postgresql: String,
    pub postgresql_settings: String,
    /// Share of the cores that others used just before the run, from 0 to 1: rates and waiting times of a busy machine
    /// say little, CPU times a request hold.
    pub busy_before: f64,
}

impl Machine {
    pub async fn describe(connection: &mut PgConnection) -> anyhow::Result<Self> {
        let version: String = sqlx::query_scalar("SHOW server_version").fetch_one(connection).await?;
        let settings: Vec<String> = database::SETTINGS.iter().map(|(name, value)| format!("{name}={value}")).collect();
        Ok(Self {
            processor: line_of("/proc/cpuinfo", "model name"),
            cores: thread::available_parallelism().map_or(1, usize::from),
            memory_gibibytes: line_of("/proc/meminfo", "MemTotal")
                .split_whitespace()
                .next()
                .and_then(|kibibytes| kibibytes.parse::<u64>().ok())
                .map_or(0, |kibibytes| kibibytes.div_ceil(1 << 20)),
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned(),
            postgresql: version,
            postgresql_settings: settings.join(", "),
            busy_before: busy_share()?,
        })
    }

    pub fn sentence(&self) -> String {
        format!(
            "{}, {} cores, {} GiB; Linux {}; PostgreSQL {} ({}, else its defaults); others used {:.0} % of the cores just before",
            self.processor,
            self.cores,
            self.memory_gibibytes,
            self.kernel,
            self.postgresql,
            self.postgresql_settings,
            self.busy_before * 100.0
        )
    }
}

fn line_of(path: &str, name: &str) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_default();
    line.split_once(':').map_or("unknown", |(_, value)| value).trim().to_owned()
}

/// Over two seconds, this process left out.
fn busy_share() -> anyhow::Result<f64> {
    let look = || -> anyhow::Result<(u64, u64, Duration)> {
        let text = fs::read_to_string("/proc/stat")?;
        let ticks: Vec<u64> = text
            .lines()
            .next()
            .unwrap_or_default()
            .split_whitespace()
            .skip(1)
            .take(8)
            .filter_map(|ticks| ticks.parse().ok())
            .collect();
        let idle = ticks.get(3).copied().unwrap_or_default() + ticks.get(4).copied().unwrap_or_default();
        Ok((ticks.iter().sum(), idle, processes::own_cpu_time()?))
    };
    let before = look()?;
    thread::sleep(Duration::from_secs(2));
    let after = look()?;
    let all = after.0.saturating_sub(before.0).max(1) as f64;
    let own = (after.2 - before.2).as_secs_f64() * 100.0;
    let busy = all - after.1.saturating_sub(before.1) as f64 - own;
    Ok((busy / all).clamp(0.0, 1.0))
}
