//! Domain: snapshot → blockers → plan; events → state → next step. Pure: no I/O, no runtime.

pub mod blocker;
pub mod describe;
pub mod event;
pub mod failure;
pub mod ids;
pub mod item;
pub mod judge;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::result_large_err)]
mod model;
pub mod offboarding;
pub mod plan;
pub mod policy;
pub mod restore;
pub mod rules;
pub mod snapshot;
pub mod step;
pub mod subscription;
pub mod time;
pub mod waiting;
