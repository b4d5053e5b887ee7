//! Port to the store: offboardings as rows, their logs as append-only events, claims with fences.
//!
//! The store knows nothing of the rules: it is handed the fold as text together with the few columns
//! by which rows are found. One contract test suite runs against every implementation.

use std::time::Duration;

use async_trait::async_trait;

use crate::domain::ids::{CallerId, CustomerId, OffboardingId, PartnerTenantId, RequestId};
use crate::domain::time::Time;

/// The newest format of events and folds that this binary writes; it reads every one up to this.
pub const FORMAT: u32 = 1;

/// Why the store did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Somebody else appended since: fold again and decide again.
    #[error("the offboarding changed meanwhile")]
    Conflict,
    /// The claim is not ours any more.
    #[error("the claim was lost")]
    ClaimLost,
    /// There is no such offboarding.
    #[error("no such offboarding")]
    NotFound,
    /// The database did not do it; nothing was changed.
    #[error("the database failed: {0}")]
    Unavailable(String),
    /// The database holds something that this binary cannot read.
    #[error("the database holds something unreadable: {0}")]
    Corrupt(String),
}

/// One event as it is stored. `text` is what is hashed; the other members are copied from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventRow {
    /// Position in the log, from 1.
    pub sequence: u64,
    /// When, by the partner's business clock.
    pub at: Time,
    /// Format version of `text`.
    pub format: u32,
    /// Type of the event, e.g. `snapshot_taken`.
    pub kind: String,
    /// State of the offboarding after the event.
    pub state: String,
    /// The event as JSON, byte for byte as hashed.
    pub text: String,
    /// SHA-256 over the previous event's hash and `text`.
    pub hash: [u8; 32],
}

/// The columns of an offboarding that change with every append.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Columns {
    /// State name, e.g. `CLEARING`.
    pub state: String,
    /// Whether the state is terminal.
    pub ended: bool,
    /// The fold of the log as JSON.
    pub fold: String,
    /// Format version of the fold.
    pub format: u32,
    /// When the worker has to look next, by the partner's business clock; `None`: never again.
    pub due: Option<Time>,
    /// On whom it waits (`service`, `partner`, `customer`, `microsoft`, `time`), if on anybody.
    pub waiting_on: Option<String>,
    /// Reasons of the blockers that stand, sorted, each once.
    pub blocker_reasons: Vec<String>,
    /// Whether a removal was sent or found: this run is proof that a relationship was there.
    pub removal_seen: bool,
    /// Time of the newest event.
    pub updated: Time,
}

/// A new offboarding, accepted in one transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewOffboarding {
    /// Its id.
    pub id: OffboardingId,
    /// Whose customer.
    pub partner: PartnerTenantId,
    /// Which customer.
    pub customer: CustomerId,
    /// Who asked.
    pub caller: CallerId,
    /// What makes the request the same request.
    pub request_id: RequestId,
    /// SHA-256 over all fields of the request but `request_id`.
    pub request_digest: [u8; 32],
    /// When it was accepted, by the partner's business clock.
    pub created: Time,
    /// Labels.
    pub labels: Vec<(String, String)>,
    /// External references (system, id).
    pub references: Vec<(String, String)>,
    /// The rest of the row.
    pub columns: Columns,
    /// The first events, numbered from 1.
    pub events: Vec<EventRow>,
}

/// What became of an acceptance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Acceptance {
    /// It is stored and will be driven.
    Accepted,
    /// The same caller sent this `request_id` before.
    Repeated(KnownRequest),
    /// Another unfinished offboarding of the same (partner, customer).
    Busy(OffboardingId),
}

/// A request that was accepted before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownRequest {
    /// The offboarding that it started.
    pub id: OffboardingId,
    /// Digest of that request.
    pub request_digest: [u8; 32],
}

/// An offboarding as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OffboardingRow {
    /// Its id.
    pub id: OffboardingId,
    /// Sequence of the newest event.
    pub sequence: u64,
    /// Hash of the newest event.
    pub head: [u8; 32],
    /// When it was accepted.
    pub created: Time,
    /// Who asked.
    pub caller: CallerId,
    /// The fold as JSON.
    pub fold: String,
    /// Format version of the fold.
    pub format: u32,
    /// When the worker has to look next.
    pub due: Option<Time>,
}

/// A claimed offboarding: the worker may append until `expires_in` has passed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claimed {
    /// The row.
    pub row: OffboardingRow,
    /// The fence of this claim; greater than that of every claim before it.
    pub fence: u64,
    /// How long the claim lasts from the moment of the statement, by the database's clock.
    pub expires_in: Duration,
}

/// Who appends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Appender {
    /// The worker that holds the claim with this fence. The append fails with
    /// [`StoreError::ClaimLost`] once the fence was raised or the claim has expired.
    Worker {
        /// The fence.
        fence: u64,
        /// Gives the claim back in the same transaction.
        release: bool,
    },
    /// A handler that records a control event (cancel …). Also moves the control sequence, which
    /// closes the send gates of whoever has not seen the event.
    Control,
}

