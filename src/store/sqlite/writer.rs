//! The one writer: whatever is queued at a moment becomes one transaction.
//!
//! SQLite lets one connection write at a time, and with `synchronous=FULL` a commit costs a sync of
//! the disk. So all writes go through one task. While it commits, requests queue up; the next
//! transaction takes all of them, and all are answered after its commit. Nobody waits on purpose.
//!
//! A request that is refused (a conflict, a lost claim) has changed nothing, so the others go on. If a
//! statement fails, the group is rolled back and its requests are repeated each in a transaction of
//! its own: what one of them broke does not undo the others. If the commit fails, all have failed.

use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use sqlx::Connection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use tokio::sync::{broadcast, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::open::connect;
use super::rows::failed;
use crate::application::store::{Change, StoreError};

/// The most requests in one transaction: bounds how long the first of them waits for its answer.
const LARGEST_GROUP: usize = 256;

/// Why a write did not happen.
pub(super) enum WriteError {
    /// The rules of the store say no. Nothing was changed, the transaction is whole.
    Refused(StoreError),
    /// The database failed. The transaction has to be rolled back.
    Failed(sqlx::Error),
}

impl From<sqlx::Error> for WriteError {
    fn from(error: sqlx::Error) -> Self {
        Self::Failed(error)
    }
}

/// What a write did beside its answer.
#[derive(Default)]
pub(super) struct Done {
    /// Logs that have grown.
    pub(super) changes: Vec<Change>,
    /// Whether any row was written, so that the commit is one that costs.
    pub(super) wrote: bool,
}

/// Something to be done within a transaction. It may run twice (see above), never with both lasting.
#[async_trait]
pub(super) trait Write: Send + Sync + 'static {
    /// What the caller gets after the commit.
    type Answer: Send + Sync + 'static;

    /// Does it. A refusal must leave no trace.
    async fn run(
        &self,
        connection: &mut SqliteConnection,
        done: &mut Done,
    ) -> Result<Self::Answer, WriteError>;
}

/// Numbers kept by the writer since the store was opened.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) commits: AtomicU64,
    pub(super) requests: AtomicU64,
    pub(super) failures: AtomicU64,
}

/// A queued request with its answer, once there is one.
#[async_trait]
trait Queued: Send {
    async fn run(
        &mut self,
        connection: &mut SqliteConnection,
        done: &mut Done,
    ) -> Result<(), sqlx::Error>;
    fn reply(self: Box<Self>);
    fn fail(self: Box<Self>, error: StoreError);
}

struct Job<W: Write> {
    write: W,
    answer: Option<Result<W::Answer, StoreError>>,
    reply: oneshot::Sender<Result<W::Answer, StoreError>>,
}

#[async_trait]
impl<W: Write> Queued for Job<W> {
    async fn run(
        &mut self,
        connection: &mut SqliteConnection,
        done: &mut Done,
    ) -> Result<(), sqlx::Error> {
        self.answer = Some(match self.write.run(connection, done).await {
            Ok(answer) => Ok(answer),
            Err(WriteError::Refused(refusal)) => Err(refusal),
            Err(WriteError::Failed(error)) => return Err(error),
        });
        Ok(())
    }

    fn reply(self: Box<Self>) {
        // Whoever asked may have gone; what was written stays written.
        if let Some(answer) = self.answer {
            let _ = self.reply.send(answer);
        }
    }

    fn fail(self: Box<Self>, error: StoreError) {
        let _ = self.reply.send(Err(error));
    }
}

/// The way to the writer.
#[derive(Clone)]
pub(super) struct Queue {
    sender: mpsc::Sender<Box<dyn Queued>>,
}

impl Queue {
    /// Queues a write and waits for its commit.
    pub(super) async fn write<W: Write>(&self, write: W) -> Result<W::Answer, StoreError> {
        let closed = || StoreError::Unavailable("the store is closed".to_owned());
        let (reply, answer) = oneshot::channel();
        let job = Box::new(Job {
            write,
            answer: None,
            reply,
        });
        self.sender.send(job).await.map_err(|_| closed())?;
        answer.await.map_err(|_| closed())?
    }

    /// Whether the writer takes requests.
    pub(super) fn is_open(&self) -> bool {
        !self.sender.is_closed()
    }
}

/// The writer's task and what it owns.
pub(super) struct Writer {
    /// How to connect again after the connection was lost.
    pub(super) options: SqliteConnectOptions,
    /// The connection; none while it is in doubt.
    pub(super) connection: Option<SqliteConnection>,
    /// Locked as long as the writer lives.
    pub(super) lock: File,
    pub(super) changes: broadcast::Sender<Change>,
    pub(super) tally: Arc<Tally>,
    pub(super) closing: CancellationToken,
}

