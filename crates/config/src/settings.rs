//! The table of every setting: the source of the defaults and of the documentation.
//!
//! A loader that reads a setting finds its fixed default here, so that what is documented is what happens.

use std::fmt::Write;

use SettingDefault::{Derived, Required, Unset, Value};

/// A program that reads settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// The HTTP API.
    Api,
    /// The Socket.IO server.
    Messaging,
}

/// What happens when a setting is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SettingDefault {
    /// The program refuses to start.
    Required,
    /// The feature is off.
    Unset,
    /// This value is used.
    Value(&'static str),
    /// The value follows from other settings, in these words.
    Derived(&'static str),
}

/// Description of one setting.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// Name in the environment; the secret file has the same name in lower case.
    pub name: &'static str,
    /// Programs that read it.
    pub programs: &'static [Program],
    /// What happens when it is missing.
    pub default: SettingDefault,
    /// Whether the value must be kept secret.
    pub secret: bool,
    /// Unit or form of the value; empty for plain text.
    pub unit: &'static str,
    /// Meaning in one sentence.
    pub meaning: &'static str,
}

const API: &[Program] = &[Program::Api];
const MESSAGING: &[Program] = &[Program::Messaging];
const BOTH: &[Program] = &[Program::Api, Program::Messaging];

/// Every setting, in the order of the documentation.
pub fn settings() -> &'static [Setting] {
    SETTINGS
}

/// The fixed default of a setting, if it has one.
pub(crate) fn default_of(name: &str) -> Option<&'static str> {
    let setting = SETTINGS.iter().find(|setting| setting.name == name)?;
    match setting.default {
        Value(default) => Some(default),
        Required | Unset | Derived(_) => None,
    }
}

/// The table of all settings in Markdown.
pub fn settings_markdown() -> String {
    let mut table = String::from("| Setting | Program | Default | Form | Meaning |\n|---|---|---|---|---|\n");
    for setting in SETTINGS {
        let programs: Vec<&str> = setting.programs.iter().map(|program| program.label()).collect();
        let default = match setting.default {
            Required => "**required**".to_owned(),
            Unset => "none".to_owned(),
            Value(value) => format!("`{value}`"),
            Derived(words) => escaped(words),
        };
        let form = match (setting.secret, setting.unit) {
            (true, "") => "secret".to_owned(),
            (true, unit) => format!("secret, {unit}"),
            (false, unit) => unit.to_owned(),
        };
        // Writing to a string cannot fail.
        let _ = writeln!(
            table,
            "| `{}` | {} | {default} | {form} | {} |",
            setting.name,
            programs.join(", "),
            escaped(setting.meaning)
        );
    }
    table
}

impl Program {
    fn label(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Messaging => "messaging",
        }
    }
}

/// Keeps characters with a meaning in Markdown tables as text.
fn escaped(text: &str) -> String {
    text.replace('|', "\\|").replace('<', "&lt;")
}

const fn plain(
    name: &'static str,
    programs: &'static [Program],
    default: SettingDefault,
    unit: &'static str,
    meaning: &'static str,
) -> Setting {
    Setting { name, programs, default, secret: false, unit, meaning }
}

const fn secret(
    name: &'static str,
    programs: &'static [Program],
    default: SettingDefault,
    unit: &'static str,
    meaning: &'static str,
) -> Setting {
    Setting { name, programs, default, secret: true, unit, meaning }
}

