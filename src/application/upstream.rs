//! Port to Partner Center: what the use cases and the worker ask of it, in the domain's words.

use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;

use crate::domain::failure::UpstreamFailure;
use crate::domain::ids::{CorrelationId, CustomerId, ResourceId};
use crate::domain::snapshot::Snapshot;
use crate::domain::subscription::{ChangeableFields, Subscription, SubscriptionStatus};
use crate::domain::time::Time;

/// Whose turn it is when calls wait for the limiter. First is served first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Priority {
    /// Somebody waits for the answer (previews, acceptance, links).
    Interactive,
    /// An offboarding that has already changed something.
    Started,
    /// Everything else.
    Background,
}

/// What goes with every call.
#[derive(Debug, Clone)]
pub struct Call {
    /// `MS-CorrelationId`: one per offboarding, so that Microsoft's audit leads back to it.
    pub correlation: CorrelationId,
    /// Whose turn it is.
    pub priority: Priority,
    /// When nobody wants the answer any more; `None`: the client's own request timeout alone.
    pub deadline: Option<Instant>,
}

/// Asked directly before a changing call is sent, after the limiter let it through.
#[async_trait]
pub trait SendGate: Send + Sync {
    /// Whether the call may still be sent: the claim outlives the request timeout plus a margin and
    /// nobody recorded a cancellation. The text says why not.
    async fn may_send(&self) -> Result<(), String>;
}

/// Why a changing call brought no "done".
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotChanged {
    /// It never left: the gate was closed, or no token could be had.
    NotSent(String),
    /// It was sent, and this came of it. [`FailureClass::leaves_outcome_unknown`] says whether it may
    /// have taken effect all the same.
    ///
    /// [`FailureClass::leaves_outcome_unknown`]: crate::domain::failure::FailureClass::leaves_outcome_unknown
    Failed(UpstreamFailure),
}

/// A subscription as just read, with everything needed to write it back whole.
#[derive(Debug, Clone, PartialEq)]
pub struct SubscriptionReading {
    /// The subscription.
    pub subscription: Subscription,
    /// The fields that a change may touch.
    pub fields: ChangeableFields,
    /// The whole body as read, members included that nobody here knows.
    pub body: serde_json::Value,
    /// When it was read.
    pub at: Time,
}

/// What to change in a subscription; everything else goes back as it was read.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SubscriptionChange {
    /// New status.
    pub status: Option<SubscriptionStatus>,
    /// New `autoRenewEnabled`.
    pub auto_renew: Option<bool>,
    /// New `scheduledNextTermInstructions`.
    pub next_term: Option<serde_json::Value>,
    /// New `scheduledActions`.
    pub scheduled_actions: Option<serde_json::Value>,
}

/// Whether reading the customer shows it.
#[derive(Debug, Clone, PartialEq)]
pub enum Sighting {
    /// Upstream says there is no such relationship, with one of the pairs of (status, code) that mean it.
    Gone(UpstreamFailure),
    /// The customer is still there.
    Present {
        /// `relationshipToPartner` as upstream wrote it.
        relationship: String,
    },
}

/// One look at whether a removal can be seen.
#[derive(Debug, Clone, PartialEq)]
pub struct Observation {
    /// When the look began, by the partner's business clock.
    pub at: Time,
    /// What reading the customer said.
    pub customer: Result<Sighting, UpstreamFailure>,
    /// Whether the fully paged customer list holds the customer, read with the same token directly
    /// after a reading that said gone. `None`: not asked, because the customer was not gone.
    pub listed: Option<Result<bool, UpstreamFailure>>,
}

/// One audit record, as far as it matters here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRecord {
    /// Record id; empty when upstream gives none.
    pub id: String,
    /// `operationType`, e.g. `remove_partner_customer_relationship`.
    pub operation: String,
    /// When.
    pub at: Time,
    /// `operationStatus`, e.g. `succeeded`.
    pub status: String,
    /// `originalCorrelationId`: the `MS-CorrelationId` of the call that caused it.
    pub correlation: Option<String>,
    /// Who, as upstream wrote it.
    pub by: Option<String>,
}

/// Partner Center for one partner.
#[async_trait]
pub trait PartnerCenter: Send + Sync {
    /// Reads everything that matters about a customer, side by side. Never fails as a whole: each part
    /// says whether it could be read.
    async fn snapshot(&self, customer: CustomerId, call: &Call) -> Snapshot;

    /// Reads one subscription whole.
    ///
    /// # Errors
    /// What upstream answered instead.
    async fn subscription(
        &self,
        customer: CustomerId,
        id: &ResourceId,
        call: &Call,
    ) -> Result<SubscriptionReading, UpstreamFailure>;

    /// Writes a subscription back whole with `change` made, once. After 202 polls the subscription until
    /// the change shows. Returns the fields after the change.
    ///
    /// # Errors
    /// [`NotChanged`]; never repeated here.
    async fn change_subscription(
        &self,
        customer: CustomerId,
        reading: &SubscriptionReading,
        change: &SubscriptionChange,
        call: &Call,
        gate: Arc<dyn SendGate>,
    ) -> Result<ChangeableFields, NotChanged>;

    /// Sends the removal of the relationship, once. `Ok` means that upstream answered as documented;
    /// it proves nothing.
    ///
    /// # Errors
    /// [`NotChanged`]; never repeated here.
    async fn remove_relationship(
        &self,
        customer: CustomerId,
        call: &Call,
        gate: Arc<dyn SendGate>,
    ) -> Result<(), NotChanged>;

    /// Looks whether the customer is gone, and if so walks the customer list with the same token.
    /// `name` (company name, may be empty) allows a cheap filtered look first.
    async fn observe_removal(&self, customer: CustomerId, name: &str, call: &Call) -> Observation;

    /// Whether the customer's subscriptions can still be listed. `Ok`: they can.
    ///
    /// # Errors
    /// Upstream's refusal, or why there was no answer.
    async fn probe_subscriptions(
        &self,
        customer: CustomerId,
        call: &Call,
    ) -> Result<(), UpstreamFailure>;

    /// Whether the support contact of a subscription can still be read. `Ok`: it can.
    ///
    /// # Errors
    /// Upstream's refusal, or why there was no answer.
    async fn probe_support_contact(
        &self,
        customer: CustomerId,
        subscription: &ResourceId,
        call: &Call,
    ) -> Result<(), UpstreamFailure>;

    /// The audit records about this customer from `since` on (upstream keeps 90 days), newest last.
    ///
    /// # Errors
    /// Why they could not be read.
    async fn audit(
        &self,
        customer: CustomerId,
        since: Time,
        call: &Call,
    ) -> Result<Vec<AuditRecord>, UpstreamFailure>;

    /// The link by which a customer comes back, verbatim.
    ///
    /// # Errors
    /// Why it could not be had.
    async fn relationship_request_link(&self, call: &Call) -> Result<String, UpstreamFailure>;
}