impl Writer {
    /// Starts the task. It ends when told to close, or when every [`Queue`] is gone, after having
    /// answered whatever is queued.
    pub(super) fn start(self) -> (Queue, tokio::task::JoinHandle<()>) {
        let (sender, receiver) = mpsc::channel(4 * LARGEST_GROUP);
        (Queue { sender }, tokio::spawn(self.run(receiver)))
    }

    async fn run(mut self, mut receiver: mpsc::Receiver<Box<dyn Queued>>) {
        let closing = self.closing.clone();
        let mut group = Vec::with_capacity(LARGEST_GROUP);
        loop {
            let count = tokio::select! {
                count = receiver.recv_many(&mut group, LARGEST_GROUP) => count,
                () = closing.cancelled(), if !receiver.is_closed() => {
                    receiver.close();
                    continue;
                }
            };
            if count == 0 {
                break;
            }
            self.serve(&mut group).await;
        }
        if let Some(mut connection) = self.connection.take() {
            // Closing the last connection would do this too, but a reader's may linger for a moment.
            // Afterwards the one file is the whole database, and may be copied as such.
            let folded = sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)")
                .execute(&mut connection)
                .await;
            if let Err(error) = folded.and(connection.close().await) {
                tracing::warn!(%error, "closing the database failed; its log is replayed at the next start");
            }
        }
        // The lock outlives the connection: whoever gets it finds a database that nobody writes.
        drop(self.lock);
    }

    /// Answers all of a group.
    async fn serve(&mut self, group: &mut Vec<Box<dyn Queued>>) {
        let count = group.len() as u64;
        self.tally.requests.fetch_add(count, Ordering::Relaxed);
        match self.transact(group).await {
            Ok(()) => group.drain(..).for_each(|job| job.reply()),
            Err(Broken::Whole(error)) => self.give_up(group, &error),
            Err(Broken::Within(error)) if group.len() == 1 => self.give_up(group, &error),
            Err(Broken::Within(error)) => {
                tracing::warn!(%error, requests = count, "a group of writes failed; repeating each");
                self.serve_each(group).await;
            }
        }
    }

    /// Answers each of a group after a transaction of its own.
    async fn serve_each(&mut self, group: &mut Vec<Box<dyn Queued>>) {
        while !group.is_empty() {
            let rest = group.split_off(1);
            match self.transact(group).await {
                Ok(()) => group.drain(..).for_each(|job| job.reply()),
                Err(Broken::Within(error)) => self.give_up(group, &error),
                Err(Broken::Whole(error)) => {
                    // It would fail for the others too, each after a time-out of its own.
                    group.extend(rest);
                    self.give_up(group, &error);
                    return;
                }
            }
            *group = rest;
        }
    }

    fn give_up(&self, group: &mut Vec<Box<dyn Queued>>, error: &sqlx::Error) {
        self.tally.failures.fetch_add(1, Ordering::Relaxed);
        tracing::error!(%error, requests = group.len(), "a write to the database failed");
        for job in group.drain(..) {
            job.fail(failed(error));
        }
    }

    /// Runs all of a group in one transaction, and announces what was appended after its commit.
    async fn transact(&mut self, group: &mut [Box<dyn Queued>]) -> Result<(), Broken> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => connect(&self.options).await.map_err(Broken::Whole)?,
        };
        let mut done = Done::default();
        match attempt(&mut connection, group, &mut done).await {
            Ok(()) => {
                self.connection = Some(connection);
                if done.wrote {
                    self.tally.commits.fetch_add(1, Ordering::Relaxed);
                }
                for change in done.changes {
                    // Nobody listens: nobody has to know.
                    let _ = self.changes.send(change);
                }
                Ok(())
            }
            Err(broken) => {
                // SQLite may have rolled back by itself, and says then that there is no transaction.
                // Either way a connection that had trouble is not trusted with the next one.
                let _ = sqlx::query("ROLLBACK").execute(&mut connection).await;
                if let Err(error) = connection.close_hard().await {
                    tracing::warn!(%error, "closing a database connection after a failure failed");
                }
                Err(broken)
            }
        }
    }
}

/// What broke a transaction.
enum Broken {
    /// The database as a whole: no connection, no lock, no commit.
    Whole(sqlx::Error),
    /// A statement of one of its requests.
    Within(sqlx::Error),
}

async fn attempt(
    connection: &mut SqliteConnection,
    group: &mut [Box<dyn Queued>],
    done: &mut Done,
) -> Result<(), Broken> {
    sqlx::query("BEGIN IMMEDIATE")
        .execute(&mut *connection)
        .await
        .map_err(Broken::Whole)?;
    for job in group {
        job.run(connection, done).await.map_err(Broken::Within)?;
    }
    sqlx::query("COMMIT")
        .execute(connection)
        .await
        .map_err(Broken::Whole)?;
    Ok(())
}
