//! `check`: everything the servers depend on, a line each: ok, or what to do.

use std::time::Duration;

use anyhow::{Context, bail, ensure};
use freehunt_domain::{
    chat_events::{self, FanOut},
    schema,
};

use super::{print, state};
use crate::state::AppState;

/// No single check takes longer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Fewer events than these say nothing about how events come.
const FEWEST_EVENTS: i64 = 4;

/// What one check found.
pub struct Finding {
    /// What was looked at, as the line names it.
    pub name: &'static str,
    /// Its state, or what is wrong with it.
    pub result: anyhow::Result<String>,
    /// What to do when it is wrong.
    pub advice: &'static str,
}

impl std::fmt::Display for Finding {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.result {
            Ok(detail) => write!(formatter, "ok      {:<11} {detail}", self.name),
            Err(error) => write!(formatter, "FAILED  {:<11} {error:#} -> {}", self.name, self.advice),
        }
    }
}

pub async fn run() -> anyhow::Result<()> {
    let findings = findings(&state()?).await;
    for finding in &findings {
        print(&Ok(finding.to_string()))?;
    }
    let failures = findings.iter().filter(|finding| finding.result.is_err()).count();
    ensure!(failures == 0, "{failures} checks failed");
    Ok(())
}

/// Looks at everything, one after the other.
pub async fn findings(state: &AppState) -> Vec<Finding> {
    [
        ("database", "start PostgreSQL, or correct DATABASE_URL", within(database(state)).await),
        ("schema", "run `freehunt-api migrate`", within(current_schema(state)).await),
        (
            "rules",
            "look at the rows named; an index is missing because they break its rule",
            within(rules(state)).await,
        ),
        (
            "search",
            "install PostgreSQL's contrib package or run CREATE EXTENSION pg_trgm as a superuser; enable the triggers named",
            within(searches(state)).await,
        ),
        ("identities", "run `freehunt-api bind-identities`", within(identities(state)).await),
        ("authentik", "correct AUTHENTIK_URL or the flow's name", within(authentik(state)).await),
        ("oidc", "correct OIDC_ISSUER (with its last slash) or apply the blueprint", within(oidc(state)).await),
        ("s3", "correct S3_URL and its keys, or run `freehunt-api bootstrap-storage`", within(storage(state)).await),
        ("stripe", "correct STRIPE_SECRET_KEY", within(stripe(state)).await),
        (
            "webhooks",
            "send Stripe's webhooks to <API_URL>/stripe/webhook, and compare STRIPE_WEBHOOK_SECRET with Stripe's dashboard",
            within(webhooks(state)).await,
        ),
        ("jobs", "run `freehunt-api jobs`", within(jobs(state)).await),
        ("fan-out", "set REDIS_URL for every replica of both programs, or for none", within(fan_out(state)).await),
        ("names", "make the names resolve to the cluster", within(names(state)).await),
        ("cookies", "set COOKIE_DOMAIN to the domain the API and the messaging server share", cookies(state)),
    ]
    .map(|(name, advice, result)| Finding { name, result, advice })
    .into()
}

async fn within(check: impl Future<Output = anyhow::Result<String>>) -> anyhow::Result<String> {
    tokio::time::timeout(PATIENCE, check).await.context("no answer in time")?
}

async fn database(state: &AppState) -> anyhow::Result<String> {
    let version: String = sqlx::query_scalar("SHOW server_version").fetch_one(&state.pool).await?;
    Ok(format!("PostgreSQL {version}"))
}

async fn current_schema(state: &AppState) -> anyhow::Result<String> {
    let mut connection = state.pool.acquire().await?;
    ensure!(schema::is_current(&mut connection).await?, "migrations are missing");
    Ok("up to date".to_owned())
}

/// Indexes that the migration leaves out on a database that already breaks their rule.
async fn rules(state: &AppState) -> anyhow::Result<String> {
    for index in ["candidate_once_per_posting", "candidate_one_accepted"] {
        let present: Option<String> =
            sqlx::query_scalar("SELECT to_regclass($1)::text").bind(index).fetch_one(&state.pool).await?;
        ensure!(present.is_some(), "the index {index} is missing");
    }
    Ok("every guard is in place".to_owned())
}

/// What keeps the searches quick and in step with every write.
async fn searches(state: &AppState) -> anyhow::Result<String> {
    let extension: Option<String> = sqlx::query_scalar("SELECT extversion FROM pg_extension WHERE extname = 'pg_trgm'")
        .fetch_optional(&state.pool)
        .await?;
    let version = extension.context("the extension pg_trgm is not installed")?;
    let disabled: Vec<String> = sqlx::query_scalar(
        "SELECT DISTINCT tgrelid::regclass::text FROM pg_trigger WHERE tgname LIKE 'follow\\_%' AND tgenabled <> 'O'",
    )
    .fetch_all(&state.pool)
    .await?;
    ensure!(disabled.is_empty(), "triggers are disabled on {}", disabled.join(", "));
    Ok(format!("pg_trgm {version}, every trigger is on"))
}

async fn identities(state: &AppState) -> anyhow::Result<String> {
    let unbound: i64 = sqlx::query_scalar(
        r#"SELECT count(*) FROM "User" u WHERE NOT EXISTS (SELECT FROM identity i WHERE i.user_id = u."id")"#,
    )
    .fetch_one(&state.pool)
    .await?;
    ensure!(unbound == 0, "{unbound} users are bound to no account at Authentik and cannot log in");
    Ok("every user is bound".to_owned())
}

