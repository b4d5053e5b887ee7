//! The rules between modules: who may use whom, who may build a status, and what nobody may send.

use crate::repository;
use crate::rust_source::{RustSource, Token, paths, sequences};

/// For each layer, the modules of this crate that it may use besides itself.
const LAYERS: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("application", &["domain"]),
    ("grpc", &["application", "domain"]),
    ("http", &["application", "domain"]),
    ("partner_center", &["application", "domain", "http"]),
    ("store", &["application", "domain"]),
    ("telemetry", &["application", "domain"]),
    // A program of its own; a wire type shared with the client would hide a shared mistake.
    ("simulator", &[]),
];

/// Modules that put the others together. They may use all, none of the layers may use them.
const COMPOSITION: &[&str] = &["app", "cli", "config", "demo", "lib", "main", "serve"];

/// Crates that a layer must not name, with all crates that continue the name (`tokio_util`).
const FOREIGN_CRATES: &[(&str, &[&str])] = &[
    (
        "domain",
        &[
            "axum", "futures", "hyper", "prost", "rand", "reqwest", "sqlx", "tokio", "tonic",
            "tower",
        ],
    ),
    (
        "application",
        &[
            "axum", "hyper", "prost", "reqwest", "sqlx", "tonic", "tower",
        ],
    ),
];

/// What reaches outside: files, sockets, processes, the environment, threads.
const STD_EFFECTS: &[&str] = &["env", "fs", "net", "process", "thread"];

/// Everything in tonic and tonic-types that builds a status from parts.
const STATUS_CONSTRUCTORS: &[&str] = &[
    "aborted",
    "already_exists",
    "cancelled",
    "data_loss",
    "deadline_exceeded",
    "failed_precondition",
    "from_error",
    "internal",
    "invalid_argument",
    "new",
    "not_found",
    "ok",
    "out_of_range",
    "permission_denied",
    "resource_exhausted",
    "try_from_error",
    "unauthenticated",
    "unavailable",
    "unimplemented",
    "unknown",
    "with_details",
    "with_details_and_metadata",
    "with_error_details",
    "with_error_details_and_metadata",
    "with_error_details_vec",
    "with_error_details_vec_and_metadata",
    "with_metadata",
];

/// All of `src`, without the files that are test modules.
fn product_sources() -> Vec<RustSource> {
    let all: Vec<RustSource> = repository::files()
        .iter()
        .filter(|file| file.starts_with("src/") && file.ends_with(".rs"))
        .map(|file| RustSource::new(file, &repository::read(file)))
        .collect();
    let tests: Vec<_> = all.iter().flat_map(RustSource::test_modules).collect();
    let product: Vec<RustSource> = all
        .into_iter()
        .filter(|source| !tests.iter().any(|test| source.module().starts_with(test)))
        .collect();
    assert!(
        product.iter().any(|source| source.file == "src/lib.rs"),
        "the sources are not where this test looks"
    );
    product
}

fn holds_everywhere(rule: fn(&RustSource) -> Vec<String>) {
    let broken: Vec<String> = product_sources().iter().flat_map(rule).collect();
    assert!(broken.is_empty(), "\n{}\n", broken.join("\n"));
}

/// The layer that a file belongs to: its top-level module.
fn layer(source: &RustSource) -> String {
    let file = source
        .file
        .trim_start_matches("src/")
        .trim_end_matches(".rs");
    source
        .module()
        .first()
        .cloned()
        .unwrap_or_else(|| file.into())
}

/// In the domain the rules hold for its tests too: they need no runtime.
fn tokens_under_rules(source: &RustSource) -> Vec<Token> {
    if layer(source) == "domain" {
        source.tokens().to_vec()
    } else {
        source.product_tokens()
    }
}

fn edges(source: &RustSource) -> Vec<String> {
    let layer = layer(source);
    if COMPOSITION.contains(&layer.as_str()) {
        return Vec::new();
    }
    let Some((_, allowed)) = LAYERS.iter().find(|(name, _)| *name == layer) else {
        return vec![format!(
            "{}: module `{layer}` has no row in LAYERS: decide what it may use",
            source.file
        )];
    };
    source
        .crate_paths(&tokens_under_rules(source))
        .into_iter()
        .filter(|path| path.segments[0] != layer && !allowed.contains(&path.segments[0].as_str()))
        .map(|path| {
            let path_text = path.segments.join("::");
            format!(
                "{}:{}: {layer} must not use {path_text}",
                source.file, path.line
            )
        })
        .collect()
}

