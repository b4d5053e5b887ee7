//! The command line: the real binary, its words and its exit codes.

use std::process::{Command, Output};

/// The binary without anything in its environment that could change what it does.
fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_relationship-service"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("RELATIONSHIP_") {
            command.env_remove(name);
        }
    }
    command.env_remove("RUST_LOG");
    command
}

fn run(arguments: &[&str]) -> Output {
    program().args(arguments).output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// An address on which nobody listens.
fn nobody() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

const CUSTOMER: &str = "7d6e7a5e-3f44-4b6c-9a53-2f0c6f0a4c11";

#[test]
fn wrong_arguments_end_with_2() {
    let table: &[&[&str]] = &[
        &[],
        &["fly"],
        &["preview"],
        &["remove", CUSTOMER],
        &[
            "remove",
            CUSTOMER,
            "--reason",
            "r",
            "--label",
            "no-equals-sign",
        ],
        &[
            "remove",
            CUSTOMER,
            "--reason",
            "r",
            "--not-before",
            "tomorrow",
        ],
        &[
            "remove",
            CUSTOMER,
            "--reason",
            "r",
            "--wait",
            "--validate-only",
        ],
        &["status"],
        &["status", "id", "--customer", CUSTOMER],
        &["list", "--state", "gone"],
        &["list", "--page-size", "0"],
        &["list", "--page-size", "1001"],
        &["list", "--all", "--page-token", "x"],
        &["watch", "id", "--after-sequence", "-1"],
        &["completions", "tcsh"],
        &["preview", CUSTOMER, "--server", "ftp://127.0.0.1"],
        &["preview", CUSTOMER, "--timeout", "soon"],
    ];
    for arguments in table {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {output:?}");
        assert!(!output.stderr.is_empty(), "{arguments:?} said nothing");
        assert!(output.stdout.is_empty(), "{arguments:?} printed something");
    }
}

#[test]
fn every_command_explains_itself() {
    for command in [
        "serve",
        "simulate",
        "demo",
        "preview",
        "remove",
        "status",
        "events",
        "watch",
        "list",
        "cancel",
        "link",
        "completions",
    ] {
        let output = run(&[command, "--help"]);
        assert_eq!(output.status.code(), Some(0), "{command}");
        assert!(stdout(&output).contains("Usage:"), "{command}");
    }
}

#[test]
fn completions_know_the_commands() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = run(&["completions", shell]);
        assert_eq!(output.status.code(), Some(0), "{shell}");
        assert!(stdout(&output).contains("preview"), "{shell}");
    }
}

#[test]
fn a_service_that_is_not_there_ends_with_5() {
    let output = run(&["preview", CUSTOMER, "--server", &nobody()]);
    assert_eq!(output.status.code(), Some(5), "{output:?}");
    assert!(stderr(&output).contains("Is it running?"), "{output:?}");

    let output = run(&["list", "--json", "--server", &nobody()]);
    assert_eq!(output.status.code(), Some(5), "{output:?}");
    let error: serde_json::Value = serde_json::from_slice(&output.stderr).unwrap();
    assert!(error["error"]["message"].is_string(), "{error}");
}

#[test]
fn serve_without_a_partner_says_what_to_do() {
    let output = run(&["serve"]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let told = stderr(&output);
    assert!(told.contains("no partner is configured"), "{told}");
    assert!(told.contains("[partners.<alias>]"), "{told}");
}

#[test]
fn serve_tells_every_problem_at_once() {
    let output = program()
        .args([
            "serve",
            "--listen",
            "0.0.0.0:0",
            "--database",
            "postgres://h/d",
        ])
        .env("RELATIONSHIP_LOG__FORMAT", "xml")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let told = stderr(&output);
    for part in [
        "4 problems",
        "listen (from --listen)",
        "--insecure-listen",
        "database (from --database)",
        "log.format (from environment variable RELATIONSHIP_LOG__FORMAT)",
        "partners",
    ] {
        assert!(told.contains(part), "{part} is missing in\n{told}");
    }
}

#[test]
fn off_loopback_is_allowed_when_it_is_asked_for() {
    let output = run(&["serve", "--listen", "0.0.0.0:0", "--insecure-listen"]);
    let told = stderr(&output);
    assert!(told.contains("1 problem:"), "{told}");
    assert!(!told.contains("loopback"), "{told}");
}

#[test]
fn a_configuration_file_that_is_not_there_is_a_problem() {
    let output = run(&["serve", "--config", "/nonexistent/config.toml"]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(stderr(&output).contains("/nonexistent/config.toml: cannot be read"));
}

#[test]
fn the_demo_sees_everything_that_it_has_to_see() {
    let output = run(&["demo", "--once"]);
    let told = stdout(&output);
    assert_eq!(output.status.code(), Some(0), "{told}\n{}", stderr(&output));
    assert!(!told.contains("not seen"), "{told}");
    assert!(
        !told.contains('\u{1b}'),
        "colours where nobody looks:\n{told}"
    );
    for line in told.lines().filter(|line| !line.contains("://")) {
        assert!(line.chars().count() <= 100, "too wide: {line}");
    }
}

#[test]
fn the_demo_serves_this_machine_only() {
    let output = run(&["demo", "--once", "--listen", "0.0.0.0:0"]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
}
