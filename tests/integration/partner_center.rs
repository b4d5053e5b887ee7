//! The Partner Center client against small upstreams on loopback: wire oddities, lies and refusals.
#![allow(clippy::unwrap_used)]

mod changes;
pub(crate) mod kit;
mod removal;
mod snapshot;
mod transport;