async fn authentik(state: &AppState) -> anyhow::Result<String> {
    let component = state.authentik.check().await?;
    Ok(format!("the login flow begins with {component}"))
}

async fn oidc(state: &AppState) -> anyhow::Result<String> {
    state.oidc.check().await?;
    Ok("discovery and keys were read".to_owned())
}

async fn storage(state: &AppState) -> anyhow::Result<String> {
    state.storage.check().await?;
    Ok(format!("bucket {}", state.config.s3.bucket))
}

async fn stripe(state: &AppState) -> anyhow::Result<String> {
    let balance = state.stripe.get_balance().await?;
    let configured = state.config.stripe.live_mode;
    ensure!(balance.livemode == configured, "the key's mode and the account's mode differ");
    Ok(if configured { "live mode" } else { "test mode" }.to_owned())
}

/// A wrong signing secret shows in what comes: a webhook takes seconds, and Stripe's own list, which is read whatever the
/// webhooks do, up to a minute.
async fn webhooks(state: &AppState) -> anyhow::Result<String> {
    let secrets = state.config.stripe.webhook_secrets.len();
    let (received, unprocessed): (i64, i64) = sqlx::query_as(
        "SELECT count(*), count(*) FILTER (WHERE processed_at IS NULL AND received_at < now() - interval '15 minutes')
         FROM stripe_event",
    )
    .fetch_one(&state.pool)
    .await?;
    ensure!(unprocessed == 0, "{unprocessed} events wait for more than 15 minutes");
    let (recent, late): (i64, i64) = sqlx::query_as(
        "SELECT count(*), count(*) FILTER (WHERE received_at > created_at + interval '15 seconds')
         FROM (SELECT received_at, created_at FROM stripe_event ORDER BY received_at DESC LIMIT 20) recent",
    )
    .fetch_one(&state.pool)
    .await?;
    let told_by_list = recent >= FEWEST_EVENTS && late * 2 > recent;
    ensure!(!told_by_list, "of the last {recent} events {late} came by Stripe's list, not by a webhook");
    Ok(match received {
        0 => format!("{secrets} signing secret(s), no event received yet: send a test event from Stripe's dashboard"),
        _ => format!("{secrets} signing secret(s), {received} events received"),
    })
}

async fn jobs(state: &AppState) -> anyhow::Result<String> {
    let (dead, stuck): (i64, i64) = sqlx::query_as(
        "SELECT count(*) FILTER (WHERE state = 'DEAD'),
                count(*) FILTER (WHERE state = 'READY' AND created_at < now() - interval '15 minutes') FROM job",
    )
    .fetch_one(&state.pool)
    .await?;
    ensure!(dead == 0 && stuck == 0, "{dead} dead jobs, {stuck} waiting for more than 15 minutes");
    Ok("none dead, none stuck".to_owned())
}

/// All replicas have to spread chat events the same way, or messages come seconds late.
pub async fn fan_out(state: &AppState) -> anyhow::Result<String> {
    let other = match state.fan_out {
        FanOut::Postgres => FanOut::Redis,
        FanOut::Redis => FanOut::Postgres,
    };
    let programs = ["freehunt-api", "freehunt-messaging"];
    let others: Vec<String> = sqlx::query_scalar(
        "SELECT application_name FROM pg_stat_activity
         WHERE datname = current_database() AND application_name = ANY($1) ORDER BY 1",
    )
    .bind(programs.map(|program| other.application_name(program)).to_vec())
    .fetch_all(&state.pool)
    .await?;
    ensure!(others.is_empty(), "here it is {:?}, but running are {}", state.fan_out, others.join(", "));
    let Some(announcements) = &state.announcements else { return Ok("by PostgreSQL".to_owned()) };
    let subscribed = announcements.redis.subscribers(chat_events::CHANNEL).await?;
    let listening: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = $1",
    )
    .bind(FanOut::Redis.application_name("freehunt-messaging"))
    .fetch_one(&state.pool)
    .await?;
    ensure!(
        i64::try_from(subscribed)? >= listening,
        "{listening} messaging replicas run, and {subscribed} are subscribed at this Redis"
    );
    Ok(format!("by Redis, {subscribed} subscribed"))
}

/// The names a browser uses must resolve.
async fn names(state: &AppState) -> anyhow::Result<String> {
    let frontend = &state.config.frontend;
    let mut hosts =
        vec![frontend.url.host_str(), frontend.api_url.host_str(), state.config.authentik.public_url.host_str()];
    let socket = frontend.cookie_domain.as_ref().map(|domain| format!("socket.{domain}"));
    hosts.push(socket.as_deref());
    let mut hosts: Vec<&str> = hosts.into_iter().flatten().collect();
    hosts.dedup();
    let mut unknown = Vec::new();
    for host in &hosts {
        if tokio::net::lookup_host((*host, 443)).await.is_err() {
            unknown.push(*host);
        }
    }
    if !unknown.is_empty() {
        bail!("{} cannot be resolved", unknown.join(", "));
    }
    Ok(hosts.join(", "))
}

/// The socket cookie reaches the messaging server only when its domain covers the API's name.
fn cookies(state: &AppState) -> anyhow::Result<String> {
    let frontend = &state.config.frontend;
    let secure = if frontend.secure_cookies { "Secure" } else { "not Secure (plain http)" };
    let Some(domain) = &frontend.cookie_domain else { return Ok(format!("host-only, {secure}")) };
    let host = frontend.api_url.host_str().unwrap_or_default();
    ensure!(host == domain || host.ends_with(&format!(".{domain}")), "{host} is not below {domain}");
    Ok(format!("shared below {domain}, {secure}"))
}
