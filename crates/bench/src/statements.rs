//! Which statements a request runs: PostgreSQL itself is told to log them for a moment. That gives their number and
//! their text, so that `pgbench` can run exactly the same ones.

use std::{
    fs::File,
    io::{Read, Seek, SeekFrom},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::Context;
use freehunt_domain::{job_postings, users};
use sqlx::{Connection, PgConnection};

use crate::{
    database::Database,
    load::{Connection as HttpConnection, Request},
    servers::Server,
};

/// Requests that are looked at one by one. The servers' own regular statements fall into some of them, so the fewest
/// statements count.
const LOOKS: usize = 8;
/// The first requests prepare their statements and learn their types.
const WARM_UP: usize = 40;
/// Until the server has forgotten what it keeps in memory.
const HEARD_AFTER: Duration = Duration::from_millis(100);

/// A statement as it was executed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    pub sql: String,
    /// `None` is NULL.
    pub parameters: Vec<Option<String>>,
}

/// What a request runs.
#[derive(Debug)]
pub struct Executed {
    /// How many statements it takes when it is repeated.
    pub count: usize,
    /// Those that read the answer, in order: there are some even if the server keeps it in memory.
    pub statements: Vec<Statement>,
}

/// The statements of one of `requests`.
pub async fn of_request(
    database: &Database,
    server: &Server,
    requests: &Arc<Vec<Request>>,
) -> anyhow::Result<Executed> {
    let mut http = HttpConnection::open(server.address).await?;
    for number in 0..WARM_UP {
        http.send(&requests[number % requests.len()]).await?;
    }
    let mut admin = database.connect().await?;
    set_logging(&mut admin, "all").await?;
    let looked = look_twice(&mut admin, &database.log_file(), &mut http, requests).await;
    set_logging(&mut admin, "none").await?;
    admin.close().await?;
    looked
}

async fn look_twice(
    admin: &mut PgConnection,
    log: &Path,
    http: &mut HttpConnection,
    requests: &Arc<Vec<Request>>,
) -> anyhow::Result<Executed> {
    let repeated = look(log, http, requests, true, async || Ok(())).await?;
    let count = repeated.len();
    if count > 0 {
        return Ok(Executed { count, statements: repeated });
    }
    let forget = async || {
        for channel in [job_postings::CHANNEL, users::CHANNEL] {
            sqlx::query("SELECT pg_notify($1, '')").bind(channel).execute(&mut *admin).await?;
        }
        tokio::time::sleep(HEARD_AFTER).await;
        Ok(())
    };
    Ok(Executed { count, statements: look(log, http, requests, false, forget).await? })
}

async fn look(
    log: &Path,
    http: &mut HttpConnection,
    requests: &Arc<Vec<Request>>,
    may_be_none: bool,
    mut before: impl AsyncFnMut() -> anyhow::Result<()>,
) -> anyhow::Result<Vec<Statement>> {
    let mut fewest: Option<Vec<Statement>> = None;
    for number in 0..LOOKS {
        before().await?;
        let mut reader = LogReader::at_end(log)?;
        http.send(&requests[number % requests.len()]).await?;
        let statements = parse(&reader.rest()?);
        let is_read = !statements.is_empty() || may_be_none;
        if is_read && fewest.as_ref().is_none_or(|fewest| statements.len() < fewest.len()) {
            fewest = Some(statements);
        }
    }
    Ok(fewest.unwrap_or_default())
}

/// Takes effect in every running session once each has seen the signal.
async fn set_logging(admin: &mut PgConnection, what: &'static str) -> anyhow::Result<()> {
    let statement = match what {
        "all" => "ALTER SYSTEM SET log_statement = 'all'",
        _ => "ALTER SYSTEM RESET log_statement",
    };
    sqlx::raw_sql(statement).execute(&mut *admin).await?;
    sqlx::raw_sql("ALTER SYSTEM SET log_parameter_max_length = -1").execute(&mut *admin).await?;
    sqlx::raw_sql("SELECT pg_reload_conf()").execute(admin).await?;
    tokio::time::sleep(Duration::from_millis(300)).await;
    Ok(())
}

struct LogReader {
    path: PathBuf,
    from: u64,
}

impl LogReader {
    fn at_end(path: &Path) -> anyhow::Result<Self> {
        let from = std::fs::metadata(path).with_context(|| format!("{} is not there", path.display()))?.len();
        Ok(Self { path: path.to_owned(), from })
    }

    fn rest(&mut self) -> anyhow::Result<String> {
        let mut file = File::open(&self.path)?;
        file.seek(SeekFrom::Start(self.from))?;
        let mut text = String::new();
        file.read_to_string(&mut text)?;
        Ok(text)
    }
}

/// Executions in a log; text of several lines goes on after a tab.
fn parse(log: &str) -> Vec<Statement> {
    let mut statements: Vec<Statement> = Vec::new();
    let mut in_statement = false;
    for line in log.lines() {
        if let Some(rest) = line.strip_prefix('\t') {
            if let (true, Some(statement)) = (in_statement, statements.last_mut()) {
                statement.sql.push('\n');
                statement.sql.push_str(rest);
            }
            continue;
        }
        in_statement = false;
        let executed = ["LOG:  execute ", "LOG:  statement: "].iter().find_map(|mark| {
            let (_, rest) = line.split_once(mark)?;
            if mark.ends_with("statement: ") { Some(rest) } else { rest.split_once(": ").map(|(_, sql)| sql) }
        });
        if let Some(sql) = executed {
            statements.push(Statement { sql: sql.to_owned(), parameters: Vec::new() });
            in_statement = true;
        } else if let Some((_, values)) = line.split_once("DETAIL:  ")
            && let Some((_, values)) = values.split_once("arameters: ")
            && let Some(statement) = statements.last_mut()
        {
            statement.parameters = parse_parameters(values);
        }
    }
    statements
}

/// `$1 = 'it''s', $2 = NULL`.
fn parse_parameters(text: &str) -> Vec<Option<String>> {
    let mut parameters = Vec::new();
    let mut rest = text;
    while let Some((_, value)) = rest.split_once(" = ") {
        if let Some(quoted) = value.strip_prefix('\'') {
            let mut parameter = String::new();
            let mut characters = quoted.char_indices().peekable();
            let mut end = quoted.len();
            while let Some((index, character)) = characters.next() {
                if character == '\'' && characters.next_if(|(_, next)| *next == '\'').is_none() {
                    end = index + 1;
                    break;
                }
                parameter.push(character);
            }
            parameters.push(Some(parameter));
            rest = &quoted[end.min(quoted.len())..];
        } else {
            parameters.push(None);
            rest = value.strip_prefix("NULL").unwrap_or(value);
        }
    }
    parameters
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn executions_are_found_with_their_parameters() {
        let log = "2025 UTC [1] LOG:  execute sqlx_s_3: SELECT *\n\tFROM t WHERE a = $1 AND b = $2 AND c = $3\n\
                   2025 UTC [1] DETAIL:  Parameters: $1 = 'it''s, $9 = ''x''', $2 = NULL, $3 = '{a,b}'\n\
                   2025 UTC [1] LOG:  statement: BEGIN\n2025 UTC [1] LOG:  checkpoint starting: time\n";
        let statements = parse(log);
        assert_eq!(statements.len(), 2);
        assert_eq!(statements[0].sql, "SELECT *\nFROM t WHERE a = $1 AND b = $2 AND c = $3");
        let values = [Some("it's, $9 = 'x'".to_owned()), None, Some("{a,b}".to_owned())];
        assert_eq!(statements[0].parameters, values);
        assert_eq!(statements[1].sql, "BEGIN");
    }
}
