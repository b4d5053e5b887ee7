//! Blocker: one reason why the removal would be refused, with what clears it and from when.

mod entitlement;
mod find;
mod subscription;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;

pub use find::blockers;

use std::fmt;

use serde::{Deserialize, Serialize};

use super::failure::UpstreamFailure;
use super::ids::ResourceId;
use super::policy::{Permission, Policy};
use super::subscription::AtTermEnd;
use super::time::Time;

/// Why the removal would be refused. Stable: callers branch on these names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Reason {
    /// A reservation is neither cancelled nor expired.
    AzureReservationActive,
    /// A savings plan runs.
    SavingsPlanActive,
    /// Software is still owned.
    SoftwarePurchaseActive,
    /// A legacy subscription is active.
    SubscriptionActive,
    /// A new-commerce licence is active or suspended, not cancelled.
    NewCommerceNotCancelled,
    /// A new-commerce trial runs.
    TrialActive,
    /// An Azure plan is active.
    AzurePlanActive,
    /// An Azure subscription below an Azure plan is active.
    AzureSubscriptionActive,
    /// A third-party subscription runs.
    MarketplaceSubscriptionActive,
    /// Something is still provisioning.
    SubscriptionPending,
    /// A transfer to another partner is open.
    TransferPending,
    /// This account may not remove; the indirect provider must.
    IndirectReseller,
    /// Microsoft reviews the customer.
    CustomerUnderReview,
    /// Microsoft locked the customer.
    CustomerLocked,
    /// A part of the snapshot could not be read, or holds something no rule knows.
    Unreadable,
    /// Microsoft refused for a reason not in this list.
    UpstreamRefused,
    /// Something new that the accepted plan does not cover.
    PlanChanged,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Self; 17] = [
        Self::AzureReservationActive,
        Self::SavingsPlanActive,
        Self::SoftwarePurchaseActive,
        Self::SubscriptionActive,
        Self::NewCommerceNotCancelled,
        Self::TrialActive,
        Self::AzurePlanActive,
        Self::AzureSubscriptionActive,
        Self::MarketplaceSubscriptionActive,
        Self::SubscriptionPending,
        Self::TransferPending,
        Self::IndirectReseller,
        Self::CustomerUnderReview,
        Self::CustomerLocked,
        Self::Unreadable,
        Self::UpstreamRefused,
        Self::PlanChanged,
    ];

    /// The stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AzureReservationActive => "AZURE_RESERVATION_ACTIVE",
            Self::SavingsPlanActive => "SAVINGS_PLAN_ACTIVE",
            Self::SoftwarePurchaseActive => "SOFTWARE_PURCHASE_ACTIVE",
            Self::SubscriptionActive => "SUBSCRIPTION_ACTIVE",
            Self::NewCommerceNotCancelled => "NEW_COMMERCE_NOT_CANCELLED",
            Self::TrialActive => "TRIAL_ACTIVE",
            Self::AzurePlanActive => "AZURE_PLAN_ACTIVE",
            Self::AzureSubscriptionActive => "AZURE_SUBSCRIPTION_ACTIVE",
            Self::MarketplaceSubscriptionActive => "MARKETPLACE_SUBSCRIPTION_ACTIVE",
            Self::SubscriptionPending => "SUBSCRIPTION_PENDING",
            Self::TransferPending => "TRANSFER_PENDING",
            Self::IndirectReseller => "INDIRECT_RESELLER",
            Self::CustomerUnderReview => "CUSTOMER_UNDER_REVIEW",
            Self::CustomerLocked => "CUSTOMER_LOCKED",
            Self::Unreadable => "UNREADABLE",
            Self::UpstreamRefused => "UPSTREAM_REFUSED",
            Self::PlanChanged => "PLAN_CHANGED",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How we know that a blocker blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Certainty {
    /// Microsoft says so.
    Documented,
    /// We conclude so.
    Inferred,
}

