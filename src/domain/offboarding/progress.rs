//! Progress: how far each part of an offboarding is, as the fold keeps it.

use serde::{Deserialize, Serialize};

use super::super::blocker::ResourceKind;
use super::super::event::{AuditWitness, DoneHow, EndReason, Ending, Probe};
use super::super::failure::UpstreamFailure;
use super::super::ids::{CallerId, ResourceId};
use super::super::item::Item;
use super::super::plan::PlannedAction;
use super::super::subscription::ChangeableFields;
use super::super::time::Time;

/// How far a clearing effect is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "progress", rename_all = "snake_case")]
pub enum Progress {
    /// Not begun, or not sent, or undone by somebody since.
    Todo,
    /// Recorded as about to be sent under this fence; no outcome yet.
    Intended {
        /// The fence.
        fence: u64,
    },
    /// To be read and perhaps sent again.
    Unsettled {
        /// What upstream answered.
        failure: UpstreamFailure,
        /// When.
        retry_at: Time,
        /// Whether it may have taken effect.
        maybe_done: bool,
    },
    /// Done.
    Done {
        /// How.
        how: DoneHow,
        /// The fields afterwards.
        after: Option<ChangeableFields>,
    },
    /// Refused for good.
    Refused {
        /// What upstream answered.
        failure: UpstreamFailure,
    },
    /// Being put back; no outcome yet.
    RestoreIntended {
        /// The fence.
        fence: u64,
        /// The fields that our effect left.
        after: Option<ChangeableFields>,
    },
    /// To be put back again.
    RestoreUnsettled {
        /// What upstream answered.
        failure: UpstreamFailure,
        /// When.
        retry_at: Time,
        /// The fields that our effect left.
        after: Option<ChangeableFields>,
    },
    /// Put back.
    Restored,
    /// Not put back.
    NotRestored {
        /// Why.
        why: String,
    },
}

/// A clearing effect of the authorised plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Effect {
    /// On what, what, in which group.
    pub action: PlannedAction,
    /// The fields before our first intent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<ChangeableFields>,
    /// Intents recorded so far.
    pub attempts: u32,
    /// How far it is.
    pub progress: Progress,
    /// When that was recorded.
    pub updated: Time,
    /// A suspension was sent or may have been, and nothing read since told what became of it: what is
    /// found suspended is ours.
    #[serde(default)]
    pub in_doubt: bool,
    /// Intents to put it back recorded so far.
    #[serde(default)]
    pub restore_attempts: u32,
    /// The same doubt about putting back: what is found active may be our doing.
    #[serde(default)]
    pub restore_in_doubt: bool,
}

impl Effect {
    /// Whether it still has to be done before the removal.
    pub fn is_open(&self) -> bool {
        matches!(
            self.progress,
            Progress::Todo | Progress::Intended { .. } | Progress::Unsettled { .. }
        )
    }

    /// Whether an intent stands whose outcome nobody recorded, or read since.
    pub fn outcome_missing(&self) -> bool {
        match self.progress {
            Progress::Intended { .. } => true,
            Progress::Todo
            | Progress::Unsettled { .. }
            | Progress::Refused { .. }
            | Progress::Done {
                how: DoneHow::Vanished,
                ..
            } => self.in_doubt,
            Progress::Done { .. }
            | Progress::RestoreIntended { .. }
            | Progress::RestoreUnsettled { .. }
            | Progress::Restored
            | Progress::NotRestored { .. } => false,
        }
    }
}

/// How far the removal is.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Removal {
    /// Intents recorded so far.
    pub attempts: u32,
    /// When the first intent was recorded that upstream has not certainly refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_intent: Option<Time>,
    /// An intent stands whose outcome is unknown, whatever became of later ones.
    #[serde(default)]
    pub in_doubt: bool,
    /// When a look found neither the removal nor a customer who came back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub looked_up: Option<Time>,
    /// Since when the removal is held up by what may pass (throttled, our own standing, not sent).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_up_since: Option<Time>,
    /// How far.
    pub progress: RemovalProgress,
}

/// How far the removal is.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(tag = "progress", rename_all = "snake_case")]
pub enum RemovalProgress {
    /// Nothing stands: never intended, not sent, or refused and tried again.
    #[default]
    None,
    /// Recorded as about to be sent under this fence; no outcome yet.
    Intended {
        /// The fence.
        fence: u64,
    },
    /// Outcome unknown; to be looked for at `retry_at`.
    Unknown {
        /// When to look (again).
        retry_at: Time,
    },
    /// Outcome unknown, looked for: it may be sent again after a fresh snapshot.
    MayResend,
    /// Refused for good.
    Refused {
        /// What upstream answered.
        failure: UpstreamFailure,
    },
    /// There is nothing more to remove.
    Done {
        /// Whose doing it was.
        by: RemovedBy,
    },
}

/// Whose doing a removal was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RemovedBy {
    /// This run.
    Us,
    /// Somebody else, midway.
    Others,
    /// It was gone before this run.
    Earlier,
}

/// What witnesses showed so far.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verification {
    /// Since when.
    pub began: Time,
    /// Looks so far.
    pub looks: u32,
    /// When to look next.
    pub next_at: Time,
    /// When the newest look began, whatever it showed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_look: Option<Time>,
    /// First of an unbroken run of looks that said gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_gone: Option<Time>,
    /// The newest look of that run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_gone: Option<Time>,
    /// A look within that run at which the list did not hold the customer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unlisted: Option<Time>,
    /// Audit record of the removal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audit: Option<AuditWitness>,
    /// Support contact probe.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub support_contact: Option<Probe>,
    /// Subscriptions probe.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subscriptions: Option<Probe>,
}

/// The way is clear: a snapshot without standing blockers, taken under one claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clearance {
    /// Under which claim.
    pub fence: u64,
    /// When its first read was sent: nothing in it is older.
    pub began: Time,
}

/// Waiting for blockers after the first effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockedWait {
    /// Until when at the latest.
    pub until: Time,
    /// When to look again.
    pub recheck_at: Time,
    /// Looks so far.
    pub looks: u32,
}

/// Waiting after an upstream failure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deferral {
    /// Since when, without a success in between.
    pub since: Time,
    /// When to try again.
    pub retry_at: Time,
    /// Failures in a row.
    pub attempts: u32,
}

/// Turning back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restoring {
    /// Since when.
    pub began: Time,
    /// The ending it leads to.
    pub to: Ending,
    /// Why.
    pub reason: EndReason,
    /// In a sentence.
    pub message: String,
}

/// A recorded request to cancel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cancellation {
    /// Who.
    pub caller: CallerId,
    /// Why.
    pub reason: String,
    /// When.
    pub at: Time,
}

/// How it ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// How.
    pub ending: Ending,
    /// Why.
    pub reason: EndReason,
    /// In a sentence.
    pub message: String,
    /// When.
    pub at: Time,
}

/// An item as the fold keeps it: enough for progress and for "before and after".
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownItem {
    /// Kind.
    pub kind: ResourceKind,
    /// Id.
    pub id: ResourceId,
    /// Digest-free short form: status as last seen.
    pub status: String,
    /// Auto-renew as last seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auto_renew: Option<bool>,
}

impl KnownItem {
    pub(super) fn of(item: &Item) -> Self {
        Self {
            kind: item.resource.kind,
            id: item.resource.id.clone(),
            status: item.status.clone(),
            auto_renew: item.auto_renew,
        }
    }
}