static SETTINGS: &[Setting] = &[
    secret(
        "DATABASE_URL",
        BOTH,
        Required,
        "",
        "PostgreSQL URL; the password need not be percent-encoded, and Prisma's parameters are understood or ignored.",
    ),
    plain(
        "DATABASE_MAX_CONNECTIONS",
        BOTH,
        Derived("the URL's connection_limit, else 24"),
        "connections",
        "Largest number of connections of one process; the API keeps a third of them for transactions and background work.",
    ),
    plain(
        "DATABASE_ACQUIRE_TIMEOUT_MS",
        BOTH,
        Value("2000"),
        "ms",
        "How long a request waits for a connection from the pool.",
    ),
    plain(
        "DATABASE_START_TIMEOUT_MS",
        API,
        Value("240000"),
        "ms",
        "How long a server that starts waits for a database that cannot be reached.",
    ),
    plain("BIND_ADDRESS", BOTH, Value("127.0.0.1"), "IP address", "Address to listen on; a container needs 0.0.0.0."),
    plain("PORT", BOTH, Derived("3000 for the API, 3001 for messaging"), "", "Port to listen on."),
    plain(
        "TRUSTED_PROXY_HOPS",
        BOTH,
        Value("0"),
        "proxies",
        "Number of reverse proxies whose X-Forwarded-For entry is believed.",
    ),
    plain(
        "SHUTDOWN_DELAY_MS",
        BOTH,
        Value("0"),
        "ms",
        "How long the program keeps serving, while it reports that it is not ready, after SIGTERM.",
    ),
    plain(
        "SHUTDOWN_TIMEOUT_MS",
        BOTH,
        Value("20000"),
        "ms",
        "How long running requests may take to finish after the shutdown delay.",
    ),
    plain("REQUEST_TIMEOUT_MS", BOTH, Value("30000"), "ms", "Longest time one request may take."),
    plain(
        "HEADER_TIMEOUT_MS",
        BOTH,
        Value("15000"),
        "ms",
        "Longest time a request's header may take to arrive, and a connection may be idle; more than the proxy keeps idle ones.",
    ),
    plain("FRONTEND_URL", BOTH, Required, "URL", "Address of the web frontend; its origin may call with credentials."),
    plain(
        "API_URL",
        BOTH,
        Derived("http://localhost:3000 (the API: its PORT) for a local FRONTEND_URL, else api.<its host>"),
        "URL",
        "Public address of the HTTP API.",
    ),
    plain(
        "COOKIE_DOMAIN",
        BOTH,
        Derived("the host of FRONTEND_URL without www., none for a local one"),
        "domain",
        "Domain attribute of the session cookie that the API and messaging hosts share.",
    ),
    plain(
        "COOKIE_SECURE",
        BOTH,
        Derived("true when FRONTEND_URL uses https"),
        "true or false",
        "Whether cookies get the Secure attribute.",
    ),
    plain(
        "ADDITIONAL_ORIGINS",
        BOTH,
        Unset,
        "origins, comma-separated",
        "Further origins that may call with credentials.",
    ),
    plain("AUTHENTIK_URL", BOTH, Required, "URL", "Address at which the programs reach Authentik."),
    plain("AUTHENTIK_PUBLIC_URL", BOTH, Derived("AUTHENTIK_URL"), "URL", "Address at which browsers reach Authentik."),
    plain(
        "AUTHENTIK_LOGIN_FLOW",
        BOTH,
        Value("default-authentication-flow"),
        "slug",
        "Authentik flow that logs a user in.",
    ),
    plain(
        "AUTHENTIK_ENROLLMENT_FLOW",
        BOTH,
        Value("freehunt-enrollment"),
        "slug",
        "Authentik flow that registers a user.",
    ),
    plain("AUTHENTIK_TIMEOUT_MS", BOTH, Value("2500"), "ms", "Time limit for one call to Authentik."),
    secret(
        "AUTHENTIK_TOKEN",
        BOTH,
        Unset,
        "",
        "Administrator token of Authentik, needed only by the command that binds identities.",
    ),
    plain(
        "OIDC_ISSUER",
        BOTH,
        Derived("<AUTHENTIK_PUBLIC_URL>/application/o/freehunt/"),
        "URL",
        "Issuer of the accepted tokens, with or without trailing slash exactly as in the tokens.",
    ),
    plain("OIDC_CLIENT_ID", BOTH, Value("freehunt"), "", "OpenID Connect client identifier."),
    secret(
        "OIDC_CLIENT_SECRET",
        BOTH,
        Unset,
        "",
        "OpenID Connect client secret; without it the client is public and relies on PKCE.",
    ),
    plain("OIDC_AUDIENCE", BOTH, Derived("OIDC_CLIENT_ID"), "", "Audience that accepted tokens must have."),
    plain(
        "OIDC_SIGNING_ALGORITHM",
        BOTH,
        Value("RS256"),
        "RS256 or ES256",
        "Algorithm that accepted tokens must be signed with.",
    ),
    plain("SESSION_LIFETIME_HOURS", BOTH, Value("336"), "hours", "Longest life of a session."),
    plain(
        "SESSION_REVALIDATE_SECONDS",
        BOTH,
        Value("60"),
        "seconds, 5 to 60",
        "Age after which a session is checked again at Authentik.",
    ),
    plain(
        "SESSION_GRACE_MINUTES",
        BOTH,
        Value("15"),
        "minutes",
        "How long a checked session may still read while Authentik is down.",
    ),
    plain(
        "IDENTITY_TRUST_ON_FIRST_USE",
        BOTH,
        Value("false"),
        "true or false",
        "Whether the first login binds a user that has no Authentik identity yet.",
    ),
    plain("SESSION_CACHE_CAPACITY", BOTH, Value("10000"), "sessions", "Number of checked sessions kept in memory."),
    plain(
        "LOGIN_LIMIT_ADDRESS_BURST",
        API,
        Value("10"),
        "attempts",
        "Login attempts that one client address may make at once.",
    ),
    plain(
        "LOGIN_LIMIT_ADDRESS_PER_MINUTE",
        API,
        Value("10"),
        "attempts per minute",
        "Login attempts that one client address regains.",
    ),
    plain("LOGIN_LIMIT_ACCOUNT_BURST", API, Value("10"), "attempts", "Login attempts that one account allows at once."),
    plain(
        "LOGIN_LIMIT_ACCOUNT_PER_MINUTE",
        API,
        Value("10"),
        "attempts per minute",
        "Login attempts that one account regains.",
    ),
    plain(
        "REGISTRATION_LIMIT_BURST",
        API,
        Value("5"),
        "attempts",
        "Registrations that one client address may make at once.",
    ),
    plain(
        "REGISTRATION_LIMIT_PER_HOUR",
        API,
        Value("20"),
        "attempts per hour",
        "Registrations that one client address regains.",
    ),
    plain(
        "SESSION_ADOPTION_LIMIT_BURST",
        API,
        Value("60"),
        "cookies",
        "Unknown Authentik cookies of one client address that are asked about at once.",
    ),
    plain(
        "SESSION_ADOPTION_LIMIT_PER_MINUTE",
        API,
        Value("60"),
        "cookies per minute",
        "Unknown Authentik cookies that one client address regains.",
    ),
    plain(
        "OIDC_LOGIN_LIMIT_BURST",
        API,
        Value("30"),
        "attempts",
        "OpenID Connect logins that one client address may begin at once.",
    ),
    plain(
        "OIDC_LOGIN_LIMIT_PER_MINUTE",
        API,
        Value("30"),
        "attempts per minute",
        "OpenID Connect logins that one client address regains.",
    ),
    plain("S3_URL", API, Required, "URL", "Endpoint at which the API reaches the object storage."),
    plain("S3_PUBLIC_URL", API, Derived("S3_URL"), "URL", "Endpoint from which browsers load avatars."),
    plain("S3_REGION", API, Value("eu-west-3"), "", "Region of the bucket."),
    plain("S3_BUCKET", API, Value("freehunt-avatar"), "", "Bucket of the avatars."),
    secret("S3_ACCESS_KEY", API, Required, "", "Access key of the object storage."),
    secret("S3_SECRET_KEY", API, Required, "", "Secret key of the object storage."),
    plain("S3_TIMEOUT_MS", API, Value("5000"), "ms", "Time limit for one call to the object storage."),
    secret(
        "STRIPE_SECRET_KEY",
        API,
        Required,
        "",
        "Secret or restricted API key of Stripe; its prefix decides between test and live mode.",
    ),
    secret(
        "STRIPE_WEBHOOK_SECRET",
        API,
        Required,
        "",
        "Signing secrets of the Stripe webhooks, separated by commas: of the endpoint, of the one for connected accounts, and during a rotation the old ones too.",
    ),
    plain(
        "STRIPE_API_URL",
        API,
        Value("https://api.stripe.com/"),
        "URL",
        "Address of the Stripe API; only stand-ins need another.",
    ),
    plain("STRIPE_TIMEOUT_MS", API, Value("10000"), "ms", "Time limit for one call to Stripe, at most 60000."),
    plain(
        "DOCS_ENABLED",
        BOTH,
        Derived("true for a local FRONTEND_URL, else false"),
        "true or false",
        "Whether the pages that describe the API, and the document of the chat's events, are served.",
    ),
    secret(
        "REDIS_URL",
        BOTH,
        Unset,
        "URL",
        "Redis that carries chat events between replicas, for every replica of both programs or for none; without it \
         PostgreSQL does.",
    ),
    plain("CHAT_SOCKETS_PER_USER", MESSAGING, Value("20"), "sockets", "Open sockets per user, on each replica."),
    plain("CHAT_EVENTS_PER_SECOND", MESSAGING, Value("20"), "events per second", "Events that one socket may send."),
    plain("CHAT_MAX_PAYLOAD_BYTES", MESSAGING, Value("65536"), "bytes", "Largest packet."),
    plain(
        "CHAT_REPLAY_MINUTES",
        MESSAGING,
        Value("10"),
        "minutes",
        "Age up to which messages are sent again after a reconnect.",
    ),
    plain(
        "CHAT_SOCKET_BUFFER",
        MESSAGING,
        Value("4096"),
        "packets",
        "Packets that may wait for a slow socket before it is dropped.",
    ),
    plain("LOG_FORMAT", BOTH, Value("json"), "json or text", "Form of the log lines."),
    plain("RUST_LOG", BOTH, Value("info"), "filter", "Which log lines are written, such as info,sqlx=warn."),
    plain(
        "METRICS_ADDRESS",
        BOTH,
        Unset,
        "IP address and port",
        "Separate listener for metrics, which must not be reachable publicly.",
    ),
    plain(
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        BOTH,
        Unset,
        "URL",
        "OpenTelemetry collector that traces are sent to, as OTLP over HTTP, at its path /v1/traces.",
    ),
];
