//! The state of the simulated Partner Center: plain data built from a scenario.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::scenario::{
    Behaviour, PartnerModel, PartnerRelationshipSpec, SubscriptionKind, SubscriptionStatus,
};

/// All partners, and what has been recorded about them.
#[derive(Debug)]
pub(super) struct World {
    pub(super) seed: u64,
    pub(super) behaviour: Behaviour,
    pub(super) partners: BTreeMap<Uuid, Partner>,
    /// The first partner of the scenario: the owner of tokens accepted though not issued here.
    pub(super) first_partner: Option<Uuid>,
}

/// One partner account.
#[derive(Debug)]
pub(super) struct Partner {
    pub(super) tenant_id: Uuid,
    pub(super) name: String,
    pub(super) model: PartnerModel,
    pub(super) mpn_id: String,
    pub(super) client_id: Uuid,
    pub(super) client_secret: Option<String>,
    pub(super) client_assertion_public_key: Option<String>,
    pub(super) refresh_tokens: Vec<String>,
    pub(super) user_principal_name: String,
    pub(super) relationships: Vec<PartnerRelationshipSpec>,
    pub(super) customers: BTreeMap<Uuid, Customer>,
    pub(super) audit: Vec<AuditEntry>,
}

/// One customer as one partner sees it.
#[derive(Debug)]
pub(super) struct Customer {
    pub(super) id: Uuid,
    pub(super) commerce_id: Uuid,
    pub(super) name: String,
    pub(super) domain: String,
    pub(super) relationship: String,
    pub(super) allow_delegated_access: bool,
    pub(super) under_review: bool,
    pub(super) locked: bool,
    pub(super) indirect_resellers: Vec<PartnerRelationshipSpec>,
    /// When the relationship was removed, and until when the customer still shows.
    pub(super) removed: Option<Removal>,
    /// A removal that was accepted and takes effect later.
    pub(super) removal_due: Option<Timestamp>,
    /// In the order in which they were bought.
    pub(super) subscriptions: Vec<Subscription>,
    pub(super) reservations: Vec<Reservation>,
    pub(super) software: Vec<Software>,
    pub(super) transfers: Vec<Transfer>,
}

/// An ended relationship.
#[derive(Debug, Clone, Copy)]
pub(super) struct Removal {
    pub(super) at: Timestamp,
    /// From here on reads refuse and lists omit the customer.
    pub(super) visible_from: Timestamp,
}

/// One subscription.
#[derive(Debug, Clone)]
pub(super) struct Subscription {
    pub(super) id: String,
    pub(super) kind: SubscriptionKind,
    pub(super) offer_id: String,
    pub(super) name: String,
    pub(super) friendly_name: String,
    pub(super) quantity: u32,
    pub(super) parent: Option<String>,
    pub(super) created: Timestamp,
    pub(super) start: Timestamp,
    pub(super) term_end: Timestamp,
    pub(super) cancel_until: Option<Timestamp>,
    pub(super) status: SubscriptionStatus,
    pub(super) status_since: Timestamp,
    pub(super) pending_until: Option<Timestamp>,
    pub(super) auto_renew: bool,
    pub(super) term: String,
    pub(super) billing_cycle: String,
    pub(super) scheduled_actions: Vec<Value>,
    pub(super) next_term_instructions: Option<Value>,
    pub(super) next_charge_instructions: Option<Value>,
    pub(super) refund_options: Option<Value>,
    pub(super) azure: Vec<AzureSubscription>,
    pub(super) order_id: String,
    pub(super) entitlement_id: Option<String>,
    /// Counts changes; legacy etags are made from it.
    pub(super) version: u64,
    /// In its monthly extended term: cancellable at any time.
    pub(super) extended: bool,
    /// A change answered 202 that is still to come.
    pub(super) pending_change: Option<PendingChange>,
    /// What the provisioning status showed at its last refresh, and when that was.
    pub(super) provisioning: (Timestamp, SubscriptionStatus, u32),
    pub(super) extra: Map<String, Value>,
}

/// A subscription change that takes effect later.
#[derive(Debug, Clone)]
pub(super) struct PendingChange {
    pub(super) due: Timestamp,
    pub(super) change: Change,
}

/// The members of a subscription that a PATCH can change, as they shall be.
#[derive(Debug, Clone)]
pub(super) struct Change {
    pub(super) status: SubscriptionStatus,
    pub(super) quantity: u32,
    pub(super) friendly_name: String,
    pub(super) auto_renew: bool,
    pub(super) scheduled_actions: Vec<Value>,
    pub(super) next_term_instructions: Option<Value>,
    pub(super) next_charge_instructions: Option<Value>,
}

/// An Azure subscription below an Azure plan.
#[derive(Debug, Clone)]
pub(super) struct AzureSubscription {
    pub(super) id: Uuid,
    pub(super) name: String,
    pub(super) active: bool,
    pub(super) inactive_at: Option<Timestamp>,
}

/// An Azure reservation with the order line and the artifact that belong to it.
#[derive(Debug, Clone)]
pub(super) struct Reservation {
    pub(super) id: Uuid,
    pub(super) group: Uuid,
    pub(super) line: Uuid,
    pub(super) name: String,
    pub(super) product_id: String,
    pub(super) quantity: u32,
    pub(super) effective: Timestamp,
    pub(super) expires: Timestamp,
    pub(super) cancelled: bool,
    pub(super) reservation_type: String,
    pub(super) order_id: String,
}

/// A software purchase.
#[derive(Debug, Clone)]
pub(super) struct Software {
    pub(super) name: String,
    pub(super) product_id: String,
    pub(super) quantity: u32,
    pub(super) bought: Timestamp,
    pub(super) expires: Option<Timestamp>,
    pub(super) cancel_until: Timestamp,
    pub(super) included: Vec<String>,
    pub(super) order_id: String,
}

/// A transfer between partners.
#[derive(Debug, Clone)]
pub(super) struct Transfer {
    pub(super) id: Uuid,
    pub(super) source: Uuid,
    pub(super) target: Uuid,
    pub(super) status: String,
    pub(super) created: Timestamp,
    pub(super) changed: Timestamp,
    pub(super) expires: Timestamp,
    pub(super) subscriptions: Vec<String>,
}

/// One audit record.
#[derive(Debug, Clone)]
pub(super) struct AuditEntry {
    pub(super) id: Uuid,
    pub(super) at: Timestamp,
    pub(super) visible_from: Timestamp,
    pub(super) customer: Uuid,
    pub(super) customer_name: String,
    pub(super) user: Option<String>,
    pub(super) application: Uuid,
    pub(super) resource_type: &'static str,
    pub(super) operation: &'static str,
    pub(super) status: &'static str,
    pub(super) correlation_id: String,
    pub(super) old_value: Option<Value>,
    pub(super) new_value: Option<Value>,
    pub(super) data: Vec<(&'static str, String)>,
}
