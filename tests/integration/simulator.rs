//! The simulated Partner Center, seen over HTTP as any client sees it. One rule per test.
#![allow(clippy::unwrap_used)]

mod bench;
mod control;
mod customers;
mod entitlements;
mod faults;
mod subscriptions;
mod time;
mod tokens;
