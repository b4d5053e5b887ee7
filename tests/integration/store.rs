//! The store: one contract for every implementation, and what is particular to each.

mod contract;
mod fixture;
mod lists;
mod sqlite;
mod sqlite_crash;
mod sqlite_open;
