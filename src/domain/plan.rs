//! Plan: what an offboarding would do, derived from a snapshot and a policy.
//!
//! Its hash is what callers agree to.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::blocker::{Blocker, ClearedBy, Resource, ResourceKind, blockers};
use super::ids::ResourceId;
use super::policy::{Permission, Policy};
use super::snapshot::Snapshot;
use super::subscription::{Subscription, SubscriptionKind, SubscriptionStatus};
use super::time::Time;

/// Version of what goes into the plan hash.
const HASH_FORMAT: &str = "relationship.v1 plan 1";

/// What is done to one resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Suspend a legacy subscription.
    Suspend,
}

impl Action {
    /// Stable name in hashes and records.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Suspend => "suspend",
        }
    }

    /// What a permission does to a resource.
    fn of(permission: Permission) -> Self {
        match permission {
            Permission::Suspend => Self::Suspend,
        }
    }
}

/// In which order clearing effects go: a group begins when the one before it has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Group {
    /// Add-ons first: a parent takes its active add-ons along.
    AddOns,
    /// Everything else.
    Parents,
}

/// One clearing effect of the plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedAction {
    /// On what.
    pub resource: Resource,
    /// What is done.
    pub action: Action,
    /// When.
    pub group: Group,
    /// The parent of an add-on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<ResourceId>,
    /// What that means for the customer.
    pub consequence: String,
}

impl PlannedAction {
    /// What identifies an authorised effect: resource and action.
    pub fn key(&self) -> (ResourceKind, String, Action) {
        (
            self.resource.kind,
            self.resource.id.canonical(),
            self.action,
        )
    }
}

/// The SHA-256 that callers agree to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PlanHash([u8; 32]);

impl fmt::Display for PlanHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

/// The text is not 64 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be the 64 hexadecimal digits that PreviewRemoval returned")]
pub struct InvalidPlanHash;

impl FromStr for PlanHash {
    type Err = InvalidPlanHash;
    fn from_str(text: &str) -> Result<Self, InvalidPlanHash> {
        let mut hash = [0; 32];
        hex::decode_to_slice(text, &mut hash).map_err(|_| InvalidPlanHash)?;
        Ok(Self(hash))
    }
}

impl TryFrom<String> for PlanHash {
    type Error = InvalidPlanHash;
    fn try_from(text: String) -> Result<Self, InvalidPlanHash> {
        text.parse()
    }
}

impl From<PlanHash> for String {
    fn from(hash: PlanHash) -> Self {
        hash.to_string()
    }
}

/// What an offboarding would do, and what is in its way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Clearing effects, in the order in which they would be done.
    pub actions: Vec<PlannedAction>,
    /// Every blocker, those included that the actions clear.
    pub blockers: Vec<Blocker>,
    /// What cannot be undone.
    pub irreversible: Vec<String>,
    /// What stays behind after the removal.
    pub stays_behind: Vec<String>,
    /// The hash.
    pub hash: PlanHash,
}

impl Plan {
    /// The blockers that the plan does not clear now.
    pub fn standing(&self) -> impl Iterator<Item = &Blocker> {
        self.blockers.iter().filter(|blocker| !self.clears(blocker))
    }

    fn clears(&self, blocker: &Blocker) -> bool {
        matches!(blocker.cleared_by, ClearedBy::Service(_))
            && self.actions.iter().any(|action| {
                action.resource.kind == blocker.resource.kind
                    && action.resource.id == blocker.resource.id
            })
    }
}

/// Derives the plan.
pub fn plan(snapshot: &Snapshot, policy: Policy, now: Time) -> Plan {
    let subscriptions = snapshot.all_subscriptions();
    let blockers = blockers(snapshot, now);
    let mut actions: Vec<PlannedAction> = blockers
        .iter()
        .filter(|blocker| blocker.clearable(policy))
        .filter_map(|blocker| match blocker.cleared_by {
            ClearedBy::Service(permission) => {
                Some(planned(blocker, Action::of(permission), &subscriptions))
            }
            _ => None,
        })
        .collect();
    actions.sort_by_key(|action| (action.group, action.key()));
    let hash = hash(snapshot, policy, &actions, &blockers);
    Plan {
        irreversible: irreversible(),
        stays_behind: stays_behind(snapshot, &subscriptions, &actions),
        actions,
        blockers,
        hash,
    }
}

