//! `DATABASE_URL` in all its forms, and the options made from it.

use std::time::Duration;

use sqlx::postgres::PgSslMode;

use super::source_with;
use crate::DatabaseConfig;
use crate::database_url::DatabaseUrl;

fn url(text: &str) -> DatabaseUrl {
    match DatabaseUrl::parse(text) {
        Ok(url) => url,
        Err(reason) => panic!("{text} {reason}"),
    }
}

/// User, password, host, port and database.
fn parts(text: &str) -> (String, String, String, u16, String) {
    let url = url(text);
    (
        url.user.unwrap_or_default(),
        url.password.unwrap_or_default(),
        url.host.unwrap_or_default(),
        url.port.unwrap_or_default(),
        url.database.unwrap_or_default(),
    )
}

fn expected(password: &str) -> (String, String, String, u16, String) {
    ("freehunt".to_owned(), password.to_owned(), "db".to_owned(), 5432, "freehunt".to_owned())
}

fn config(variables: &[(&str, &str)]) -> (DatabaseConfig, Vec<String>) {
    DatabaseConfig::load_with_warnings(&source_with(variables)).expect("valid configuration")
}

/// Fault case 157.
#[test]
fn passwords_with_odd_characters_are_taken_as_they_are() {
    for password in [
        "a/b",
        "a+b",
        "a=b",
        "a@b",
        "a:b",
        "a%b",
        "a#b",
        "a?b",
        "a&b",
        "a b",
        "a\\b",
        "a\"b",
        "é€",
        "[a]",
        "/",
        "@",
        ":",
        "#",
        "?",
        "@@",
        "a@b/c",
        "a@b:1/c?d#e",
        "x@y/z?",
        "100%",
        "%zz",
        "%",
        "%e9",
        "%00",
        "a?schema",
        "a?b=c",
        "Zm9v/YmFy+QmF6==",
        "p@ss:w/o+r=d%#?",
        "two\nlines",
    ] {
        for query in ["", "?schema=public", "?schema=public&connection_limit=5&pgbouncer=true"] {
            let text = format!("postgresql://freehunt:{password}@db:5432/freehunt{query}");
            assert_eq!(parts(&text), expected(password), "{text}");
        }
    }
}

/// Fault case 157, for every pair of printable ASCII characters.
#[test]
fn every_pair_of_characters_survives() {
    let printable = || (b' '..=b'~').map(char::from);
    for first in printable() {
        for second in printable() {
            let password = format!("a{first}{second}z");
            for query in ["", "?schema=public"] {
                let text = format!("postgres://freehunt:{password}@db:5432/freehunt{query}");
                assert_eq!(parts(&text), expected(&password), "{text}");
            }
        }
    }
}

#[test]
fn encoded_passwords_are_decoded_when_all_of_it_decodes() {
    for (written, password) in [
        ("a%2Fb%2B%3D%40%3A%25%23", "a/b+=@:%#"),
        ("%C3%A9", "é"),
        ("100%25", "100%"),
        // One part does not decode, so the whole was not encoded.
        ("a%2Fb%", "a%2Fb%"),
        ("a%2Fb%zz", "a%2Fb%zz"),
    ] {
        let text = format!("postgresql://freehunt:{written}@db:5432/freehunt?schema=public");
        assert_eq!(parts(&text), expected(password), "{text}");
    }
}

#[test]
fn an_at_sign_in_a_parameter_does_not_move_the_host() {
    for text in [
        "postgresql://freehunt:p/w@db:5432/freehunt?application_name=me@corp",
        "postgresql://freehunt:p/w@db:5432/freehunt?application_name=me@corp/x",
        "postgresql://freehunt:p/w@db:5432/freehunt?unknown=me@corp",
    ] {
        assert_eq!(parts(text), expected("p/w"), "{text}");
    }
}

#[test]
fn hosts_in_every_form() {
    let host = |text: &str| {
        let url = url(text);
        (url.host, url.port, url.database)
    };
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(host("postgres://u:p@db"), (some("db"), None, None));
    assert_eq!(host("postgres://u:p@db/"), (some("db"), None, None));
    assert_eq!(host("POSTGRES://u@db_1.internal:6432/x"), (some("db_1.internal"), Some(6432), some("x")));
    assert_eq!(host("postgres://u:p@[::1]:5433/x"), (some("::1"), Some(5433), some("x")));
    assert_eq!(host("postgres://db/my%20base"), (some("db"), None, some("my base")));
    assert_eq!(host("postgres://u:p@%2Fvar%2Frun/x"), (some("/var/run"), None, some("x")));
    assert_eq!(
        host("postgres://u:p@localhost/x?host=/var/run/postgresql"),
        (some("/var/run/postgresql"), None, some("x"))
    );
    assert_eq!(host("postgres:///x?host=/tmp"), (some("/tmp"), None, some("x")));
}

