//! The simulated Partner Center, seen over HTTP as any client sees it. One rule per test.
#![allow(clippy::unwrap_used)]

mod bench;
mod customers;
mod tokens;
