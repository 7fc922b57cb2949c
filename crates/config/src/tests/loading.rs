//! Sources, precedence, defaults and the report of problems.

use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use secrecy::ExposeSecret;

use super::{required, source_with};
use crate::{ApiConfig, DatabaseConfig, LogFormat, MessagingConfig, SigningAlgorithm, Source};

fn api(variables: &[(&str, &str)]) -> ApiConfig {
    ApiConfig::load(&source_with(variables)).expect("valid configuration")
}

fn api_problems(source: &Source) -> Vec<String> {
    let errors = ApiConfig::load(source).expect_err("invalid configuration");
    errors.to_string().lines().map(str::to_owned).collect()
}

/// Fault case 156.
#[test]
fn everything_missing_is_reported_at_once_by_name() {
    let empty = Source::from_map(Vec::<(String, String)>::new(), "/nonexistent");
    let missing = |name: &str| {
        let file = name.to_lowercase();
        format!("{name} is missing (set it in the environment or in /nonexistent/{file})")
    };
    let api_names = [
        "DATABASE_URL",
        "FRONTEND_URL",
        "AUTHENTIK_URL",
        "S3_URL",
        "S3_ACCESS_KEY",
        "S3_SECRET_KEY",
        "STRIPE_SECRET_KEY",
        "STRIPE_WEBHOOK_SECRET",
    ];
    assert_eq!(api_problems(&empty), api_names.map(missing));
    let errors = MessagingConfig::load(&empty).expect_err("nothing is set");
    let messaging_names = ["DATABASE_URL", "FRONTEND_URL", "AUTHENTIK_URL"].map(missing);
    assert_eq!(errors.to_string(), messaging_names.join("\n"));
    let errors = DatabaseConfig::load(&empty).expect_err("nothing is set");
    assert_eq!(errors.to_string(), missing("DATABASE_URL"));
}

/// Fault cases 85 and 156.
#[test]
fn each_required_setting_alone_stops_the_start_when_missing_empty_or_a_placeholder() {
    for name in required().into_keys() {
        for value in ["", "  \r\n", "changeme", "<value>"] {
            let problems = api_problems(&source_with(&[(&name, value)]));
            assert_eq!(problems.len(), 1, "{name}={value:?}: {problems:?}");
            assert!(problems[0].starts_with(&format!("{name} ")), "{problems:?}");
        }
    }
    for (name, value) in [
        ("DATABASE_URL", "postgresql://freehunt:your_password@db/freehunt"),
        ("DATABASE_URL", "postgresql://freehunt:<password>@db/freehunt"),
        ("STRIPE_SECRET_KEY", "sk_test_..."),
        ("STRIPE_WEBHOOK_SECRET", "whsec_xxx"),
        ("AUTHENTIK_TOKEN", "changeme"),
        ("OIDC_CLIENT_SECRET", "${OIDC_CLIENT_SECRET}"),
    ] {
        let problems = api_problems(&source_with(&[(name, value)]));
        assert_eq!(problems.len(), 1, "{name}: {problems:?}");
        assert!(problems[0].starts_with(name) && !problems[0].contains(value), "{problems:?}");
    }
}

/// Fault cases 156 and 157: names, never values.
#[test]
fn invalid_values_are_reported_together_and_never_shown() {
    let names = [
        "DATABASE_URL",
        "DATABASE_MAX_CONNECTIONS",
        "DATABASE_ACQUIRE_TIMEOUT_MS",
        "BIND_ADDRESS",
        "PORT",
        "TRUSTED_PROXY_HOPS",
        "FRONTEND_URL",
        "API_URL",
        "COOKIE_SECURE",
        "AUTHENTIK_URL",
        "AUTHENTIK_LOGIN_FLOW",
        "OIDC_ISSUER",
        "OIDC_SIGNING_ALGORITHM",
        "SESSION_REVALIDATE_SECONDS",
        "IDENTITY_TRUST_ON_FIRST_USE",
        "LOGIN_LIMIT_ADDRESS_BURST",
        "S3_URL",
        "S3_SECRET_KEY",
        "STRIPE_SECRET_KEY",
        "DATABASE_START_TIMEOUT_MS",
        "DOCS_ENABLED",
        "LOG_FORMAT",
        "METRICS_ADDRESS",
    ];
    let values: Vec<(&str, &str)> = names.iter().map(|name| (*name, "top/canary value")).collect();
    let problems = api_problems(&source_with(&values));
    let reported: Vec<&str> = problems.iter().filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(reported, names);
    assert!(!problems.concat().contains("canary"), "{problems:?}");
}