fn planned(blocker: &Blocker, action: Action, subscriptions: &[Subscription]) -> PlannedAction {
    let parent = subscriptions
        .iter()
        .find(|s| s.id == blocker.resource.id)
        .and_then(|s| s.parent.clone());
    PlannedAction {
        resource: blocker.resource.clone(),
        action,
        group: if parent.is_some() {
            Group::AddOns
        } else {
            Group::Parents
        },
        parent,
        consequence: match action {
            Action::Suspend => {
                "Its users lose access; it is not billed while suspended; Microsoft deletes \
                                its data after 90 days of suspension."
                    .to_owned()
            }
        },
    }
}

fn irreversible() -> Vec<String> {
    vec![
        "Removing the relationship: only the customer can accept a new relationship request.".to_owned(),
        "Purchasing on the customer's behalf and delegated admin privileges end with the relationship."
            .to_owned(),
    ]
}

fn stays_behind(
    snapshot: &Snapshot,
    subscriptions: &[Subscription],
    actions: &[PlannedAction],
) -> Vec<String> {
    let mut left = Vec::new();
    let suspended = subscriptions
        .iter()
        .filter(|s| {
            s.status == SubscriptionStatus::Suspended
                || actions.iter().any(|action| action.resource.id == s.id)
        })
        .count();
    if suspended > 0 {
        left.push(format!(
            "{suspended} suspended {}; Microsoft deletes the data after 90 days of suspension.",
            if suspended == 1 {
                "subscription"
            } else {
                "subscriptions"
            }
        ));
    }
    let azure = subscriptions.iter().any(|s| {
        matches!(
            s.kind(),
            SubscriptionKind::AzurePlan | SubscriptionKind::LegacyUsage
        )
    });
    if azure {
        left.push(
            "Azure role assignments of the partner's users; the customer removes them in Azure."
                .to_owned(),
        );
    }
    left.push(
        "Granular delegated admin relationships (GDAP) are separate and not ended by the removal."
            .to_owned(),
    );
    if let Some(super::snapshot::Standing::Related(customer)) = snapshot.standing.get()
        && !customer.name.is_empty()
    {
        left.push(format!("The tenant of {} and all its data.", customer.name));
    } else {
        left.push("The customer's tenant and all its data.".to_owned());
    }
    left
}

/// SHA-256 over a format version, partner tenant, customer, policy, sorted (kind, id, action) and
/// sorted (reason, id): no names, dates or etags, so that the same decision has the same hash.
fn hash(
    snapshot: &Snapshot,
    policy: Policy,
    actions: &[PlannedAction],
    blockers: &[Blocker],
) -> PlanHash {
    let allowed: Vec<&str> = Permission::ALL
        .into_iter()
        .filter(|permission| policy.allows(*permission))
        .map(Permission::as_str)
        .collect();
    let actions: BTreeSet<(&str, String, &str)> = actions
        .iter()
        .map(|a| {
            (
                a.resource.kind.as_str(),
                a.resource.id.canonical(),
                a.action.as_str(),
            )
        })
        .collect();
    let reasons: BTreeSet<(&str, String)> = blockers
        .iter()
        .map(|b| (b.reason.as_str(), b.resource.id.canonical()))
        .collect();
    // JSON keeps the members apart whatever the ids contain.
    let text = serde_json::json!([
        HASH_FORMAT,
        snapshot.partner,
        snapshot.customer,
        allowed,
        actions,
        reasons
    ])
    .to_string();
    PlanHash(Sha256::digest(text.as_bytes()).into())
}
