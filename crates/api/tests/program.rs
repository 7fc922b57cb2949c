//! The program itself: what it says and how it ends when it cannot run. One clear line for each problem, no panic.

use std::{
    net::TcpListener,
    process::{Command, Output},
};

const SECRETS: [(&str, &str); 4] = [
    ("S3_ACCESS_KEY", "canary-access-key"),
    ("S3_SECRET_KEY", "canary-secret-key"),
    ("STRIPE_SECRET_KEY", "sk_test_canary"),
    ("STRIPE_WEBHOOK_SECRET", "whsec_canary"),
];

fn program(arguments: &[&str], settings: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_freehunt-api"));
    command.env_clear().args(arguments).envs(settings.iter().copied());
    command.output().expect("the program can be started")
}

/// A port nobody listens on: it was free a moment ago.
fn unused_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("a bound listener has an address").port()
}

/// Everything a server needs, with a database that does not answer.
fn settings(port: &str) -> Vec<(&'static str, String)> {
    let mut settings = vec![
        ("DATABASE_URL", format!("postgres://freehunt:canary-password@127.0.0.1:{}/freehunt", unused_port())),
        ("FRONTEND_URL", "http://localhost:5173".to_owned()),
        ("AUTHENTIK_URL", "http://127.0.0.1:9000".to_owned()),
        ("S3_URL", "http://127.0.0.1:10000".to_owned()),
        ("PORT", port.to_owned()),
        ("DATABASE_START_TIMEOUT_MS", "500".to_owned()),
    ];
    settings.extend(SECRETS.map(|(name, value)| (name, value.to_owned())));
    settings
}

fn run(settings: &[(&'static str, String)]) -> (Option<i32>, String) {
    let settings: Vec<(&str, &str)> = settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let output = program(&[], &settings);
    (output.status.code(), String::from_utf8(output.stderr).expect("text"))
}

/// Fault case 156: all of them at once, by name.
#[test]
fn every_missing_setting_is_named() {
    let output = program(&[], &[]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    for name in ["DATABASE_URL", "FRONTEND_URL", "AUTHENTIK_URL", "S3_URL"] {
        assert!(said.contains(name), "{name} is not named: {said}");
    }
    for (name, _) in SECRETS {
        assert!(said.contains(name), "{name} is not named: {said}");
    }
    assert!(!said.contains("panicked"), "{said}");
}

/// Fault case 156: an empty secret is a missing one, and no other value is printed.
#[test]
fn an_empty_secret_is_refused_by_name_only() {
    let mut settings = settings("0");
    settings.retain(|(name, _)| *name != "STRIPE_WEBHOOK_SECRET");
    settings.push(("STRIPE_WEBHOOK_SECRET", String::new()));
    let (code, said) = run(&settings);
    assert_eq!(code, Some(1));
    assert!(said.contains("STRIPE_WEBHOOK_SECRET"), "{said}");
    assert!(!said.contains("canary"), "{said}");
}

#[test]
fn a_database_that_is_down_is_one_clear_line() {
    let (code, said) = run(&settings("0"));
    assert_eq!(code, Some(1), "{said}");
    let lines: Vec<&str> = said.lines().filter(|line| line.starts_with("freehunt-api:")).collect();
    assert!(matches!(lines[..], [line] if line.contains("the database cannot be reached")), "{said}");
    assert!(!said.contains("canary") && !said.contains("panicked"), "{said}");
}

#[test]
fn a_taken_port_is_named_before_anything_is_touched() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let (code, said) = run(&settings(&port));
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains(&format!("port {port}")), "{said}");
    assert!(!said.contains("panicked"), "{said}");
}

#[test]
fn the_document_and_the_settings_need_no_configuration() {
    let document = program(&["openapi"], &[]);
    assert!(document.status.success());
    assert!(String::from_utf8(document.stdout).unwrap().contains("\"openapi\": \"3.1.0\""));
    let settings = program(&["settings"], &[]);
    assert!(String::from_utf8(settings.stdout).unwrap().contains("| `DATABASE_URL` |"));
}
