//! Show: answers of the service as text for people.

pub(crate) mod event;
pub(crate) mod list;
pub(crate) mod offboarding;
pub(crate) mod preview;
