//! The table (kind × status) → what stands in the way and what may clear it.
//!
//! Everything the service does to a subscription follows from [`verdict`]; a policy only switches on
//! the permission named here. `docs/offboarding.md` prints the table from this code.

use super::blocker::{Certainty, Reason};
use super::policy::Permission;
use super::subscription::{SubscriptionKind, SubscriptionStatus};

/// What one subscription means for the removal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Does not stand in the way.
    Clear,
    /// Stands in the way.
    Blocks {
        /// Why.
        reason: Reason,
        /// How sure we are that upstream would refuse.
        certainty: Certainty,
        /// What lets this service clear it; `None`: nothing does.
        cleared_by: Option<Permission>,
    },
}

const fn blocks(reason: Reason, certainty: Certainty) -> Verdict {
    Verdict::Blocks {
        reason,
        certainty,
        cleared_by: None,
    }
}

/// The table.
///
/// Documented by Microsoft: no subscription may be active, and new commerce must be cancelled.
/// Inferred: pending, expired and disabled; suspended new commerce of every kind but the Azure plan.
pub fn verdict(kind: SubscriptionKind, status: &SubscriptionStatus) -> Verdict {
    use Certainty::{Documented, Inferred};
    use SubscriptionKind as K;
    use SubscriptionStatus as S;
    match (kind, status) {
        // What is over blocks nothing, whatever it was.
        (_, S::Deleted | S::Expired | S::Disabled) => Verdict::Clear,
        (K::Unknown, _) | (_, S::Other(_)) => blocks(Reason::Unreadable, Inferred),
        (_, S::Pending) => blocks(Reason::SubscriptionPending, Inferred),

        (K::Legacy | K::LegacyUsage, S::Active) => Verdict::Blocks {
            reason: Reason::SubscriptionActive,
            certainty: Documented,
            cleared_by: Some(Permission::Suspend),
        },
        (K::Legacy | K::LegacyUsage, S::Suspended) => Verdict::Clear,

        (K::NewCommerce, S::Active) => blocks(Reason::NewCommerceNotCancelled, Documented),
        (K::NewCommerce, S::Suspended) => blocks(Reason::NewCommerceNotCancelled, Documented),
        (K::NewCommerceTrial, S::Active) => blocks(Reason::TrialActive, Documented),
        (K::NewCommerceTrial, S::Suspended) => blocks(Reason::TrialActive, Inferred),
        (K::Software, S::Active) => blocks(Reason::SoftwarePurchaseActive, Documented),
        (K::Software, S::Suspended) => blocks(Reason::SoftwarePurchaseActive, Inferred),
        (K::AzurePlan, S::Active) => blocks(Reason::AzurePlanActive, Documented),
        (K::AzurePlan, S::Suspended) => Verdict::Clear,
        (K::SavingsPlan, S::Active) => blocks(Reason::SavingsPlanActive, Documented),
        (K::SavingsPlan, S::Suspended) => blocks(Reason::SavingsPlanActive, Inferred),
        (K::Marketplace, S::Active) => blocks(Reason::MarketplaceSubscriptionActive, Documented),
        (K::Marketplace, S::Suspended) => blocks(Reason::MarketplaceSubscriptionActive, Inferred),
    }
}
