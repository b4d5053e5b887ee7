//! Event: one entry of an offboarding's log. The log is the truth, everything else follows from it.
//!
//! Events are stored as JSON and hash-chained: the hash of an event covers its text and the hash before.

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::blocker::{Blocker, ResourceKind};
use super::failure::UpstreamFailure;
use super::ids::{
    CallerId, CorrelationId, CustomerId, OffboardingId, PartnerTenantId, RequestId, ResourceId,
};
use super::item::Item;
use super::plan::{Plan, PlanHash, PlannedAction};
use super::policy::Policy;
use super::subscription::ChangeableFields;
use super::time::Time;

/// A ticket, a CRM case or the like.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ExternalReference {
    /// Which system.
    pub system: String,
    /// The id there.
    pub id: String,
}

/// What a caller asked for, as accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// Whose customer.
    pub partner: PartnerTenantId,
    /// Which customer.
    pub customer: CustomerId,
    /// What is allowed.
    pub policy: Policy,
    /// Not to be begun earlier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Time>,
    /// The plan the caller agreed to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan_hash: Option<PlanHash>,
    /// Why.
    pub reason: String,
    /// Labels.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// External references, in the caller's order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub references: Vec<ExternalReference>,
}

impl Request {
    /// SHA-256 over all fields, maps sorted: what makes a repeated request the same request.
    pub fn digest(&self) -> [u8; 32] {
        // The field order is fixed by this type and maps are sorted, so equal requests give equal text.
        let text = serde_json::to_vec(self).unwrap_or_default();
        Sha256::digest(&text).into()
    }
}

/// What an acceptance rests on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "basis", rename_all = "snake_case")]
pub enum Basis {
    /// Upstream was read and the plan is frozen.
    Read {
        /// What was seen.
        snapshot: Box<SnapshotRecord>,
        /// The plan that the caller gets.
        plan: Box<Plan>,
    },
    /// Accepted for later without reading upstream.
    Unread,
    /// The relationship is gone already; nothing will be changed.
    AlreadyRemoved {
        /// What shows that there was one.
        proof: RemovalProof,
    },
}

/// What shows that a relationship was there and was removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "proof", rename_all = "snake_case")]
pub enum RemovalProof {
    /// An earlier offboarding of ours.
    EarlierRun {
        /// Which.
        id: OffboardingId,
    },
    /// Microsoft's audit record.
    Audit {
        /// The record.
        record: AuditWitness,
    },
}

/// Microsoft's audit record of a removal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditWitness {
    /// Record id; may be empty.
    pub id: String,
    /// When.
    pub at: Time,
    /// Whether its correlation id is ours.
    pub correlated: bool,
    /// Who, as upstream wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

/// What a snapshot showed, as far as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotRecord {
    /// When its first read was sent.
    pub began: Time,
    /// Whether every part could be read.
    pub complete: bool,
    /// Company name; empty when upstream withholds it.
    pub customer_name: String,
    /// Items that are new or differ from the record before.
    pub items: Vec<Item>,
    /// Items that the record before had and this one has not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gone: Vec<(ResourceKind, ResourceId)>,
    /// Every blocker, those included that the plan clears.
    pub blockers: Vec<Blocker>,
}

/// How an effect came to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DoneHow {
    /// Sent, and upstream said so.
    Sent,
    /// Found done after we may have sent it.
    FoundAfterSending,
    /// An add-on that its parent, suspended by us, took along.
    WithParent,
    /// Found done although we had not sent it.
    ByOthers,
    /// The resource is not there any more.
    Vanished,
}

impl DoneHow {
    /// Whether the change is ours and therefore ours to undo.
    pub fn is_ours(self) -> bool {
        matches!(
            self,
            Self::Sent | Self::FoundAfterSending | Self::WithParent
        )
    }
}

/// One effect to be recorded as intended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intent {
    /// On what and what.
    pub action: PlannedAction,
    /// The fields before, from the snapshot that led here.
    pub before: ChangeableFields,
}

/// What reading a removed customer said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "sighting", rename_all = "snake_case")]
pub enum Seen {
    /// Gone, with upstream's words.
    Gone {
        /// The answer.
        answer: UpstreamFailure,
    },
    /// Still there.
    Present {
        /// `relationshipToPartner`.
        relationship: String,
    },
    /// Could not be read.
    Unreadable {
        /// Why.
        failure: UpstreamFailure,
    },
}

/// What the customer list said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "list", rename_all = "snake_case")]
pub enum Listed {
    /// Every page was read and the customer is on none.
    Absent,
    /// The customer is listed.
    Present,
    /// Could not be read to its end.
    Unreadable {
        /// Why.
        failure: UpstreamFailure,
    },
}

