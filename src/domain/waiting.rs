//! Waiting: for what an offboarding waits, on whom and until when.

use serde::{Deserialize, Serialize};

use super::blocker::{Blocker, ClearedBy};
use super::offboarding::{Offboarding, State};
use super::step::{Step, Timing, later};
use super::time::Time;

/// On whom something waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Party {
    /// This service.
    Service,
    /// The partner.
    Partner,
    /// The customer.
    Customer,
    /// Microsoft.
    Microsoft,
    /// Nobody: it takes time.
    Time,
}

impl Party {
    /// Every party.
    pub const ALL: [Self; 5] = [
        Self::Service,
        Self::Partner,
        Self::Customer,
        Self::Microsoft,
        Self::Time,
    ];

    /// The stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Service => "service",
            Self::Partner => "partner",
            Self::Customer => "customer",
            Self::Microsoft => "microsoft",
            Self::Time => "time",
        }
    }
}

impl From<ClearedBy> for Party {
    fn from(by: ClearedBy) -> Self {
        match by {
            ClearedBy::Service(_) => Self::Service,
            ClearedBy::Partner => Self::Partner,
            ClearedBy::Customer => Self::Customer,
            ClearedBy::Microsoft => Self::Microsoft,
            ClearedBy::Time => Self::Time,
        }
    }
}

/// What an offboarding waits for, for people and filters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// On whom.
    pub on: Party,
    /// For what, in a sentence.
    pub message: String,
    /// Until when at the latest, after which the service acts by itself.
    pub until: Option<Time>,
}

impl Offboarding {
    /// What it waits for; `None` when it works or has ended.
    pub fn waiting(&self, now: Time, timing: &Timing) -> Option<Waiting> {
        let by_blockers = |blockers: &[Blocker], until| {
            // The one that others must act on says more than "time".
            let blocker = blockers
                .iter()
                .max_by_key(|b| match Party::from(b.cleared_by) {
                    Party::Time => 0,
                    Party::Service => 1,
                    Party::Microsoft => 2,
                    Party::Partner => 3,
                    Party::Customer => 4,
                })?;
            Some(Waiting {
                on: blocker.cleared_by.into(),
                message: format!("{} {}", blocker.message, blocker.remedy),
                until,
            })
        };
        let by_failure = |until| {
            self.last_failure.as_ref().map(|(_, failure)| Waiting {
                on: if failure.class.is_ours() {
                    Party::Partner
                } else {
                    Party::Microsoft
                },
                message: format!("Partner Center: {failure}"),
                until,
            })
        };
        // A pause that no answer of upstream explains, e.g. after a crash or before another look.
        let by_pause = |until| {
            let message = if self.removal_stands() {
                "Waits before it looks again what became of the removal."
            } else {
                "Waits before it tries again."
            };
            Waiting {
                on: Party::Service,
                message: message.to_owned(),
                until,
            }
        };
        let until = self.deadline(timing);
        match self.state {
            State::Scheduled if self.request.not_before.is_some_and(|at| at > now) => {
                Some(Waiting {
                    on: Party::Time,
                    message: "Begins when not_before has come.".to_owned(),
                    until: self.request.not_before,
                })
            }
            State::Blocked => by_blockers(&self.blockers, until)
                .or_else(|| by_failure(until))
                .or_else(|| Some(by_pause(until))),
            State::Verifying => Some(Waiting {
                on: Party::Time,
                message: "Looks for witnesses of the removal.".to_owned(),
                until: self
                    .verification
                    .as_ref()
                    .map(|seen| later(seen.began, timing.verification_budget)),
            }),
            State::Scheduled | State::Clearing | State::Removing | State::Restoring => {
                let resting = matches!(self.next_step(now, u64::MAX, timing), Step::Rest { .. });
                resting.then(|| by_failure(until).unwrap_or_else(|| by_pause(until)))
            }
            State::Succeeded | State::Unconfirmed | State::Failed | State::Cancelled => None,
        }
    }
}
