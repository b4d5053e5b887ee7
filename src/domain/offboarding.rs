//! Offboarding: the fold of a log. `apply` is the only way in which it changes.

mod effects;
mod fold;
mod progress;
mod removal;
mod state;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;

pub use progress::{
    BlockedWait, Cancellation, Clearance, Deferral, Effect, KnownItem, Outcome, Progress, Removal,
    RemovalProgress, RemovedBy, Restoring, Verification,
};
pub use state::State;

use serde::{Deserialize, Serialize};

use super::blocker::{Blocker, ResourceKind};
use super::event::{RemovalProof, Request};
use super::failure::UpstreamFailure;
use super::ids::{CallerId, CorrelationId, OffboardingId, RequestId, ResourceId};
use super::plan::PlanHash;
use super::time::Time;

/// One durable run that ends one relationship: the fold of its log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offboarding {
    /// Its id.
    pub id: OffboardingId,
    /// Sequence of the newest event.
    pub sequence: u64,
    /// What was asked for.
    pub request: Request,
    /// The caller's id for the request.
    pub request_id: RequestId,
    /// Who asked.
    pub caller: CallerId,
    /// `MS-CorrelationId`.
    pub correlation: CorrelationId,
    /// When it was accepted.
    pub created: Time,
    /// Time of the newest event.
    pub updated: Time,
    /// Where it stands.
    pub state: State,
    /// Since when.
    pub state_since: Time,
    /// Hash of the plan as frozen; `None` until upstream was read.
    pub plan_hash: Option<PlanHash>,
    /// The frozen actions and how far each is, in the plan's order; `None` until frozen.
    pub effects: Option<Vec<Effect>>,
    /// When the first effect was intended.
    pub first_effect: Option<Time>,
    /// Company name when last read.
    pub customer_name: String,
    /// What the customer has, as last seen.
    pub items: Vec<KnownItem>,
    /// Blockers that stand, as last seen.
    pub blockers: Vec<Blocker>,
    /// The way is clear.
    pub clearance: Option<Clearance>,
    /// Waiting for blockers.
    pub blocked: Option<BlockedWait>,
    /// Waiting after a failure.
    pub deferral: Option<Deferral>,
    /// The removal.
    pub removal: Removal,
    /// The witnesses.
    pub verification: Option<Verification>,
    /// What shows that an earlier removal was one.
    pub earlier: Option<RemovalProof>,
    /// Set when upstream said "not related" before we ever saw the customer.
    pub not_related: bool,
    /// A request to cancel.
    pub cancellation: Option<Cancellation>,
    /// Turning back.
    pub restoring: Option<Restoring>,
    /// How it ended.
    pub outcome: Option<Outcome>,
    /// The last upstream failure, and when.
    pub last_failure: Option<(Time, UpstreamFailure)>,
}

/// A log that cannot be folded: it was not written by this program, or is damaged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadLog {
    /// The first event is not an acceptance.
    #[error("a log begins with an acceptance")]
    NoAcceptance,
    /// A sequence number is missing or doubled.
    #[error("event {found} follows event {after}")]
    Gap {
        /// The event before.
        after: u64,
        /// The event found.
        found: u64,
    },
    /// Something follows the end, or a second acceptance.
    #[error("event {0} may not stand there")]
    Misplaced(u64),
}

impl Offboarding {
    /// The effect on a resource.
    pub fn effect(&self, id: &ResourceId) -> Option<&Effect> {
        self.effects
            .iter()
            .flatten()
            .find(|effect| effect.action.resource.id == *id)
    }

    /// Some subscription of the customer, for a read-only probe.
    pub fn any_subscription(&self) -> Option<&ResourceId> {
        self.items
            .iter()
            .find(|item| item.kind == ResourceKind::Subscription)
            .map(|item| &item.id)
    }

    /// Whether a removal intent stands that upstream has not refused: the point of no return.
    pub fn removal_stands(&self) -> bool {
        matches!(
            self.removal.progress,
            RemovalProgress::Intended { .. }
                | RemovalProgress::Unknown { .. }
                | RemovalProgress::MayResend
                | RemovalProgress::Done { .. }
        )
    }

    /// Whether anything was or may have been changed by this run, so that turning back has work to do.
    pub fn has_something_to_restore(&self) -> bool {
        self.effects
            .iter()
            .flatten()
            .any(|effect| match &effect.progress {
                Progress::Done { how, .. } if how.is_ours() => true,
                progress => {
                    effect.outcome_missing()
                        || matches!(
                            progress,
                            Progress::RestoreIntended { .. } | Progress::RestoreUnsettled { .. }
                        )
                }
            })
    }

    /// What could not be put back, in sentences.
    pub fn not_restored(&self) -> Vec<String> {
        self.effects
            .iter()
            .flatten()
            .filter_map(|effect| match &effect.progress {
                Progress::NotRestored { why } => {
                    let resource = &effect.action.resource;
                    Some(format!("{} ({}): {why}", resource.name, resource.id))
                }
                _ => None,
            })
            .collect()
    }
}
