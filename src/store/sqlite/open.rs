//! Opening the database file: whatever could be wrong with it is found here and said in words that
//! tell what to do, before anything is written.

use std::ffi::OsString;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqlitePoolOptions,
    SqliteSynchronous,
};
use sqlx::{ConnectOptions, Connection};

use super::claims;
use super::rows::primary_code;

static MIGRATIONS: Migrator = sqlx::migrate!("migrations/sqlite");

/// How the store is opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Connections that answer reads side by side.
    pub readers: u32,
    /// How long a statement waits for somebody else's lock on the database, such as a backup's.
    pub busy_timeout: Duration,
    /// Databases up to this many bytes are checked for damage (`PRAGMA quick_check`) when they are
    /// opened; in larger ones damage shows when the damaged part is read.
    pub check_up_to: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            readers: 4,
            busy_timeout: Duration::from_secs(10),
            check_up_to: 64 * 1024 * 1024,
        }
    }
}

/// Why the database could not be opened, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The path names a directory.
    #[error("{0} is a directory; name the database file, e.g. {0}/relationship-service.db")]
    IsDirectory(PathBuf),
    /// The directory that should hold the file is not there.
    #[error("the directory {0} does not exist; create it or name another database file")]
    ParentMissing(PathBuf),
    /// The file, its directory or the file system cannot be written.
    #[error(
        "{path} cannot be written ({why}); make the file and its directory writable for the user \
         that runs the service"
    )]
    ReadOnly {
        /// What cannot be written.
        path: PathBuf,
        /// What the system said.
        why: String,
    },
    /// Another process has it open.
    #[error(
        "{path} is in use by another process (which holds {lock}); stop that process, or give this \
         one a database of its own"
    )]
    InUse {
        /// The database.
        path: PathBuf,
        /// The lock file. Deleting it does not help and would put the data at risk.
        lock: PathBuf,
    },
    /// A newer release has changed the database in a way that this one would damage.
    #[error(
        "{path} was written by a newer release: it needs a binary that knows schema {needed}, and \
         this one knows schema {known}; run the newer release"
    )]
    TooNew {
        /// The database.
        path: PathBuf,
        /// The oldest schema that a binary has to know.
        needed: i64,
        /// The newest schema that this binary knows.
        known: i64,
    },
    /// The file is something else.
    #[error("{0} is not a SQLite database; name another file, or move this one away")]
    NotADatabase(PathBuf),
    /// The file is a database of another program.
    #[error("{0} is a database of another program; name another file")]
    Foreign(PathBuf),
    /// The database is damaged.
    #[error("{path} is damaged ({why}); restore it from a backup")]
    Corrupt {
        /// The database.
        path: PathBuf,
        /// What SQLite said.
        why: String,
    },
    /// A migration that was applied differs from the one that this binary carries.
    #[error(
        "{path} was set up by a release that this one does not continue (migration {version} \
         differs); run the release that wrote it, or restore a backup from before it"
    )]
    Diverged {
        /// The database.
        path: PathBuf,
        /// The migration.
        version: i64,
    },
    /// Anything else that the system or SQLite said.
    #[error("{path} cannot be opened: {why}")]
    Failed {
        /// The database.
        path: PathBuf,
        /// What was said.
        why: String,
    },
}

/// What an open database consists of.
pub(super) struct Opened {
    pub(super) lock: File,
    pub(super) connect: SqliteConnectOptions,
    pub(super) writer: SqliteConnection,
    pub(super) readers: SqlitePool,
}

