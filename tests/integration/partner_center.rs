//! The Partner Center client against small upstreams on loopback: wire oddities, lies and refusals.
#![allow(clippy::unwrap_used)]

mod certificate;
mod changes;
mod clock;
pub(crate) mod kit;
mod removal;
mod snapshot;
mod transport;