/// One append.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Append {
    /// To which log.
    pub id: OffboardingId,
    /// The sequence that the appender has folded up to; another one in the store is a conflict.
    pub after: u64,
    /// Who.
    pub by: Appender,
    /// What, numbered from `after + 1`; may be empty (then only the columns change).
    pub events: Vec<EventRow>,
    /// The row afterwards.
    pub columns: Columns,
}

/// What a list asks for. Empty members match everything; members are joined by "and", the values of
/// one member by "or".
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// State names.
    pub states: Vec<String>,
    /// Partners.
    pub partners: Vec<PartnerTenantId>,
    /// Customers.
    pub customers: Vec<CustomerId>,
    /// Labels, all of which must be there.
    pub labels: Vec<(String, String)>,
    /// External references, all of which must be there.
    pub references: Vec<(String, String)>,
    /// Reasons of standing blockers.
    pub blocker_reasons: Vec<String>,
    /// On whom it waits.
    pub waiting_on: Vec<String>,
    /// Accepted at or after.
    pub created_from: Option<Time>,
    /// Accepted before.
    pub created_before: Option<Time>,
    /// Newest event at or after.
    pub updated_from: Option<Time>,
    /// Newest event before.
    pub updated_before: Option<Time>,
}

/// The last row of the page before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    /// When it was accepted.
    pub created: Time,
    /// Its id.
    pub id: OffboardingId,
}

/// One partner and what time its business clock shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartnerNow {
    /// The partner.
    pub partner: PartnerTenantId,
    /// Its time.
    pub now: Time,
}

/// Something was appended to this log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// Which offboarding.
    pub id: OffboardingId,
    /// Sequence of its newest event.
    pub sequence: u64,
}

/// The store.
///
/// Every method may fail with [`StoreError::Unavailable`], in which case nothing was changed (or, for
/// a lost answer of the database, the next conflict shows that it was).
#[async_trait]
pub trait Store: Send + Sync {
    /// Looks up a request of the same caller.
    async fn known_request(
        &self,
        caller: &CallerId,
        request: RequestId,
    ) -> Result<Option<KnownRequest>, StoreError>;

    /// The unfinished offboarding of (partner, customer), if there is one.
    async fn unfinished(
        &self,
        partner: PartnerTenantId,
        customer: CustomerId,
    ) -> Result<Option<OffboardingId>, StoreError>;

    /// The newest ended offboarding of (partner, customer) whose removal was sent or found.
    async fn earlier_removal(
        &self,
        partner: PartnerTenantId,
        customer: CustomerId,
    ) -> Result<Option<OffboardingId>, StoreError>;

    /// Accepts in one transaction: looks up the request, then the unfinished offboarding, then inserts.
    async fn accept(&self, new: NewOffboarding) -> Result<Acceptance, StoreError>;

    /// One offboarding.
    async fn load(&self, id: OffboardingId) -> Result<Option<OffboardingRow>, StoreError>;

    /// Offboardings by filter, newest first (`created desc, id desc`), after the cursor.
    async fn list(
        &self,
        filter: &Filter,
        after: Option<Cursor>,
        limit: u32,
    ) -> Result<Vec<OffboardingRow>, StoreError>;

    /// Events of one offboarding with a sequence greater than `after`, in order.
    async fn events(
        &self,
        id: OffboardingId,
        after: u64,
        limit: u32,
    ) -> Result<Vec<EventRow>, StoreError>;

    /// Appends; at most once, whole or not at all.
    ///
    /// # Errors
    /// [`StoreError::Conflict`], [`StoreError::ClaimLost`], [`StoreError::NotFound`].
    async fn append(&self, append: Append) -> Result<(), StoreError>;

    /// Claims due, unclaimed (or expired) offboardings of these partners, longest due first, in one
    /// statement. Rows of a format newer than [`FORMAT`] are left alone.
    async fn claim(
        &self,
        partners: &[PartnerNow],
        limit: u32,
        lease: Duration,
    ) -> Result<Vec<Claimed>, StoreError>;

    /// Prolongs claims to `lease` from now; returns those (id, fence) that are still held.
    async fn renew(
        &self,
        claims: &[(OffboardingId, u64)],
        lease: Duration,
    ) -> Result<Vec<(OffboardingId, u64)>, StoreError>;

    /// Gives a claim back without an append; nothing happens if it is not held any more.
    async fn release(&self, id: OffboardingId, fence: u64) -> Result<(), StoreError>;

    /// Whether the holder of `fence` may send now: the claim lasts for at least `needs` from now by the
    /// database's clock, and no control event came after sequence `seen`.
    async fn may_send(
        &self,
        id: OffboardingId,
        fence: u64,
        seen: u64,
        needs: Duration,
    ) -> Result<bool, StoreError>;

    /// How long until the next unclaimed offboarding of these partners falls due, or an expired claim
    /// can be taken over; zero if one is due, `None` if nothing waits.
    async fn next_due(&self, partners: &[PartnerNow]) -> Result<Option<Duration>, StoreError>;

    /// What was appended or accepted, by any replica, after its commit. A receiver that lags has missed
    /// something and looks again; so does one that has not heard anything for a while.
    fn changes(&self) -> tokio::sync::broadcast::Receiver<Change>;

    /// Whether the database answers.
    async fn ready(&self) -> Result<(), StoreError>;
}
