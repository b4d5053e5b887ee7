//! Policy: what the caller allows this service to change before it removes the relationship.

use serde::{Deserialize, Serialize};

/// What the caller allows. Everything is off by default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct Policy {
    /// Suspend active legacy subscriptions, trials and add-ons included. Never touches new commerce.
    pub suspend: bool,
}

/// The name of one thing a policy can allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Permission {
    /// `suspend`
    Suspend,
}

impl Permission {
    /// Every permission.
    pub const ALL: [Self; 1] = [Self::Suspend];

    /// The name of the policy field.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Suspend => "suspend",
        }
    }
}

impl Policy {
    /// Whether the policy allows it.
    pub fn allows(self, permission: Permission) -> bool {
        match permission {
            Permission::Suspend => self.suspend,
        }
    }
}
