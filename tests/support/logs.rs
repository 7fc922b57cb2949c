//! Every log line of the servers in every test, held against what must never be in one: fault cases 158, 159 and 161.
//!
//! Lines are written by the layer that production uses. What a test learns as a secret (cookies above all) is made known
//! by [`watch`]; passwords, tokens and addresses are recognised by their form.

use std::{
    collections::HashSet,
    io,
    sync::{LazyLock, Mutex, Once, RwLock},
};

use freehunt_domain::sessions::Token;
use tracing_subscriber::{EnvFilter, layer::SubscriberExt, util::SubscriberInitExt};

use crate::settings;

/// Shorter words would be found by chance.
const SHORTEST_SECRET: usize = 16;

static STARTED: Once = Once::new();
static SECRETS: LazyLock<RwLock<HashSet<String>>> = LazyLock::new(RwLock::default);
static FINDINGS: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Writes the log of this process to the watch, from now on.
pub(crate) fn start() {
    STARTED.call_once(|| {
        let filter = EnvFilter::new("info,freehunt=debug,tower_http=debug");
        let lines = freehunt_serving::logging::json_lines(|| Watch);
        // A test that has its own log keeps it.
        let _started = tracing_subscriber::registry().with(filter).with(lines).try_init();
    });
}

/// Something that is a secret of this test: no log line may have it, nor any part of it that is long enough.
pub fn watch(secret: &str) {
    let mut secrets = SECRETS.write().unwrap();
    secrets.extend(words(secret).filter(|word| word.len() >= SHORTEST_SECRET).map(str::to_owned));
}

/// What was found since the last call. Tests run beside each other, so that the finding may be another's.
pub(crate) fn findings() -> Vec<String> {
    std::mem::take(&mut *FINDINGS.lock().unwrap())
}

/// An answer that is no success must not tell what is inside.
pub(crate) fn check_refusal(request: &str, status: u16, text: &str) {
    const INSIDE: [&str; 14] = [
        "SELECT ",
        "INSERT INTO",
        "UPDATE \"",
        "sqlx",
        "ostgres",
        "panicked",
        ".rs:",
        "backtrace",
        "reqwest",
        "hyper",
        "error sending",
        "duplicate key",
        "os error",
        "stand-in",
    ];
    let found = INSIDE.iter().find(|inside| text.contains(*inside)).map(|inside| (*inside).to_owned());
    let found = found.or_else(|| secret_in(text));
    // An unknown path is said back, with whatever its caller wrote into it.
    if let Some(found) = found.filter(|_| !text.contains("\"Cannot ")) {
        FINDINGS.lock().unwrap().push(format!("{request} answered {status} with {found}: {text}"));
    }
}

struct Watch;

impl io::Write for Watch {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if let Some(found) = problem(&String::from_utf8_lossy(line)) {
            FINDINGS.lock().unwrap().push(format!("{found} in a log line: {}", String::from_utf8_lossy(line)));
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What is wrong with a log line: no JSON object of one line, or a secret in it.
pub fn problem(line: &str) -> Option<String> {
    let object = line.strip_suffix('\n').filter(|object| !object.contains(['\n', '\r', '\u{1b}']));
    if object.is_none_or(|object| serde_json::from_str::<serde_json::Map<_, _>>(object).is_err()) {
        return Some("not one JSON object".to_owned());
    }
    secret_in(line)
}

fn secret_in(text: &str) -> Option<String> {
    let fixed = [
        settings::WEBHOOK_SECRET,
        settings::STRIPE_KEY,
        settings::S3_ACCESS_KEY,
        settings::S3_SECRET_KEY,
        settings::PASSWORD,
        settings::ADMIN_TOKEN,
    ];
    if fixed.iter().any(|secret| text.contains(secret)) {
        return Some("a configured secret or a password".to_owned());
    }
    let secrets = SECRETS.read().unwrap();
    words(text)
        .find_map(|word| {
            if word.starts_with("eyJ") && word.len() >= SHORTEST_SECRET {
                Some("a signed token".to_owned())
            } else if Token::parse(word).is_some() {
                Some("a session's token or ticket".to_owned())
            } else if ["whsec_", "sk_test_", "sk_live_", "rk_"].iter().any(|start| word.starts_with(start)) {
                Some("a key of Stripe's".to_owned())
            } else {
                secrets.contains(word).then(|| "a watched secret".to_owned())
            }
        })
        .or_else(|| addresses(text).next().map(|address| format!("the address {address}")))
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|character: char| !character.is_ascii_alphanumeric() && !['_', '-'].contains(&character))
}

/// E-mail addresses; also those in a URL's user part.
fn addresses(text: &str) -> impl Iterator<Item = &str> {
    let parts = text.split(|character: char| !character.is_ascii_alphanumeric() && !"_-.@+".contains(character));
    parts.filter(|part| part.split_once('@').is_some_and(|(name, host)| !name.is_empty() && host.contains('.')))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(message: &str) -> String {
        format!("{}\n", serde_json::json!({ "fields": { "message": message } }))
    }

    /// The watch itself sees what it is there for.
    #[test]
    fn every_kind_of_secret_is_seen() {
        watch("authentik_session=0123456789abcdef0123456789abcdef; short=abc");
        let token = Token::random().unwrap();
        for secret in [
            "alice@example.org",
            "postgres://user:pass@db.example/x",
            settings::PASSWORD,
            settings::STRIPE_KEY,
            "sk_live_abc",
            "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.x",
            token.as_str(),
            "0123456789abcdef0123456789abcdef",
        ] {
            let said = line(&format!("session={secret}; rest"));
            assert!(problem(&said).is_some(), "{said}");
        }
        for harmless in ["GET /users/{id} abc", "0199f7b2-6f6c-7cc0-8000-abcdef012345", "a @ b", "npm@1"] {
            assert_eq!(problem(&line(harmless)), None, "{harmless}");
        }
        for broken in ["no JSON\n", "{}", "{}\n{}\n", "{\"a\":\"\u{1b}[31m\"}\n"] {
            assert!(problem(broken).is_some(), "{broken:?}");
        }
    }
}