#[test]
fn the_revalidation_age_stays_between_five_and_sixty_seconds() {
    for value in ["4", "61", "0"] {
        let problems = api_problems(&source_with(&[("SESSION_REVALIDATE_SECONDS", value)]));
        assert_eq!(problems, ["SESSION_REVALIDATE_SECONDS is not a whole number between 5 and 60"]);
    }
    assert_eq!(api(&[("SESSION_REVALIDATE_SECONDS", "5")]).sessions.revalidate_after, Duration::from_secs(5));
}

/// Fault case 157.
#[test]
fn secret_files_are_trimmed() {
    let directory = tempfile::tempdir().unwrap();
    for (name, value) in required() {
        let content = format!("\u{feff} {value}\r\n\r\n");
        fs::write(directory.path().join(name.to_lowercase()), content).unwrap();
    }
    let source = Source::from_map(Vec::<(String, String)>::new(), directory.path());
    let config = ApiConfig::load(&source).unwrap();
    assert_eq!(config.s3.secret_key.expose_secret(), "secret-canary");
    assert_eq!(config.stripe.secret_key.expose_secret(), "sk_test_canary");
    assert_eq!(config.stripe.webhook_secrets[0].expose_secret(), "whsec_canary");
    assert_eq!(config.database.options.get_database(), Some("freehunt"));
    assert_eq!(config.warnings, Vec::<String>::new());
}

/// Fault case 162.
#[test]
fn the_environment_wins_over_the_secret_file_and_a_warning_says_so() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("s3_access_key"), "from-file").unwrap();
    let config = ApiConfig::load(&Source::from_map(required(), directory.path())).unwrap();
    assert_eq!(config.s3.access_key.expose_secret(), "access-canary");
    let path = directory.path().join("s3_access_key");
    let expected =
        format!("S3_ACCESS_KEY is set in the environment and in {}: the environment is used", path.display());
    assert_eq!(config.warnings, [expected]);
}

#[test]
fn an_empty_variable_counts_as_missing_so_the_secret_file_is_used() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("s3_access_key"), "from-file\n").unwrap();
    let mut variables = required();
    variables.insert("S3_ACCESS_KEY".to_owned(), " ".to_owned());
    variables.insert("PORT".to_owned(), String::new());
    let config = ApiConfig::load(&Source::from_map(variables, directory.path())).unwrap();
    assert_eq!(config.s3.access_key.expose_secret(), "from-file");
    assert_eq!(config.http.port, 3000);
    assert_eq!(config.warnings, Vec::<String>::new());
}

#[test]
fn an_unreadable_secret_file_is_a_problem_of_its_own() {
    let directory = tempfile::tempdir().unwrap();
    // Docker creates a directory where the file of a bind mount is missing.
    fs::create_dir(directory.path().join("s3_access_key")).unwrap();
    fs::write(directory.path().join("s3_secret_key"), [0xff, 0xfe]).unwrap();
    let mut variables = required();
    variables.remove("S3_ACCESS_KEY");
    variables.remove("S3_SECRET_KEY");
    let problems = api_problems(&Source::from_map(variables, directory.path()));
    assert_eq!(problems.len(), 2);
    assert!(problems[0].starts_with("S3_ACCESS_KEY cannot be read from "), "{problems:?}");
    assert!(problems[1].starts_with("S3_SECRET_KEY cannot be read from "), "{problems:?}");
}