fn foreign_crates(source: &RustSource) -> Vec<String> {
    let layer = layer(source);
    let Some((_, foreign)) = FOREIGN_CRATES.iter().find(|(name, _)| *name == layer) else {
        return Vec::new();
    };
    let is_foreign = |name: &str| {
        foreign.iter().any(|foreign| {
            name.strip_prefix(foreign)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('_'))
        })
    };
    paths(&tokens_under_rules(source))
        .into_iter()
        .filter(|path| is_foreign(&path.segments[0]))
        .map(|path| {
            let path_text = path.segments.join("::");
            format!(
                "{}:{}: {layer} must not use {path_text}",
                source.file, path.line
            )
        })
        .collect()
}

fn domain_effects(source: &RustSource) -> Vec<String> {
    if layer(source) != "domain" {
        return Vec::new();
    }
    let tokens = tokens_under_rules(source);
    let named = paths(&tokens).into_iter().filter_map(|path| {
        let effect = match path.segments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            ["std", module, ..] => STD_EFFECTS.contains(&module),
            [.., "now" | "new_v4" | "now_v7"] => true,
            _ => false,
        };
        effect.then(|| (path.line, path.segments.join("::")))
    });
    let waits = ["async", "await"].into_iter().flat_map(|keyword| {
        sequences(&tokens, &[keyword])
            .into_iter()
            .map(move |line| (line, keyword.to_owned()))
    });
    named
        .chain(waits)
        .map(|(line, what)| {
            format!(
                "{}:{line}: the domain decides, it never does: {what}",
                source.file
            )
        })
        .collect()
}

fn statuses(source: &RustSource) -> Vec<String> {
    if source.file == "src/grpc/errors.rs" {
        return Vec::new();
    }
    let tokens = source.product_tokens();
    let built = STATUS_CONSTRUCTORS
        .iter()
        .flat_map(|constructor| sequences(&tokens, &["Status", "::", constructor]));
    // Under another name it would pass unseen.
    let renamed = sequences(&tokens, &["Status", "as"]);
    built
        .chain(renamed)
        .map(|line| {
            format!(
                "{}:{line}: only src/grpc/errors.rs builds a tonic::Status",
                source.file
            )
        })
        .collect()
}

fn deletes(source: &RustSource) -> Vec<String> {
    if layer(source) == "simulator" {
        return Vec::new();
    }
    let tokens = source.product_tokens();
    let methods = paths(&tokens)
        .into_iter()
        .filter(|path| {
            matches!(
                path.segments.last().map(String::as_str),
                Some("DELETE" | "delete")
            )
        })
        .map(|path| path.line);
    let calls = sequences(&tokens, &[".", "delete", "("]);
    let literals = ["\"DELETE\"", "b\"DELETE\""]
        .into_iter()
        .flat_map(|literal| sequences(&tokens, &[literal]));
    methods
        .chain(calls)
        .chain(literals)
        .map(|line| {
            format!(
                "{}:{line}: nothing of ours sends an HTTP DELETE",
                source.file
            )
        })
        .collect()
}

fn introductions(source: &RustSource) -> Vec<String> {
    let first = source.text.lines().next().unwrap_or_default();
    let says = first
        .strip_prefix("//!")
        .is_some_and(|rest| !rest.trim().is_empty());
    if says {
        Vec::new()
    } else {
        vec![format!(
            "{}: the first line says (`//!`) what the file is about",
            source.file
        )]
    }
}

#[test]
fn layers_use_only_what_lies_below_them() {
    holds_everywhere(edges);
}

#[test]
fn domain_and_application_name_no_crate_of_an_adapter() {
    holds_everywhere(foreign_crates);
}

#[test]
fn the_domain_is_pure() {
    holds_everywhere(domain_effects);
}

#[test]
fn only_grpc_errors_builds_a_status() {
    holds_everywhere(statuses);
}

#[test]
fn nothing_sends_an_http_delete() {
    holds_everywhere(deletes);
}

#[test]
fn every_file_says_first_what_it_is_about() {
    holds_everywhere(introductions);
}

