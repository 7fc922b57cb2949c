//! The mixed day for as long as wanted, in six parts: memory must stay flat, nothing may fail, and the last part must be
//! as quick as the first. An hour gives parts of ten minutes.

use std::{sync::Arc, time::Duration};

use anyhow::bail;

use crate::{
    database::Database,
    generate::Sizes,
    load, processes,
    scenarios::{self, Cast, MIXED_CONNECTIONS},
    servers::{Programs, Server},
};

const PARTS: u32 = 6;
const WARM_UP: Duration = Duration::from_secs(5);
/// The last part's p99 over the first's.
const MOST_SLOWER: f64 = 1.1;
/// Memory may differ by this much between the second part and the last: an allocator's noise, not a leak.
const MOST_GROWTH_MEBIBYTES: f64 = 4.0;
const MEBIBYTE: f64 = 1024.0 * 1024.0;

struct Part {
    p99_ms: f64,
    mebibytes: f64,
    failures: usize,
}

#[expect(clippy::print_stdout, reason = "the result of the command")]
pub async fn run(database: &Database, programs: &Programs, sizes: Sizes, duration: Duration) -> anyhow::Result<()> {
    let mut connection = database.connect().await?;
    let cast = Cast::choose(&mut connection, sizes).await?;
    let day = scenarios::mixed_day(&cast);
    let server = Server::start_api(programs, &database.url(), &[]).await?;
    load::run(server.address, Arc::clone(&day), MIXED_CONNECTIONS, WARM_UP).await?;
    println!("| part | requests/s | p50 ms | p99 ms | failures | resident MiB |\n|---|---|---|---|---|---|");
    let mut parts = Vec::new();
    for number in 1..=PARTS {
        let outcome = load::run(server.address, Arc::clone(&day), MIXED_CONNECTIONS, duration / PARTS).await?;
        let mebibytes = processes::memory(server.process_id()?)?.now as f64 / MEBIBYTE;
        let part = Part { p99_ms: outcome.quantile(0.99), mebibytes, failures: outcome.failures };
        println!(
            "| {number} | {:.0} | {:.2} | {:.2} | {} | {mebibytes:.1} |",
            outcome.rate(),
            outcome.quantile(0.5),
            part.p99_ms,
            part.failures
        );
        if let Some(failure) = outcome.failure {
            println!("\nThe first failure: {failure}");
        }
        parts.push(part);
    }
    server.kill().await?;
    judge(&parts)
}

fn judge(parts: &[Part]) -> anyhow::Result<()> {
    let (Some(first), Some(settled), Some(last)) = (parts.first(), parts.get(1), parts.last()) else {
        bail!("too few parts");
    };
    let failures: usize = parts.iter().map(|part| part.failures).sum();
    if failures > 0 {
        bail!("{failures} requests failed");
    }
    if last.mebibytes > settled.mebibytes + MOST_GROWTH_MEBIBYTES {
        bail!("memory grew from {:.1} to {:.1} MiB", settled.mebibytes, last.mebibytes);
    }
    if last.p99_ms > first.p99_ms * MOST_SLOWER {
        bail!("p99 rose from {:.2} to {:.2} ms", first.p99_ms, last.p99_ms);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(p99_ms: f64, mebibytes: f64, failures: usize) -> Part {
        Part { p99_ms, mebibytes, failures }
    }

    #[test]
    fn growth_failures_and_slowness_are_found() {
        let good = || vec![part(10.0, 40.0, 0), part(10.0, 45.0, 0), part(10.5, 46.0, 0)];
        assert!(judge(&good()).is_ok());
        for bad in [part(10.0, 60.0, 0), part(12.0, 45.0, 0), part(10.0, 45.0, 1)] {
            let mut parts = good();
            parts.push(bad);
            assert!(judge(&parts).is_err());
        }
    }
}