#[test]
fn defaults_of_the_api() {
    let config = api(&[]);
    assert_eq!(config.http.bind, IpAddr::V4(Ipv4Addr::LOCALHOST));
    assert_eq!((config.http.port, config.http.trusted_proxy_hops), (3000, 0));
    assert_eq!(config.http.shutdown_delay, Duration::ZERO);
    assert_eq!(config.http.shutdown_timeout, Duration::from_secs(20));
    assert_eq!(config.http.request_timeout, Duration::from_secs(30));
    assert_eq!(config.authentik.public_url, config.authentik.url);
    assert_eq!(config.authentik.timeout, Duration::from_millis(2_500));
    assert!(config.authentik.admin_token.is_none());
    assert_eq!(config.oidc.issuer.as_str(), "http://authentik-server:9000/application/o/freehunt/");
    assert_eq!((config.oidc.client_id.as_str(), config.oidc.audience.as_str()), ("freehunt", "freehunt"));
    assert!(config.oidc.client_secret.is_none());
    assert_eq!(config.oidc.signing_algorithm, SigningAlgorithm::Rs256);
    assert_eq!(config.sessions.lifetime, Duration::from_secs(336 * 3_600));
    assert_eq!(config.sessions.revalidate_after, Duration::from_secs(60));
    assert_eq!(config.sessions.grace, Duration::from_secs(900));
    assert!(!config.sessions.trust_on_first_use);
    assert_eq!((config.s3.region.as_str(), config.s3.bucket.as_str()), ("eu-west-3", "freehunt-avatar"));
    assert_eq!(config.s3.public_url, config.s3.url);
    assert_eq!(config.stripe.api_url.as_str(), "https://api.stripe.com/");
    assert!(!config.stripe.live_mode && !config.docs_enabled);
    assert_eq!((config.log.format, config.log.filter.as_str()), (LogFormat::Json, "info"));
    assert!(config.metrics_address.is_none());
}

#[test]
fn defaults_of_messaging() {
    let source = source_with(&[("REDIS_URL", "redis://:redis-canary@redis:6379/0")]);
    let config = MessagingConfig::load(&source).unwrap();
    assert_eq!(config.http.port, 3001);
    assert!(!config.docs_enabled);
    assert_eq!(config.redis_url.as_ref().and_then(|url| url.password()), Some("redis-canary"));
    assert_eq!((config.chat.sockets_per_user, config.chat.events_per_second), (20, 20));
    assert_eq!((config.chat.max_payload_bytes, config.chat.socket_buffer), (65_536, 4_096));
    assert_eq!(config.chat.replay_window, Duration::from_secs(600));
    assert!(!format!("{config:?}").contains("canary"));
}

#[test]
fn derived_values_follow_what_is_set() {
    let config = api(&[
        ("FRONTEND_URL", "http://localhost:5173"),
        ("PORT", "8080"),
        ("AUTHENTIK_PUBLIC_URL", "https://authentik.freehunt.example/sso"),
        ("OIDC_CLIENT_ID", "client"),
    ]);
    assert_eq!(config.frontend.api_url.as_str(), "http://localhost:8080/");
    assert!(config.docs_enabled);
    assert_eq!(config.oidc.issuer.as_str(), "https://authentik.freehunt.example/sso/application/o/freehunt/");
    assert_eq!(config.oidc.audience, "client");
    for issuer in ["https://idp.example/o/app", "https://idp.example/o/app/", "https://idp.example"] {
        assert_eq!(api(&[("OIDC_ISSUER", issuer)]).oidc.issuer.as_str(), issuer);
    }
}

/// Fault case 158: a configuration that ends up in a log shows no secret.
#[test]
fn debug_output_shows_no_secret() {
    let shown = format!("{:?}", api(&[("AUTHENTIK_TOKEN", "token-canary"), ("OIDC_CLIENT_SECRET", "oidc-canary")]));
    assert!(!shown.contains("canary"), "{shown}");
}