/// Each rule refuses what it is there for, and leaves its neighbours alone.
#[test]
fn the_rules_can_fail() {
    type Rule = fn(&RustSource) -> Vec<String>;
    #[rustfmt::skip] // A table: one case a line.
    let cases: &[(Rule, &str, &str, bool)] = &[
        (edges, "src/domain/plan.rs", "use crate::application::ports;", true),
        (edges, "src/domain/plan.rs", "use super::super::application;", true),
        (edges, "src/domain/plan.rs", "use super::blocker::Blocker;", false),
        (edges, "src/application/worker.rs", "use crate::{domain::ids, store::Sqlite};", true),
        (edges, "src/application/worker.rs", "use crate::domain::ids;", false),
        (edges, "src/grpc/mod.rs", "fn f() { crate::store::open() }", true),
        (edges, "src/http/tokens.rs", "use crate::partner_center::wire;", true),
        (edges, "src/partner_center/mod.rs", "use crate::http::Stack;", false),
        (edges, "src/simulator/mod.rs", "use crate::domain::ids;", true),
        (edges, "src/store/mod.rs", "use crate::config::Config;", true),
        (edges, "src/store/mod.rs", "use crate::*;", true),
        (edges, "src/store/mod.rs", "use crate as everything;", true),
        (edges, "src/store/mod.rs", "pub(crate) mod rows; pub(super) fn f() {}", false),
        (edges, "src/elsewhere.rs", "", true),
        (edges, "src/cli/demo.rs", "use crate::{grpc, simulator, store};", false),
        (foreign_crates, "src/domain/plan.rs", "use tokio_util::sync::CancellationToken;", true),
        (foreign_crates, "src/domain/plan.rs", "#[cfg(test)] mod tests { #[tokio::test] fn f() {} }", true),
        (foreign_crates, "src/domain/plan.rs", "use sqlx;", true),
        (foreign_crates, "src/domain/plan.rs", "use serde::Serialize; fn f(tower: u8) {}", false),
        (foreign_crates, "src/application/ports.rs", "fn f() -> Result<(), tonic::Status> {}", true),
        (foreign_crates, "src/application/worker.rs", "use tokio::sync::watch;", false),
        (domain_effects, "src/domain/time.rs", "fn f() { let t = jiff::Timestamp::now(); }", true),
        (domain_effects, "src/domain/time.rs", "use std::{collections::BTreeMap, fs};", true),
        (domain_effects, "src/domain/time.rs", "async fn f() {}", true),
        (domain_effects, "src/domain/time.rs", "fn f(now: Instant) -> std::fmt::Result {}", false),
        (statuses, "src/grpc/handlers.rs", "fn f() { Err(tonic::Status::not_found(\"\")) }", true),
        (statuses, "src/cli/serve.rs", "fn f() { Status::new(Code::Internal, \"\") }", true),
        (statuses, "src/grpc/handlers.rs", "use tonic::Status as Answer;", true),
        (statuses, "src/grpc/handlers.rs", "use tonic::{Code, Status as Answer};", true),
        (statuses, "src/grpc/errors.rs", "fn f() { Status::new(code, text) }", false),
        (statuses, "src/grpc/handlers.rs", "fn f(s: Status) { s.code(); StatusCode::new(); Status::from(e) }", false),
        (deletes, "src/partner_center/mod.rs", "fn f() { client.delete(url) }", true),
        (deletes, "src/http/mod.rs", "fn f() { send(reqwest::Method::DELETE) }", true),
        (deletes, "src/http/mod.rs", "fn f() { Method::from_bytes(b\"DELETE\") }", true),
        (deletes, "src/http/mod.rs", "fn f() { reqwest::Client::delete(&client, url) }", true),
        (deletes, "src/store/sqlite.rs", "const SQL: &str = \"DELETE FROM request_ids\"; // .delete(", false),
        (deletes, "src/simulator/routes.rs", "use axum::routing::delete;", false),
        (introductions, "src/grpc/mod.rs", "use tonic;\n//! late", true),
        (introductions, "src/grpc/mod.rs", "//!", true),
        (introductions, "src/grpc/mod.rs", "//! The handlers.", false),
    ];
    for (rule, file, text, refused) in cases {
        let broken = rule(&RustSource::new(file, text));
        assert_eq!(!broken.is_empty(), *refused, "{file}: {text}\n{broken:?}");
    }
}