/// What a read-only probe said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "probe", rename_all = "snake_case")]
pub enum Probe {
    /// Refused because there is no relationship.
    Refused {
        /// The answer.
        answer: UpstreamFailure,
    },
    /// Still answered.
    Answered,
    /// Failed for another reason.
    Failed {
        /// Why.
        failure: UpstreamFailure,
    },
}

/// What the audit said about an unknown removal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "audit", rename_all = "snake_case")]
pub enum AuditFinding {
    /// Neither a removal nor a re-acceptance since the first intent.
    Nothing,
    /// The removal.
    Removed {
        /// The record.
        record: AuditWitness,
    },
    /// The customer accepted a relationship since.
    Reaccepted {
        /// The record.
        record: AuditWitness,
    },
    /// Could not be read.
    Unreadable {
        /// Why.
        failure: UpstreamFailure,
    },
}

/// How an offboarding ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum EndReason {
    /// We removed it and witnesses confirm.
    Removed,
    /// Somebody else removed it midway; witnesses confirm.
    RemovedByOthers,
    /// It was gone before; witnesses confirm.
    AlreadyRemoved,
    /// Blockers stood before anything was changed.
    BlockersStand,
    /// The plan had changed before anything was changed.
    PlanChanged,
    /// Microsoft refused an effect or the removal.
    UpstreamRefused,
    /// There is no relationship and no sign that there was one.
    CustomerNotRelated,
    /// Blockers that appeared after the first effect stood for too long.
    BlockedTooLong,
    /// A caller cancelled.
    CancelledByCaller,
    /// Nobody can say whether the removal took effect.
    RemovalOutcomeUnknown,
    /// Witnesses did not confirm within the budget.
    NotConfirmedInTime,
}

impl EndReason {
    /// Every reason.
    pub const ALL: [Self; 11] = [
        Self::Removed,
        Self::RemovedByOthers,
        Self::AlreadyRemoved,
        Self::BlockersStand,
        Self::PlanChanged,
        Self::UpstreamRefused,
        Self::CustomerNotRelated,
        Self::BlockedTooLong,
        Self::CancelledByCaller,
        Self::RemovalOutcomeUnknown,
        Self::NotConfirmedInTime,
    ];

    /// The stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Removed => "REMOVED",
            Self::RemovedByOthers => "REMOVED_BY_OTHERS",
            Self::AlreadyRemoved => "ALREADY_REMOVED",
            Self::BlockersStand => "BLOCKERS_STAND",
            Self::PlanChanged => "PLAN_CHANGED",
            Self::UpstreamRefused => "UPSTREAM_REFUSED",
            Self::CustomerNotRelated => "CUSTOMER_NOT_RELATED",
            Self::BlockedTooLong => "BLOCKED_TOO_LONG",
            Self::CancelledByCaller => "CANCELLED_BY_CALLER",
            Self::RemovalOutcomeUnknown => "REMOVAL_OUTCOME_UNKNOWN",
            Self::NotConfirmedInTime => "NOT_CONFIRMED_IN_TIME",
        }
    }
}

