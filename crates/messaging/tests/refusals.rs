//! The program itself: what it says and how it ends when it cannot run. One clear line for each problem, no panic.

use std::{
    net::TcpListener,
    process::{Command, Output},
};

fn program(arguments: &[&str], settings: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_freehunt-messaging"));
    command.env_clear().args(arguments).envs(settings.iter().copied());
    command.output().expect("the program can be started")
}

const SETTINGS: [(&str, &str); 3] = [
    ("DATABASE_URL", "postgres://freehunt:canary-password@127.0.0.1:1/freehunt"),
    ("FRONTEND_URL", "http://localhost:5173"),
    ("AUTHENTIK_URL", "http://127.0.0.1:9000"),
];

/// Fault case 156: all of them at once, by name.
#[test]
fn every_missing_setting_is_named() {
    let output = program(&[], &[]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    for (name, _) in SETTINGS {
        assert!(said.contains(name), "{name} is not named: {said}");
    }
    assert!(!said.contains("panicked"), "{said}");
}

/// Fault case 156: an empty secret is a missing one, and no other value is printed.
#[test]
fn an_empty_secret_is_refused_by_name_only() {
    let mut settings = SETTINGS.to_vec();
    settings[0].1 = " ";
    settings.push(("AUTHENTIK_TOKEN", "canary-token"));
    let output = program(&[], &settings);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("DATABASE_URL") && !said.contains("canary"), "{said}");
}

#[test]
fn a_taken_port_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let output = program(&[], &[SETTINGS.as_slice(), &[("PORT", port.as_str())]].concat());
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains(&format!("port {port}")) && !said.contains("canary"), "{said}");
}

#[test]
fn a_health_check_without_a_server_fails_and_the_document_needs_none() {
    let unused = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    let unhealthy = program(&["healthcheck"], &[("PORT", &unused)]);
    assert_eq!(unhealthy.status.code(), Some(1));
    let document = program(&["asyncapi"], &[]);
    assert!(document.status.success());
    assert!(String::from_utf8(document.stdout).unwrap().contains("\"asyncapi\""));
}
