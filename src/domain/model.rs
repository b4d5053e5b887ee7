//! Model: a Partner Center in memory and a worker that drives an offboarding against it, for tests.
//!
//! Every choice (what upstream answers, who acts in between, when the worker crashes) comes from a tape of
//! numbers. Zero is the friendly choice, and a tape that has run out gives zeroes for ever: so every run
//! has to end, and a failing tape shrinks to the few choices that matter.

mod properties;
pub(super) mod upstream;
pub(super) mod worker;
