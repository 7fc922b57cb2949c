//! What could be reached at best: the same statements run by `pgbench`, and the same bytes from a handler that does
//! nothing else.

use std::{fmt::Write, path::Path, process::Stdio, time::Duration};

use anyhow::{Context, ensure};
use tokio::process::Command;

use crate::statements::Statement;

/// Transactions a second of `pgbench` for these statements, prepared, over `clients` connections; each transaction runs
/// them all.
pub async fn pgbench(
    url: &str,
    statements: &[Statement],
    clients: usize,
    duration: Duration,
    folder: &Path,
) -> anyhow::Result<f64> {
    let (script, variables) = script_of(statements);
    let file = folder.join("pgbench.sql");
    std::fs::write(&file, script)?;
    let mut command = Command::new("pgbench");
    command.args(["--no-vacuum", "--protocol", "prepared", "--jobs", "1"]);
    command.arg("--client").arg(clients.to_string()).arg("--time").arg(duration.as_secs().max(1).to_string());
    for (name, value) in &variables {
        command.arg("--define").arg(format!("{name}={value}"));
    }
    command.arg("--file").arg(&file).arg(url);
    let output = command.stdin(Stdio::null()).output().await.context("pgbench cannot be run")?;
    let text = String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.success(), "pgbench failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    let rate = text.lines().find_map(|line| line.strip_prefix("tps = ")?.split_whitespace().next()?.parse().ok());
    rate.with_context(|| format!("pgbench said nothing of its rate: {text}"))
}

/// The statements with variables in the place of parameters. A variable cannot be NULL, so that is written out.
fn script_of(statements: &[Statement]) -> (String, Vec<(String, String)>) {
    let mut script = String::new();
    let mut variables = Vec::new();
    for (index, statement) in statements.iter().enumerate() {
        let mut sql = statement.sql.clone();
        // The longest numbers first, so that $1 does not match in $10.
        for (position, value) in statement.parameters.iter().enumerate().rev() {
            let name = format!("s{index}p{}", position + 1);
            let replacement = if value.is_some() { format!(":{name}") } else { "NULL".to_owned() };
            sql = sql.replace(&format!("${}", position + 1), &replacement);
            if let Some(value) = value {
                variables.push((name, value.clone()));
            }
        }
        // Writing to a string cannot fail.
        let _ = writeln!(script, "{sql};");
    }
    (script, variables)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_become_variables() {
        let mut parameters = vec![Some("x".to_owned()); 10];
        parameters[1] = None;
        let statement = Statement { sql: "SELECT $1::text, $2::uuid, $10".to_owned(), parameters };
        let (script, variables) = script_of(&[statement]);
        assert_eq!(script, "SELECT :s0p1::text, NULL::uuid, :s0p10;\n");
        assert_eq!(variables.len(), 9);
    }
}
