//! SQLite: what was acknowledged survives the death of the process.

use std::env;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use relationship_service::application::store::{Appender, Store};
use relationship_service::domain::ids::OffboardingId;
use relationship_service::store::{OpenError, Options, SqliteStore};

use super::fixture::{accepted_due, append, columns, partner};

/// Names the database to the process that is going to be killed.
const VICTIM: &str = "STORE_CRASH_TEST_DATABASE";

/// The victim: appends to many logs at once for ever, and says of each append when it was
/// acknowledged. Does nothing when it runs as one of the tests.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn victim() {
    let Some(path) = env::var_os(VICTIM) else {
        return;
    };
    let store = SqliteStore::open(Path::new(&path), Options::default()).await;
    let store = store.unwrap();
    let partner = partner();
    let grow = async |id: OffboardingId, after: u64| {
        store
            .append(append(id, after, Appender::Control))
            .await
            .unwrap();
        (id, after + 1)
    };
    let mut growing = FuturesUnordered::new();
    for _ in 0..16 {
        let id = accepted_due(&store, partner, 0).await;
        growing.push(grow(id, 1));
    }
    while let Some((id, sequence)) = growing.next().await {
        let mut out = std::io::stdout().lock();
        writeln!(out, "acknowledged {} {sequence}", id.0).unwrap();
        out.flush().unwrap();
        growing.push(grow(id, sequence));
    }
}

#[tokio::test]
async fn what_was_acknowledged_survives_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.db");
    for acknowledgements in [1, 60, 333] {
        let known = kill_after(&path, acknowledgements).await;
        let store = SqliteStore::open(&path, Options::default()).await.unwrap();
        assert!(!known.is_empty());
        for (id, acknowledged) in known {
            let row = store.load(id).await.unwrap().unwrap();
            assert!(
                row.sequence >= acknowledged,
                "{} < {acknowledged}",
                row.sequence
            );
            let events = store.events(id, 0, 100_000).await.unwrap();
            assert_eq!(events.len() as u64, row.sequence);
            assert_eq!(events.last().unwrap().hash, row.head);
            assert_eq!(row.fold, columns(row.sequence).fold);
        }
        store.close().await;
    }
}

/// Starts the victim, kills it after so many acknowledgements, and returns the newest of each log.
async fn kill_after(path: &PathBuf, count: usize) -> Vec<(OffboardingId, u64)> {
    let mut victim = Command::new(env::current_exe().unwrap())
        .args(["--exact", "store::sqlite_crash::victim", "--nocapture"])
        .env(VICTIM, path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(victim.stdout.take().unwrap()).lines();
    let mut known = std::collections::BTreeMap::new();
    let mut read = |line: String| {
        // The test harness writes "test … ... " in front of the first line.
        let Some((_, rest)) = line.split_once("acknowledged ") else {
            return false;
        };
        // The last line may be cut short by the kill.
        if let Some((id, sequence)) = rest.split_once(' ')
            && let (Ok(id), Ok(sequence)) = (id.parse(), sequence.parse::<u64>())
        {
            known.insert(OffboardingId(id), sequence);
        }
        true
    };
    let mut seen = 0;
    while seen < count {
        seen += usize::from(read(lines.next().unwrap().unwrap()));
    }
    // While it lives nobody else gets the database.
    let refused = SqliteStore::open(path, Options::default()).await;
    assert!(matches!(refused, Err(OpenError::InUse { .. })));
    victim.kill().unwrap();
    victim.wait().unwrap();
    // What it said before it died counts too, whole lines only.
    let rest: Vec<_> = lines.map_while(Result::ok).collect();
    if let Some((_cut, whole)) = rest.split_last() {
        whole.iter().cloned().for_each(|line| {
            read(line);
        });
    }
    known.into_iter().collect()
}
