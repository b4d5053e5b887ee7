//! The store in one SQLite file: WAL, every commit synced to the disk, one process at a time.
//!
//! `open` looks at the file, locks it and migrates it. All writes go through one task (`writer`)
//! that groups them into transactions; `writes` and `claims` are what it does. `reads` are
//! answered by a small pool of read-only connections, which see every commit made before they ask.

mod claims;
mod open;
mod reads;
mod rows;
mod writer;
mod writes;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::SqlitePool;
use tokio::sync::{Mutex, broadcast};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::application::store::{
    Acceptance, Append, Change, Claimed, Cursor, EventRow, Filter, KnownRequest, NewOffboarding,
    OffboardingRow, PartnerNow, Store, StoreError,
};
use crate::domain::ids::{CallerId, CustomerId, OffboardingId, PartnerTenantId, RequestId};
use claims::{Claim, Release, Renew};
pub use open::{OpenError, Options};
use rows::failed;
use writer::{Queue, Tally, Writer};
use writes::Accept;

/// How many changes a receiver may lag behind before it has to look for itself.
const CHANGES_KEPT: usize = 4096;

/// Numbers since the store was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counters {
    /// Transactions that wrote something and were committed.
    pub commits: u64,
    /// Requests to write that were taken up, refused ones included.
    pub requests: u64,
    /// Transactions that the database failed to do.
    pub failures: u64,
}

/// The store in one SQLite file.
pub struct SqliteStore {
    readers: SqlitePool,
    queue: Queue,
    changes: broadcast::Sender<Change>,
    tally: Arc<Tally>,
    closing: CancellationToken,
    writer: Mutex<Option<JoinHandle<()>>>,
}

impl SqliteStore {
    /// Opens the database file, creating and migrating it as needed, and takes the claims of the
    /// process before this one away.
    ///
    /// # Errors
    /// [`OpenError`] says what is wrong with the file and what to do about it.
    pub async fn open(path: &Path, options: Options) -> Result<Self, OpenError> {
        let opened = open::open(path, &options).await?;
        let (changes, _) = broadcast::channel(CHANGES_KEPT);
        let tally = Arc::new(Tally::default());
        let closing = CancellationToken::new();
        let (queue, writer) = Writer {
            options: opened.connect,
            connection: Some(opened.writer),
            lock: opened.lock,
            changes: changes.clone(),
            tally: Arc::clone(&tally),
            closing: closing.clone(),
        }
        .start();
        Ok(Self {
            readers: opened.readers,
            queue,
            changes,
            tally,
            closing,
            writer: Mutex::new(Some(writer)),
        })
    }

    /// Finishes what is queued, closes the database and gives the lock back. Whatever is asked
    /// afterwards is answered with [`StoreError::Unavailable`].
    pub async fn close(&self) {
        self.closing.cancel();
        // First the readers: one that is still reading would keep the write-ahead log from being
        // folded into the file.
        self.readers.close().await;
        if let Some(writer) = self.writer.lock().await.take()
            && let Err(error) = writer.await
        {
            tracing::error!(%error, "the store's writer ended badly");
        }
    }

    /// Numbers since the store was opened.
    pub fn counters(&self) -> Counters {
        Counters {
            commits: self.tally.commits.load(Ordering::Relaxed),
            requests: self.tally.requests.load(Ordering::Relaxed),
            failures: self.tally.failures.load(Ordering::Relaxed),
        }
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn known_request(
        &self,
        caller: &CallerId,
        request: RequestId,
    ) -> Result<Option<KnownRequest>, StoreError> {
        reads::known_request(&self.readers, caller, request)
            .await
            .map_err(|error| failed(&error))
    }

    async fn unfinished(
        &self,
        partner: PartnerTenantId,
        customer: CustomerId,
    ) -> Result<Option<OffboardingId>, StoreError> {
        reads::unfinished(&self.readers, partner, customer)
            .await
            .map_err(|error| failed(&error))
    }

    async fn earlier_removal(
        &self,
        partner: PartnerTenantId,
        customer: CustomerId,
    ) -> Result<Option<OffboardingId>, StoreError> {
        reads::earlier_removal(&self.readers, partner, customer)
            .await
            .map_err(|error| failed(&error))
    }

    async fn accept(&self, new: NewOffboarding) -> Result<Acceptance, StoreError> {
        self.queue.write(Accept(new)).await
    }

    async fn load(&self, id: OffboardingId) -> Result<Option<OffboardingRow>, StoreError> {
        reads::load(&self.readers, id)
            .await
            .map_err(|error| failed(&error))
    }

    async fn list(
        &self,
        filter: &Filter,
        after: Option<Cursor>,
        limit: u32,
    ) -> Result<Vec<OffboardingRow>, StoreError> {
        reads::list(&self.readers, filter, after, limit)
            .await
            .map_err(|error| failed(&error))
    }

    async fn events(
        &self,
        id: OffboardingId,
        after: u64,
        limit: u32,
    ) -> Result<Vec<EventRow>, StoreError> {
        reads::events(&self.readers, id, after, limit)
            .await
            .map_err(|error| failed(&error))
    }

    async fn append(&self, append: Append) -> Result<(), StoreError> {
        self.queue.write(append).await
    }

    async fn claim(
        &self,
        partners: &[PartnerNow],
        limit: u32,
        lease: Duration,
    ) -> Result<Vec<Claimed>, StoreError> {
        let partners = partners.to_vec();
        self.queue
            .write(Claim {
                partners,
                limit,
                lease,
            })
            .await
    }

    async fn renew(
        &self,
        claims: &[(OffboardingId, u64)],
        lease: Duration,
    ) -> Result<Vec<(OffboardingId, u64)>, StoreError> {
        if claims.is_empty() {
            return Ok(Vec::new());
        }
        let claims = claims.to_vec();
        self.queue.write(Renew { claims, lease }).await
    }

    async fn release(&self, id: OffboardingId, fence: u64) -> Result<(), StoreError> {
        self.queue.write(Release { id, fence }).await
    }

    async fn may_send(
        &self,
        id: OffboardingId,
        fence: u64,
        seen: u64,
        needs: Duration,
    ) -> Result<bool, StoreError> {
        claims::may_send(&self.readers, id, fence, seen, needs)
            .await
            .map_err(|error| failed(&error))
    }

    async fn next_due(&self, partners: &[PartnerNow]) -> Result<Option<Duration>, StoreError> {
        claims::next_due(&self.readers, partners)
            .await
            .map_err(|error| failed(&error))
    }

    fn changes(&self) -> broadcast::Receiver<Change> {
        self.changes.subscribe()
    }

    async fn ready(&self) -> Result<(), StoreError> {
        if !self.queue.is_open() {
            return Err(StoreError::Unavailable("the store is closed".to_owned()));
        }
        sqlx::query("SELECT 1")
            .execute(&self.readers)
            .await
            .map(|_| ())
            .map_err(|error| failed(&error))
    }
}