/// Opens the database, creating and migrating it as needed.
pub(super) async fn open(path: &Path, options: &Options) -> Result<Opened, OpenError> {
    // File calls on the local disk, once, at start: not worth a thread of their own.
    let lock = prepare(path)?;
    let size = path.metadata().map_or(0, |it| it.len());
    let failed = |error: sqlx::Error| classify(path, &error);

    let connect_options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(options.busy_timeout)
        .statement_cache_capacity(128);
    let mut writer = connect(&connect_options).await.map_err(failed)?;
    if let Err(error) = set_up(path, options, size, &mut writer).await {
        // Closed before the lock is given back: closing may still write.
        if let Err(error) = writer.close().await {
            tracing::warn!(%error, "closing a database that could not be used failed");
        }
        return Err(error);
    }

    let readers = SqlitePoolOptions::new()
        .max_connections(options.readers.max(1))
        .min_connections(1)
        // A connection to a file does not go stale: no ping before each use, no retirement.
        .test_before_acquire(false)
        .idle_timeout(None)
        .max_lifetime(None)
        .connect_with(
            connect_options
                .clone()
                .read_only(true)
                .create_if_missing(false),
        )
        .await
        .map_err(failed)?;
    Ok(Opened {
        lock,
        connect: connect_options,
        writer,
        readers,
    })
}

/// Checks the database for damage, brings its schema up to date and voids all claims.
async fn set_up(
    path: &Path,
    options: &Options,
    size: u64,
    writer: &mut SqliteConnection,
) -> Result<(), OpenError> {
    let failed = |error: sqlx::Error| classify(path, &error);
    if size > 0 && size <= options.check_up_to {
        let verdict: String = sqlx::query_scalar("PRAGMA quick_check(1)")
            .fetch_one(&mut *writer)
            .await
            .map_err(failed)?;
        if verdict != "ok" {
            return Err(OpenError::Corrupt {
                path: path.to_owned(),
                why: verdict,
            });
        }
    }
    migrate(path, writer).await?;
    let voided = claims::void_all(writer).await.map_err(failed)?;
    if voided > 0 {
        tracing::info!(
            voided,
            "took away the claims of the process before this one"
        );
    }
    Ok(())
}

/// Connects for writing and reads back what durability rests on: SQLite takes an unknown value of
/// `synchronous` without a word, and some file systems do not do WAL.
pub(super) async fn connect(
    options: &SqliteConnectOptions,
) -> Result<SqliteConnection, sqlx::Error> {
    let mut connection = options.connect().await?;
    let read_back = sqlx::query_as(
        "SELECT (SELECT synchronous FROM pragma_synchronous), \
         (SELECT journal_mode FROM pragma_journal_mode)",
    )
    .fetch_one(&mut connection)
    .await;
    let (synchronous, journal): (i64, String) = match read_back {
        Ok(settings) => settings,
        Err(error) => {
            connection.close().await?;
            return Err(error);
        }
    };
    if synchronous != 2 || journal != "wal" {
        connection.close().await?;
        return Err(sqlx::Error::Configuration(
            format!(
                "SQLite runs with synchronous={synchronous} and journal_mode={journal} where \
                 synchronous=2 (FULL) and journal_mode=wal were asked for; put the database on a \
                 local file system"
            )
            .into(),
        ));
    }
    Ok(connection)
}

/// Looks at the file and takes the lock.
fn prepare(path: &Path) -> Result<File, OpenError> {
    if path.is_dir() {
        return Err(OpenError::IsDirectory(path.to_owned()));
    }
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    if !parent.is_dir() {
        return Err(OpenError::ParentMissing(parent.to_owned()));
    }
    if let Ok(metadata) = path.metadata()
        && metadata.permissions().readonly()
    {
        // root could write it all the same; whoever took the write bits away did not want that.
        return Err(OpenError::ReadOnly {
            path: path.to_owned(),
            why: "its permissions are read-only".to_owned(),
        });
    }
    let mut lock_path = OsString::from(path);
    lock_path.push(".lock");
    let lock_path = PathBuf::from(lock_path);
    let lock = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&lock_path)
        .map_err(|error| refused(&lock_path, &error))?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            return Err(OpenError::InUse {
                path: path.to_owned(),
                lock: lock_path,
            });
        }
        Err(TryLockError::Error(error)) => return Err(refused(&lock_path, &error)),
    }
    match OpenOptions::new().read(true).write(true).open(path) {
        Ok(file) => {
            let mut head = Vec::new();
            file.take(16)
                .read_to_end(&mut head)
                .map_err(|error| refused(path, &error))?;
            if !head.is_empty() && head != *b"SQLite format 3\0" {
                return Err(OpenError::NotADatabase(path.to_owned()));
            }
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(refused(path, &error)),
    }
    Ok(lock)
}