/// A terminal state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Ending {
    /// Gone, by independent witnesses.
    Succeeded,
    /// A person decides.
    Unconfirmed,
    /// Nothing was removed.
    Failed,
    /// A caller wanted it so.
    Cancelled,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[allow(
    clippy::large_enum_variant,
    reason = "a handful live at a time, and each is written once"
)]
pub enum EventBody {
    /// The offboarding was accepted. Always the first event.
    Accepted {
        /// What was asked for.
        request: Request,
        /// The caller's id for the request.
        request_id: RequestId,
        /// Who asked.
        caller: CallerId,
        /// `MS-CorrelationId` of every upstream call from here on.
        correlation: CorrelationId,
        /// What it rests on.
        basis: Basis,
    },
    /// Upstream was read.
    SnapshotTaken {
        /// What was seen.
        snapshot: Box<SnapshotRecord>,
        /// The blockers that the authorised actions do not clear. Empty: the way is clear.
        standing: Vec<Blocker>,
        /// Freezes the authorised actions: only in the first snapshot of an offboarding accepted unread.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        plan: Option<Box<Plan>>,
    },
    /// Upstream could not be read, or an effect has to be tried again: wait until `retry_at`.
    Deferred {
        /// What stood in the way.
        failure: UpstreamFailure,
        /// When to try again.
        retry_at: Time,
    },
    /// About to send these effects, side by side.
    EffectsIntended {
        /// Which.
        intents: Vec<Intent>,
    },
    /// Intended effects that were not sent.
    EffectsNotSent {
        /// Which.
        ids: Vec<ResourceId>,
        /// Why.
        why: String,
    },
    /// An effect is done.
    EffectDone {
        /// Which.
        id: ResourceId,
        /// How.
        how: DoneHow,
        /// The fields afterwards; `None` when the resource vanished.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        after: Option<ChangeableFields>,
    },
    /// An effect has no certain outcome, or upstream asks to try later: read, then perhaps send again.
    EffectUnsettled {
        /// Which.
        id: ResourceId,
        /// What upstream answered.
        failure: UpstreamFailure,
        /// When to try again.
        retry_at: Time,
        /// Whether the change was sent; otherwise reading before sending failed.
        #[serde(default = "yes")]
        sent: bool,
    },
    /// Upstream refused an effect for good.
    EffectRefused {
        /// Which.
        id: ResourceId,
        /// What upstream answered.
        failure: UpstreamFailure,
    },
    /// Blockers appeared after the first effect: waits.
    Blocked {
        /// Until when at the latest.
        until: Time,
        /// When to look again.
        recheck_at: Time,
    },
    /// About to send the removal.
    RemovalIntended,
    /// The intended removal was not sent.
    RemovalNotSent {
        /// Why.
        why: String,
    },
    /// Upstream answered the removal as documented.
    RemovalAnswered,
    /// Upstream says that there is nothing to remove any more.
    RemovalFoundDone {
        /// The answer.
        answer: UpstreamFailure,
    },
    /// Upstream refused the removal; it did not take effect.
    RemovalRefused {
        /// The answer.
        failure: UpstreamFailure,
        /// Whether it may be tried again (throttled, busy, our own standing), and when.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_at: Option<Time>,
    },
    /// Nobody knows whether the removal took effect.
    RemovalUnknown {
        /// What came instead of an answer.
        failure: UpstreamFailure,
    },
    /// A removal without outcome was looked for.
    RemovalLookedUp {
        /// Whether the customer is there.
        customer: Seen,
        /// What the audit says.
        audit: AuditFinding,
        /// When to look again, if this does not settle it.
        retry_at: Time,
    },
    /// Somebody else removed the relationship.
    RemovedByOthers {
        /// Upstream's answer that says so.
        answer: UpstreamFailure,
    },
    /// The customer is not related; looked for a proof that it once was.
    FoundNotRelated {
        /// Upstream's answer.
        answer: UpstreamFailure,
        /// The proof, if there is one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        proof: Option<RemovalProof>,
    },
    /// Looked for witnesses of the removal.
    Observed {
        /// When the look began.
        began: Time,
        /// What reading the customer said.
        customer: Seen,
        /// What the list said; `None`: not asked.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        listed: Option<Listed>,
        /// The audit record, if found by this look.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        audit: Option<AuditWitness>,
        /// Support contact; `None`: not asked.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        support_contact: Option<Probe>,
        /// Subscriptions; `None`: not asked.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        subscriptions: Option<Probe>,
        /// When to look again, if this does not settle it.
        next_at: Time,
    },
    /// A caller asked to cancel. From here on nothing new is changed.
    CancellationRequested {
        /// Who.
        caller: CallerId,
        /// Why.
        reason: String,
    },
    /// The run turns back: what it changed is put back.
    RestoringBegan {
        /// The ending it leads to.
        to: Ending,
        /// Why.
        reason: EndReason,
        /// In a sentence.
        message: String,
    },
    /// About to put these back, side by side.
    RestoresIntended {
        /// Which.
        ids: Vec<ResourceId>,
    },
    /// Intended restorations that were not sent.
    RestoresNotSent {
        /// Which.
        ids: Vec<ResourceId>,
        /// Why.
        why: String,
    },
    /// Put back.
    Restored {
        /// Which.
        id: ResourceId,
        /// The fields afterwards.
        after: ChangeableFields,
    },
    /// Has to be tried again.
    RestoreUnsettled {
        /// Which.
        id: ResourceId,
        /// What upstream answered.
        failure: UpstreamFailure,
        /// When to try again.
        retry_at: Time,
    },
    /// Cannot be put back, or is not ours to put back.
    NotRestored {
        /// Which.
        id: ResourceId,
        /// Why, in a sentence.
        why: String,
    },
    /// The offboarding ended. Always the last event.
    Ended {
        /// How.
        ending: Ending,
        /// Why.
        reason: EndReason,
        /// In a sentence.
        message: String,
    },
}

fn yes() -> bool {
    true
}

/// Who wrote an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Writer {
    /// A handler.
    Control,
    /// The worker, under the claim with this fence.
    Worker(u64),
}

/// One entry of a log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Format version.
    pub format: u32,
    /// Whose log.
    pub offboarding: OffboardingId,
    /// Position, from 1.
    pub sequence: u64,
    /// When, by the partner's business clock.
    pub at: Time,
    /// Who wrote it.
    pub by: Writer,
    /// What happened.
    #[serde(flatten)]
    pub body: EventBody,
}

/// The hash over an event's text and the hash before it (all zeroes before the first).
pub fn chain(before: &[u8; 32], text: &str) -> [u8; 32] {
    let mut hasher = Sha256::new();
    hasher.update(before);
    hasher.update(text.as_bytes());
    hasher.finalize().into()
}
