//! State: where an offboarding stands.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::super::event::Ending;

/// Where an offboarding stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum State {
    /// Waits for `not_before`.
    Scheduled,
    /// Waits for blockers that appeared after the first effect.
    Blocked,
    /// Does the plan's clearing effects.
    Clearing,
    /// Checks once more, then removes.
    Removing,
    /// Looks for witnesses.
    Verifying,
    /// Puts back what it changed.
    Restoring,
    /// Gone, by independent witnesses.
    Succeeded,
    /// A person decides.
    Unconfirmed,
    /// Ended without a removal.
    Failed,
    /// Cancelled by a caller.
    Cancelled,
}

impl State {
    /// Every state.
    pub const ALL: [Self; 10] = [
        Self::Scheduled,
        Self::Blocked,
        Self::Clearing,
        Self::Removing,
        Self::Verifying,
        Self::Restoring,
        Self::Succeeded,
        Self::Unconfirmed,
        Self::Failed,
        Self::Cancelled,
    ];

    /// The stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Scheduled => "SCHEDULED",
            Self::Blocked => "BLOCKED",
            Self::Clearing => "CLEARING",
            Self::Removing => "REMOVING",
            Self::Verifying => "VERIFYING",
            Self::Restoring => "RESTORING",
            Self::Succeeded => "SUCCEEDED",
            Self::Unconfirmed => "UNCONFIRMED",
            Self::Failed => "FAILED",
            Self::Cancelled => "CANCELLED",
        }
    }

    /// The state of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == name)
    }

    /// Whether it is final.
    pub fn is_terminal(self) -> bool {
        matches!(
            self,
            Self::Succeeded | Self::Unconfirmed | Self::Failed | Self::Cancelled
        )
    }
}

impl From<Ending> for State {
    fn from(ending: Ending) -> Self {
        match ending {
            Ending::Succeeded => Self::Succeeded,
            Ending::Unconfirmed => Self::Unconfirmed,
            Ending::Failed => Self::Failed,
            Ending::Cancelled => Self::Cancelled,
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