/// Who can clear a blocker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClearedBy {
    /// This service, under a policy.
    Service(Permission),
    /// The partner: in the portal, or whoever runs this service.
    Partner,
    /// The customer.
    Customer,
    /// Microsoft.
    Microsoft,
    /// Time alone.
    Time,
}

/// What kind of thing a blocker, an item or an effect is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResourceKind {
    /// The customer.
    Customer,
    /// The partner account.
    Partner,
    /// A subscription or add-on.
    Subscription,
    /// An Azure subscription below a plan.
    AzureSubscription,
    /// A reservation.
    Reservation,
    /// A software purchase.
    Software,
    /// A transfer.
    Transfer,
    /// A part of the snapshot.
    SnapshotPart,
}

impl ResourceKind {
    /// Stable name in records and hashes.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Customer => "customer",
            Self::Partner => "partner",
            Self::Subscription => "subscription",
            Self::AzureSubscription => "azure_subscription",
            Self::Reservation => "reservation",
            Self::Software => "software",
            Self::Transfer => "transfer",
            Self::SnapshotPart => "snapshot_part",
        }
    }
}

/// A thing upstream, by kind, id and name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resource {
    /// What it is.
    pub kind: ResourceKind,
    /// Its id upstream.
    pub id: ResourceId,
    /// Its name for people.
    pub name: String,
}

/// One reason why the removal would be refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blocker {
    /// Stable reason.
    pub reason: Reason,
    /// How we know.
    pub certainty: Certainty,
    /// What stands in the way.
    pub resource: Resource,
    /// One sentence for people.
    pub message: String,
    /// Who can clear it.
    pub cleared_by: ClearedBy,
    /// What to do.
    pub remedy: String,
    /// The earliest moment at which it can be gone, from upstream's dates; `None`: not known.
    pub earliest: Option<Time>,
    /// When its term ends.
    pub term_end: Option<Time>,
    /// What upstream does at its term end.
    pub at_term_end: AtTermEnd,
}

impl Blocker {
    /// Whether this service clears it under `policy`.
    pub fn clearable(&self, policy: Policy) -> bool {
        matches!(self.cleared_by, ClearedBy::Service(permission) if policy.allows(permission))
    }

    /// What orders and identifies a blocker: reason, then resource.
    pub fn key(&self) -> (Reason, ResourceKind, String) {
        (
            self.reason,
            self.resource.kind,
            self.resource.id.canonical(),
        )
    }

    fn new(reason: Reason, resource: Resource, cleared_by: ClearedBy) -> Self {
        Self {
            reason,
            certainty: Certainty::Documented,
            resource,
            message: String::new(),
            cleared_by,
            remedy: String::new(),
            earliest: None,
            term_end: None,
            at_term_end: AtTermEnd::Unknown,
        }
    }

    fn certainty(mut self, certainty: Certainty) -> Self {
        self.certainty = certainty;
        self
    }

    fn says(mut self, message: impl Into<String>, remedy: impl Into<String>) -> Self {
        self.message = message.into();
        self.remedy = remedy.into();
        self
    }

    fn earliest(mut self, earliest: Option<Time>) -> Self {
        self.earliest = earliest;
        self
    }

    /// Microsoft refused the removal or an effect for a reason that no rule knows.
    pub fn refused(resource: Resource, failure: &UpstreamFailure) -> Self {
        Self::new(Reason::UpstreamRefused, resource, ClearedBy::Microsoft)
            .certainty(Certainty::Documented)
            .says(
                format!("Microsoft refused: {failure}"),
                "Act on Microsoft's answer, or open a support ticket that quotes its ids.",
            )
    }

    /// A resource that the accepted plan does not cover.
    pub fn outside_plan(of: &Blocker) -> Self {
        Self {
            reason: Reason::PlanChanged,
            message: format!(
                "{} ({}) is not part of the accepted plan and would have to be changed.",
                of.resource.name, of.resource.id
            ),
            remedy: "Preview again, then start a new offboarding with the new plan.".to_owned(),
            cleared_by: ClearedBy::Partner,
            ..of.clone()
        }
    }
}
