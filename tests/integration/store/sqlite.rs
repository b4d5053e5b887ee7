//! SQLite: the contract, shared commits, and nothing half-written when the database fails.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use proptest::prelude::Strategy;
use proptest::test_runner::{Config, TestRunner};
use relationship_service::application::store::{Appender, Store, StoreError};
use relationship_service::domain::ids::OffboardingId;
use relationship_service::store::{Options, SqliteStore};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Connection};

use super::fixture::{LONG, accepted_due, append, columns, ended, event, new, partner, shows};

mod contract_on_sqlite {
    use super::fresh;
    crate::store::contract::contract!(fresh);
}

/// A store on a file of its own.
struct Fresh {
    store: Arc<SqliteStore>,
    folder: tempfile::TempDir,
}

impl Fresh {
    fn store(&self) -> Arc<dyn Store> {
        self.store.clone()
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("test.db")
    }

    async fn finish(self) {
        self.store.close().await;
        assert_eq!(self.store.counters().failures, 0);
        self.folder.close().unwrap();
    }
}

async fn fresh() -> Fresh {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.db");
    let store = SqliteStore::open(&path, Options::default()).await.unwrap();
    Fresh {
        store: Arc::new(store),
        folder,
    }
}

/// A connection beside the store's, as an operator's `sqlite3` would be.
pub(super) async fn beside(path: &Path) -> SqliteConnection {
    SqliteConnectOptions::new()
        .filename(path)
        .connect()
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parallel_appends_share_commits() {
    let fresh = fresh().await;
    let store = fresh.store();
    let partner = partner();
    let ids = join_all((0..100).map(|_| accepted_due(&*store, partner, 0))).await;
    let before = fresh.store.counters();
    let answers = join_all(
        ids.iter()
            .map(|id| store.append(append(*id, 1, Appender::Control))),
    )
    .await;
    assert!(answers.iter().all(Result::is_ok));
    let after = fresh.store.counters();
    assert_eq!(after.requests - before.requests, 100);
    // All are queued before the first commit is through: how many groups they make depends on the
    // machine, that they are far fewer than requests does not.
    let commits = after.commits - before.commits;
    assert!(commits <= 50, "{commits} commits for 100 appends");
    fresh.finish().await;
}

#[tokio::test]
async fn what_changes_nothing_costs_no_commit() {
    let fresh = fresh().await;
    let store = fresh.store();
    let partner = partner();
    let id = accepted_due(&*store, partner, 5).await;
    let before = fresh.store.counters().commits;
    store.claim(&[shows(partner, 0)], 9, LONG).await.unwrap();
    store.release(id, 3).await.unwrap();
    store
        .append(append(id, 7, Appender::Control))
        .await
        .unwrap_err();
    assert_eq!(fresh.store.counters().commits, before);
    fresh.finish().await;
}

/// A trigger stands in for a disk that fails in the middle of a request: after the row was updated,
/// while its events are inserted.
async fn poison(path: &Path) {
    let mut sql = beside(path).await;
    sqlx::query(
        "CREATE TRIGGER poison BEFORE INSERT ON events WHEN NEW.kind = 'poison' \
         BEGIN SELECT RAISE(ABORT, 'disk I/O error'); END",
    )
    .execute(&mut sql)
    .await
    .unwrap();
    sql.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_breaks_does_not_undo_the_others_of_its_group() {
    let fresh = fresh().await;
    let store = fresh.store();
    let partner = partner();
    let ids = join_all((0..40).map(|_| accepted_due(&*store, partner, 0))).await;
    poison(&fresh.path()).await;
    let answers = join_all(ids.iter().enumerate().map(|(number, id)| {
        let mut append = append(*id, 1, Appender::Control);
        // The first event is fine, so that there is something to take back.
        append
            .events
            .push(event(3, if number % 10 == 3 { "poison" } else { "step" }));
        append.columns = columns(3);
        store.append(append)
    }))
    .await;
    for (number, (id, answer)) in ids.iter().zip(answers).enumerate() {
        let row = store.load(*id).await.unwrap().unwrap();
        let events = store.events(*id, 0, 10).await.unwrap();
        if number % 10 == 3 {
            let Err(StoreError::Unavailable(why)) = answer else {
                panic!("{answer:?}");
            };
            assert!(why.contains("disk I/O error"), "{why}");
            assert_eq!((row.sequence, events.len()), (1, 1));
            assert_eq!(row.fold, columns(1).fold);
        } else {
            answer.unwrap();
            assert_eq!((row.sequence, events.len()), (3, 3));
        }
    }
    // And the store goes on.
    store
        .append(append(ids[3], 1, Appender::Control))
        .await
        .unwrap();
    assert!(fresh.store.counters().failures >= 4);
    fresh.store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_locked_by_somebody_else_fails_the_requests_and_recovers() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.db");
    let options = Options {
        busy_timeout: Duration::from_millis(1),
        ..Options::default()
    };
    let store = SqliteStore::open(&path, options).await.unwrap();
    let partner = partner();
    let ids = join_all((0..20).map(|_| accepted_due(&store, partner, 0))).await;
    let mut sql = beside(&path).await;
    sqlx::query("BEGIN IMMEDIATE")
        .execute(&mut sql)
        .await
        .unwrap();
    let all = || {
        join_all(
            ids.iter()
                .map(|id| store.append(append(*id, 1, Appender::Control))),
        )
    };
    for answer in all().await {
        let Err(StoreError::Unavailable(why)) = answer else {
            panic!("{answer:?}");
        };
        assert!(why.contains("locked"), "{why}");
    }
    // Reading goes on meanwhile, and shows that nothing was written.
    assert_eq!(store.load(ids[0]).await.unwrap().unwrap().sequence, 1);
    sqlx::query("ROLLBACK").execute(&mut sql).await.unwrap();
    sql.close().await.unwrap();
    assert!(all().await.iter().all(Result::is_ok));
    store.close().await;
}

/// One step of a random history: which offboarding, how many events, and whether the disk fails.
fn some_steps() -> impl Strategy<Value = Vec<(usize, usize, bool)>> {
    proptest::collection::vec(
        (0..4_usize, 0..40_usize, proptest::bool::weighted(0.3)),
        1..25,
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_and_logs_agree_whatever_fails() {
    let mut runner = TestRunner::new(Config {
        cases: 12,
        failure_persistence: None,
        ..Config::default()
    });
    let runtime = tokio::runtime::Handle::current();
    tokio::task::block_in_place(|| {
        runner
            .run(&some_steps(), |steps| {
                runtime.block_on(play(steps));
                Ok(())
            })
            .unwrap();
    });
}

/// Sends all steps at once, each for the sequence that it believes in; some conflict, some break.
async fn play(steps: Vec<(usize, usize, bool)>) {
    let fresh = fresh().await;
    let store = fresh.store();
    let partner = partner();
    let ids = join_all((0..4).map(|_| accepted_due(&*store, partner, 0))).await;
    poison(&fresh.path()).await;
    let mut believed = [1_u64; 4];
    let appends: Vec<_> = steps
        .into_iter()
        .map(|(which, count, broken)| {
            let after = believed[which];
            let last = after + count as u64;
            let mut append = append(ids[which], after, Appender::Control);
            append.events = (after + 1..=last)
                .map(|sequence| {
                    event(
                        sequence,
                        if broken && sequence == last {
                            "poison"
                        } else {
                            "step"
                        },
                    )
                })
                .collect();
            append.columns = columns(last);
            believed[which] = last;
            append
        })
        .collect();
    let answers = join_all(appends.iter().map(|it| store.append(it.clone()))).await;
    for id in ids {
        let row = store.load(id).await.unwrap().unwrap();
        let events = store.events(id, 0, 10_000).await.unwrap();
        let expected = appends
            .iter()
            .zip(&answers)
            .filter(|(append, answer)| append.id == id && answer.is_ok())
            .map(|(append, _)| append.events.len() as u64)
            .sum::<u64>();
        assert_eq!(
            row.sequence,
            1 + expected,
            "what was acknowledged is there, and no more"
        );
        assert_eq!(events.len() as u64, row.sequence);
        assert_eq!(events.last().unwrap().sequence, row.sequence);
        assert_eq!(row.head, events.last().unwrap().hash);
        assert_eq!(row.fold, columns(row.sequence).fold);
    }
    fresh.store.close().await;
}

#[tokio::test]
async fn the_log_refuses_to_be_rewritten() {
    let fresh = fresh().await;
    let store = fresh.store();
    let id = accepted_due(&*store, partner(), 0).await;
    let mut sql = beside(&fresh.path()).await;
    for statement in ["UPDATE events SET text = '{}'", "DELETE FROM events"] {
        let refused = sqlx::query(statement).execute(&mut sql).await;
        assert!(refused.is_err(), "{statement}");
    }
    assert_eq!(
        store.events(id, 0, 9).await.unwrap(),
        [event(1, "accepted")]
    );
    // Retention may delete the log of what has ended.
    let mut end = append(id, 1, Appender::Control);
    end.columns = ended(2, true);
    store.append(end).await.unwrap();
    for statement in ["DELETE FROM events", "DELETE FROM offboardings"] {
        sqlx::query(statement).execute(&mut sql).await.unwrap();
    }
    sql.close().await.unwrap();
    fresh.finish().await;
}

#[tokio::test]
async fn a_closed_store_says_so() {
    let fresh = fresh().await;
    let store = fresh.store();
    fresh.store.close().await;
    assert!(matches!(
        store.ready().await,
        Err(StoreError::Unavailable(_))
    ));
    assert!(matches!(
        store.accept(new(partner())).await,
        Err(StoreError::Unavailable(_))
    ));
    let nobody = OffboardingId(uuid::Uuid::now_v7());
    assert!(matches!(
        store.load(nobody).await,
        Err(StoreError::Unavailable(_))
    ));
    fresh.finish().await;
}