#[test]
fn what_is_no_url_is_refused_without_repeating_it() {
    for text in [
        "canary",
        "mysql://u:canary@db/x",
        "postgres:/u:canary@db/x",
        "postgres://u:canary@db:99999/x",
        "postgres://u:canary@db:port/x",
        "postgres://u:canary@one,two/x",
        "postgres://u:canary@[zz]/x",
        "postgres://u:canary@db/x?connection_limit=canary",
        "postgres://u:canary@db/x?sslmode=canary",
        "postgres://u:canary@db/x?pgbouncer=canary",
        "postgres://u:canary@db/x/y",
    ] {
        let reason = DatabaseUrl::parse(text).err().unwrap_or_else(|| panic!("{text} is accepted"));
        assert!(!reason.contains("canary"), "{reason}");
    }
}

#[test]
fn the_session_is_in_utc_and_searches_the_schema() {
    let (default, warnings) = config(&[("DATABASE_URL", "postgres://u:p@db/x")]);
    assert_eq!(default.schema, "public");
    assert_eq!(default.options.get_options(), Some("-c search_path=\"public\" -c TimeZone=UTC"));
    assert_eq!(default.options.get_application_name(), Some("freehunt"));
    assert_eq!((default.options.get_host(), default.options.get_port()), ("db", 5432));
    assert_eq!(warnings, Vec::<String>::new());

    let query = "schema=My%20%22S&application_name=api&options=-c%20statement_timeout%3D5s%20--lock-timeout=1s%20-cTimeZone=CET";
    let (config, warnings) = config(&[("DATABASE_URL", &format!("postgres://u:p@db/x?{query}"))]);
    assert_eq!(config.schema, "My \"S");
    assert_eq!(config.options.get_application_name(), Some("api"));
    assert_eq!(
        config.options.get_options(),
        Some(
            "-c statement_timeout=5s -c lock_timeout=1s -c TimeZone=CET -c search_path=\"My\\ \"\"S\" -c TimeZone=UTC"
        )
    );
    assert_eq!(warnings, Vec::<String>::new());
}

#[test]
fn pool_sizes_come_from_the_setting_then_the_url_then_the_default() {
    let plain = ("DATABASE_URL", "postgres://u:p@db/x");
    let limited = ("DATABASE_URL", "postgres://u:p@db/x?connection_limit=7");
    assert_eq!(config(&[plain]).0.max_connections, 24);
    assert_eq!(config(&[limited]).0.max_connections, 7);
    assert_eq!(config(&[limited, ("DATABASE_MAX_CONNECTIONS", "9")]).0.max_connections, 9);
    assert_eq!(config(&[plain]).0.acquire_timeout, Duration::from_secs(2));
    assert_eq!(config(&[plain, ("DATABASE_ACQUIRE_TIMEOUT_MS", "50")]).0.acquire_timeout, Duration::from_millis(50));
}

#[test]
fn tls_modes_of_postgresql_and_prisma() {
    let mode = |query: &str| {
        let (config, warnings) = config(&[("DATABASE_URL", &format!("postgres://u:p@db/x?{query}"))]);
        assert_eq!(warnings, Vec::<String>::new());
        format!("{:?}", config.options.get_ssl_mode())
    };
    for (query, expected) in [
        ("", PgSslMode::Prefer),
        ("sslmode=disable", PgSslMode::Disable),
        ("sslmode=prefer", PgSslMode::Prefer),
        ("sslmode=require", PgSslMode::Require),
        ("sslmode=require&sslaccept=accept_invalid_certs", PgSslMode::Require),
        ("sslaccept=strict&sslmode=require", PgSslMode::VerifyFull),
        ("sslmode=verify-ca", PgSslMode::VerifyCa),
        ("sslmode=verify-full", PgSslMode::VerifyFull),
    ] {
        assert_eq!(mode(query), format!("{expected:?}"), "{query}");
    }
}

#[test]
fn parameters_of_prisma_are_accepted_and_what_is_lost_is_said() {
    let quiet = "pool_timeout=10&connect_timeout=5&socket_timeout=5&schema=&sslaccept=strict";
    let (_, warnings) = config(&[("DATABASE_URL", &format!("postgres://u:p@db/x?{quiet}"))]);
    assert_eq!(warnings, Vec::<String>::new());

    let loud = "sslcert=a.pem&sslidentity=b.p12&sslpassword=canary&canary=canary&options=canary&pgbouncer=true";
    let (config, warnings) = config(&[("DATABASE_URL", &format!("postgres://u:p@db/x?{loud}"))]);
    assert_eq!(warnings.len(), 6, "{warnings:?}");
    assert!(warnings.iter().all(|warning| warning.starts_with("DATABASE_URL: ") && !warning.contains("canary")));
    // The capacity has no accessor; the driver's debug output is the only way to see it.
    assert!(format!("{:?}", config.options).contains("statement_cache_capacity: 0"));
}

#[test]
fn debug_output_shows_no_password() {
    let (config, _) = config(&[("DATABASE_URL", "postgres://u:canary@db/x")]);
    assert!(!format!("{config:?}").contains("canary"));
}
