//! SQLite: everything that can be wrong with the file is refused with words that help, and unharmed.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use relationship_service::application::store::{Store, StoreError};
use relationship_service::store::{OpenError, Options, SqliteStore};
use sqlx::Connection;

use super::fixture::{LONG, accepted_due, append, partner, shows, worker};
use super::sqlite::beside;

fn folder() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.db");
    (folder, path)
}

async fn open(path: &Path) -> Result<SqliteStore, OpenError> {
    SqliteStore::open(path, Options::default()).await
}

async fn refusal(path: &Path) -> OpenError {
    match open(path).await {
        Ok(_) => panic!("{} was opened", path.display()),
        Err(error) => error,
    }
}

/// A database with one offboarding, closed.
async fn filled(path: &Path) {
    let store = open(path).await.unwrap();
    accepted_due(&store, partner(), 0).await;
    store.close().await;
}

#[tokio::test]
async fn a_directory_is_no_database() {
    let (folder, _path) = folder();
    let error = refusal(folder.path()).await;
    assert!(matches!(error, OpenError::IsDirectory(_)), "{error}");
    assert!(error.to_string().contains("is a directory"));
}

#[tokio::test]
async fn a_missing_directory_is_named() {
    let (folder, _path) = folder();
    let error = refusal(&folder.path().join("no/such/test.db")).await;
    let OpenError::ParentMissing(missing) = &error else {
        panic!("{error}");
    };
    assert_eq!(*missing, folder.path().join("no/such"));
    assert!(!missing.exists());
}

#[tokio::test]
async fn a_read_only_file_is_left_alone() {
    let (_folder, path) = folder();
    filled(&path).await;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o444)).unwrap();
    let before = fs::read(&path).unwrap();
    let error = refusal(&path).await;
    assert!(matches!(error, OpenError::ReadOnly { .. }), "{error}");
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[tokio::test]
async fn a_database_in_use_is_refused_until_it_is_closed() {
    let (_folder, path) = folder();
    let store = open(&path).await.unwrap();
    let error = refusal(&path).await;
    assert!(matches!(error, OpenError::InUse { .. }), "{error}");
    assert!(error.to_string().contains("test.db.lock"), "{error}");
    store.close().await;
    open(&path).await.unwrap().close().await;
}

#[tokio::test]
async fn a_file_of_another_kind_is_refused_and_kept() {
    let (_folder, path) = folder();
    for text in ["x", "dear diary, this is not a database at all"] {
        fs::write(&path, text).unwrap();
        let error = refusal(&path).await;
        assert!(matches!(error, OpenError::NotADatabase(_)), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
    }
}

#[tokio::test]
async fn a_database_of_another_program_is_refused() {
    let (_folder, path) = folder();
    for statement in [
        "CREATE TABLE bookmarks (url TEXT)",
        // One that sqlx has migrated too.
        "CREATE TABLE _sqlx_migrations (version BIGINT PRIMARY KEY)",
    ] {
        fs::write(&path, "").unwrap();
        let mut sql = beside(&path).await;
        sqlx::query("CREATE TABLE IF NOT EXISTS cookies (name TEXT)")
            .execute(&mut sql)
            .await
            .unwrap();
        sqlx::query(statement).execute(&mut sql).await.unwrap();
        sql.close().await.unwrap();
        let error = refusal(&path).await;
        assert!(matches!(error, OpenError::Foreign(_)), "{error}");
    }
}

#[tokio::test]
async fn a_damaged_database_is_refused() {
    let (folder, path) = folder();
    filled(&path).await;
    let whole = fs::read(&path).unwrap();
    let mut overwritten = whole.clone();
    let middle = whole.len() / 2 / 4096 * 4096;
    overwritten[middle..middle + 4096].fill(0xab);
    let cut = whole[..whole.len() / 2].to_vec();
    for (name, bytes) in [("overwritten.db", overwritten), ("cut.db", cut)] {
        let path = folder.path().join(name);
        fs::write(&path, &bytes).unwrap();
        let error = refusal(&path).await;
        assert!(
            matches!(error, OpenError::Corrupt { .. }),
            "{name}: {error}"
        );
    }
    let copy = folder.path().join("whole.db");
    fs::write(&copy, &whole).unwrap();
    open(&copy).await.unwrap().close().await;
}

async fn run(path: &Path, statements: &[&'static str]) {
    let mut sql = beside(path).await;
    for statement in statements {
        sqlx::query(*statement).execute(&mut sql).await.unwrap();
    }
    sql.close().await.unwrap();
}

#[tokio::test]
async fn a_newer_schema_is_refused_only_when_it_says_so() {
    let (_folder, path) = folder();
    filled(&path).await;
    // A newer release has added something …
    run(
        &path,
        &[
            "ALTER TABLE offboardings ADD COLUMN mood TEXT",
            "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
             VALUES (9000, 'mood', 1, x'00', 1)",
        ],
    )
    .await;
    let store = open(&path).await.unwrap();
    accepted_due(&store, partner(), 0).await;
    store.close().await;
    // … and the one after it has taken something away.
    run(
        &path,
        &["UPDATE schema_support SET oldest_supported = 9000"],
    )
    .await;
    let error = refusal(&path).await;
    assert!(
        matches!(error, OpenError::TooNew { needed: 9000, .. }),
        "{error}"
    );
    assert!(
        error.to_string().contains("run the newer release"),
        "{error}"
    );
}

#[tokio::test]
async fn another_history_of_migrations_is_refused() {
    let (_folder, path) = folder();
    filled(&path).await;
    run(&path, &["UPDATE _sqlx_migrations SET checksum = x'00'"]).await;
    let error = refusal(&path).await;
    assert!(
        matches!(error, OpenError::Diverged { version: 1, .. }),
        "{error}"
    );
}

#[tokio::test]
async fn opening_takes_all_claims_away_and_raises_their_fences() {
    let (_folder, path) = folder();
    let (held, free) = (partner(), partner());
    let store = open(&path).await.unwrap();
    let id = accepted_due(&store, held, 0).await;
    accepted_due(&store, free, 0).await;
    let old = store.claim(&[shows(held, 0)], 9, LONG).await.unwrap();
    store.close().await;

    let store = open(&path).await.unwrap();
    let refused = store.append(append(id, 1, worker(old[0].fence))).await;
    assert!(matches!(refused, Err(StoreError::ClaimLost)), "{refused:?}");
    let may = store.may_send(id, old[0].fence, 1, Duration::ZERO).await;
    assert!(!may.unwrap());
    let again = store.claim(&[shows(held, 0)], 9, LONG).await.unwrap();
    assert_eq!(again[0].fence, old[0].fence + 2, "voided, then claimed");
    let untouched = store.claim(&[shows(free, 0)], 9, LONG).await.unwrap();
    assert_eq!(untouched[0].fence, 1);
    store.close().await;
}