fn refused(path: &Path, error: &std::io::Error) -> OpenError {
    match error.kind() {
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => OpenError::ReadOnly {
            path: path.to_owned(),
            why: error.to_string(),
        },
        _ => OpenError::Failed {
            path: path.to_owned(),
            why: error.to_string(),
        },
    }
}

fn classify(path: &Path, error: &sqlx::Error) -> OpenError {
    const READONLY: i32 = 8;
    const CORRUPT: i32 = 11;
    const NOTADB: i32 = 26;
    let path = path.to_owned();
    let why = error.to_string();
    match primary_code(error) {
        Some(READONLY) => OpenError::ReadOnly { path, why },
        // The file begins as a database does (or was just made), so it is one, with damage.
        Some(CORRUPT | NOTADB) => OpenError::Corrupt { path, why },
        _ => OpenError::Failed { path, why },
    }
}

/// Brings the schema up to date, or refuses a database that has gone beyond this binary.
async fn migrate(path: &Path, connection: &mut SqliteConnection) -> Result<(), OpenError> {
    let failed = |error: sqlx::Error| classify(path, &error);
    let known = MIGRATIONS.iter().map(|it| it.version).max().unwrap_or(0);
    let tables: Vec<String> =
        sqlx::query_scalar("SELECT name FROM sqlite_schema WHERE type = 'table'")
            .fetch_all(&mut *connection)
            .await
            .map_err(failed)?;
    let has = |name: &str| tables.iter().any(|it| it == name);
    if !tables.is_empty() && !has("_sqlx_migrations") {
        return Err(OpenError::Foreign(path.to_owned()));
    }
    if has("_sqlx_migrations") && !tables.iter().all(|it| it.starts_with("_sqlx")) {
        // Set up before: ours has a mark that says which binaries it still supports.
        if !has("schema_support") {
            return Err(OpenError::Foreign(path.to_owned()));
        }
        let needed: i64 = sqlx::query_scalar("SELECT oldest_supported FROM schema_support")
            .fetch_one(&mut *connection)
            .await
            .map_err(failed)?;
        if needed > known {
            return Err(OpenError::TooNew {
                path: path.to_owned(),
                needed,
                known,
            });
        }
    }
    // A newer release may have added to the schema what this one does not know and does not mind.
    let mut migrations = Migrator::with_migrations(MIGRATIONS.iter().cloned().collect());
    migrations.set_ignore_missing(true);
    migrations
        .run_direct(None, connection, false)
        .await
        .map_err(|error| match error {
            MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => {
                failed(error)
            }
            MigrateError::VersionMismatch(version) | MigrateError::Dirty(version) => {
                OpenError::Diverged {
                    path: path.to_owned(),
                    version,
                }
            }
            other => OpenError::Failed {
                path: path.to_owned(),
                why: other.to_string(),
            },
        })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::io;

    use super::*;

    #[tokio::test]
    async fn a_connection_that_is_not_durable_is_refused() {
        let weak = SqliteConnectOptions::new()
            .in_memory(true)
            .synchronous(SqliteSynchronous::Normal);
        let error = connect(&weak).await.unwrap_err().to_string();
        assert!(error.contains("synchronous=1"), "{error}");
        // A database in memory has no write-ahead log, whatever was asked for.
        let volatile = weak
            .synchronous(SqliteSynchronous::Full)
            .journal_mode(SqliteJournalMode::Wal);
        let error = connect(&volatile).await.unwrap_err().to_string();
        assert!(
            error.contains("synchronous=2 and journal_mode=memory"),
            "{error}"
        );
    }

    #[test]
    fn what_may_not_be_written_is_told_from_what_went_wrong() {
        let path = Path::new("/var/lib/x.db");
        for kind in [ErrorKind::ReadOnlyFilesystem, ErrorKind::PermissionDenied] {
            let error = refused(path, &io::Error::from(kind));
            assert!(matches!(error, OpenError::ReadOnly { .. }), "{error}");
        }
        let error = refused(path, &io::Error::from(ErrorKind::StorageFull));
        assert!(matches!(error, OpenError::Failed { .. }), "{error}");
    }
}
