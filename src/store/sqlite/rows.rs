//! Between the store's types and SQLite's: identifiers, moments, rows, errors.

use sqlx::Row;
use sqlx::sqlite::SqliteRow;
use uuid::Uuid;

use crate::application::store::{EventRow, OffboardingRow, StoreError};
use crate::domain::ids::{CallerId, OffboardingId};
use crate::domain::time::Time;

/// The columns of an [`OffboardingRow`], in the order that [`offboarding`] reads them.
macro_rules! row_columns {
    () => {
        "id, sequence, head, created, caller, format, due, fold"
    };
}
pub(super) use row_columns;

/// SQLite's clock in microseconds (its resolution is a millisecond).
macro_rules! database_now {
    () => {
        "CAST(unixepoch('subsec') * 1000000 AS INTEGER)"
    };
}
pub(super) use database_now;

/// The 16 bytes of an identifier.
pub(super) fn bytes(id: Uuid) -> Vec<u8> {
    id.as_bytes().to_vec()
}

/// An unsigned number as SQLite keeps it. Nothing that counts reaches the limit; if it did, the
/// largest number compares as greater than everything stored, which is the truth.
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A duration in microseconds.
pub(super) fn micros(duration: std::time::Duration) -> i64 {
    // A hundred years: far beyond every lease, and adding it to a moment cannot overflow.
    const LONGEST: i64 = 100 * 366 * 24 * 3600 * 1_000_000;
    i64::try_from(duration.as_micros()).map_or(LONGEST, |it| it.min(LONGEST))
}

/// What the database said, as the port says it.
pub(super) fn failed(error: &sqlx::Error) -> StoreError {
    const SQLITE_CORRUPT: i32 = 11;
    const SQLITE_NOTADB: i32 = 26;
    match error {
        sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => {
            StoreError::Corrupt(error.to_string())
        }
        _ => match primary_code(error) {
            Some(SQLITE_CORRUPT | SQLITE_NOTADB) => StoreError::Corrupt(error.to_string()),
            _ => StoreError::Unavailable(error.to_string()),
        },
    }
}

/// SQLite's primary result code, if the error is one of SQLite's.
pub(super) fn primary_code(error: &sqlx::Error) -> Option<i32> {
    let sqlx::Error::Database(error) = error else {
        return None;
    };
    let extended: i32 = error.code()?.parse().ok()?;
    Some(extended & 0xff)
}

fn unreadable(column: &str, why: impl std::fmt::Display) -> sqlx::Error {
    sqlx::Error::Decode(format!("column {column}: {why}").into())
}

/// Reads an identifier.
pub(super) fn id(row: &SqliteRow, column: &str) -> Result<Uuid, sqlx::Error> {
    let raw: &[u8] = row.try_get(column)?;
    Uuid::from_slice(raw).map_err(|error| unreadable(column, error))
}

/// Reads a hash.
pub(super) fn hash(row: &SqliteRow, column: &str) -> Result<[u8; 32], sqlx::Error> {
    let raw: &[u8] = row.try_get(column)?;
    raw.try_into().map_err(|error| unreadable(column, error))
}

/// Reads a number that is never negative.
pub(super) fn unsigned(row: &SqliteRow, column: &str) -> Result<u64, sqlx::Error> {
    let raw: i64 = row.try_get(column)?;
    u64::try_from(raw).map_err(|error| unreadable(column, error))
}

fn format(row: &SqliteRow) -> Result<u32, sqlx::Error> {
    let raw: i64 = row.try_get("format")?;
    u32::try_from(raw).map_err(|error| unreadable("format", error))
}

fn moment(column: &str, raw: i64) -> Result<Time, sqlx::Error> {
    Time::from_microsecond(raw).map_err(|error| unreadable(column, error))
}

/// Reads an offboarding.
pub(super) fn offboarding(row: &SqliteRow) -> Result<OffboardingRow, sqlx::Error> {
    let due: Option<i64> = row.try_get("due")?;
    Ok(OffboardingRow {
        id: OffboardingId(id(row, "id")?),
        sequence: unsigned(row, "sequence")?,
        head: hash(row, "head")?,
        created: moment("created", row.try_get("created")?)?,
        caller: CallerId(row.try_get("caller")?),
        fold: row.try_get("fold")?,
        format: format(row)?,
        due: due.map(|raw| moment("due", raw)).transpose()?,
    })
}

/// Reads an event.
pub(super) fn event(row: &SqliteRow) -> Result<EventRow, sqlx::Error> {
    Ok(EventRow {
        sequence: unsigned(row, "sequence")?,
        at: moment("at", row.try_get("at")?)?,
        format: format(row)?,
        kind: row.try_get("kind")?,
        state: row.try_get("state")?,
        text: row.try_get("text")?,
        hash: hash(row, "hash")?,
    })
}
