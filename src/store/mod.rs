//! Adapters behind the port to the store: one per database.

pub mod sqlite;

pub use sqlite::{Counters, OpenError, Options, SqliteStore};
