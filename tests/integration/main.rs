//! The one integration binary: every test that needs a socket, a file or a process.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod cli;
mod config;
mod dependencies;
mod docs;
mod domain;
mod fixtures;
mod grpc;
mod harness;
mod journal;
mod kill;
mod layers;
mod offboarding;
mod partner_center;
mod repository;
mod rust_source;
mod service;
mod simulator;
mod store;
mod watch;
