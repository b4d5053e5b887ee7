//! Blocker: one reason why the removal would be refused, with what clears it and from when.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::failure::{FailureClass, UpstreamFailure};
use super::ids::ResourceId;
use super::policy::{Permission, Policy};
use super::rules::{Verdict, verdict};
use super::snapshot::{
    AzureEntitlement, Entitlement, EntitlementKind, Part, PartnerModel, Reservation, Snapshot,
    Transfer,
};
use super::subscription::{AtTermEnd, Subscription, SubscriptionKind, SubscriptionStatus};
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

/// Every blocker in the snapshot, sorted by reason and resource, each once.
///
/// `HOLD` is not derived from a snapshot and therefore not found here.
pub fn blockers(snapshot: &Snapshot, now: Time) -> Vec<Blocker> {
    let mut found = Vec::new();
    if snapshot.not_related().is_some() {
        // Nothing of a customer that is not ours can be in the way; whoever asks decides what it means.
        return found;
    }
    for (part, failure) in snapshot.failures() {
        found.push(unreadable(snapshot, &part, failure));
    }
    if snapshot.partner_model.get() == Some(&PartnerModel::IndirectReseller) {
        found.push(indirect_reseller(snapshot));
    }
    let subscriptions = snapshot.all_subscriptions();
    for subscription in &subscriptions {
        found.extend(subscription_blocker(subscription, now));
    }
    for (plan, azure) in &snapshot.azure {
        let plan_is_active = subscriptions
            .iter()
            .any(|s| s.id == *plan && s.status == SubscriptionStatus::Active);
        for entitlement in azure.get().into_iter().flatten() {
            if plan_is_active {
                found.extend(azure_subscription_blocker(plan, entitlement));
            }
        }
    }
    for entitlement in snapshot.entitlements.get().into_iter().flatten() {
        found.extend(entitlement_blockers(entitlement, &subscriptions, now));
    }
    for transfer in snapshot.transfers.get().into_iter().flatten() {
        found.extend(transfer_blocker(snapshot, transfer));
    }
    found.sort_by_key(Blocker::key);
    found.dedup_by_key(|blocker| blocker.key());
    found
}

fn unreadable(snapshot: &Snapshot, part: &str, failure: &UpstreamFailure) -> Blocker {
    let customer = Resource {
        kind: ResourceKind::Customer,
        id: snapshot.customer.to_string().into(),
        name: "the customer".to_owned(),
    };
    match failure.class {
        FailureClass::CustomerUnderReview => {
            Blocker::new(Reason::CustomerUnderReview, customer, ClearedBy::Microsoft).says(
                format!("Microsoft is reviewing the customer: {failure}"),
                "Wait until Microsoft has finished the review, or ask Partner Center support.",
            )
        }
        FailureClass::CustomerLocked => {
            Blocker::new(Reason::CustomerLocked, customer, ClearedBy::Microsoft).says(
                format!("Microsoft has locked the customer for transactions: {failure}"),
                "Ask Partner Center support to unlock the customer.",
            )
        }
        class => {
            let cleared_by = if class.is_ours() {
                ClearedBy::Partner
            } else {
                ClearedBy::Time
            };
            let remedy = match class {
                FailureClass::Credentials => "Renew the partner's credentials.",
                FailureClass::MfaRequired => "Consent again with a user who signs in with MFA.",
                FailureClass::Forbidden => "Give the application's user the Admin Agent role.",
                _ => "Try again; nothing is removed while a part cannot be read.",
            };
            Blocker::new(
                Reason::Unreadable,
                Resource {
                    kind: ResourceKind::SnapshotPart,
                    id: part.into(),
                    name: part.to_owned(),
                },
                cleared_by,
            )
            .certainty(Certainty::Inferred)
            .says(format!("The {part} could not be read: {failure}"), remedy)
        }
    }
}

fn indirect_reseller(snapshot: &Snapshot) -> Blocker {
    Blocker::new(
        Reason::IndirectReseller,
        Resource {
            kind: ResourceKind::Partner,
            id: snapshot.partner.to_string().into(),
            name: "this partner account".to_owned(),
        },
        ClearedBy::Partner,
    )
    .says(
        "This partner account is an indirect reseller and may not remove the relationship.",
        "Ask the indirect provider to remove the relationship.",
    )
}

fn subscription_blocker(subscription: &Subscription, now: Time) -> Option<Blocker> {
    let kind = subscription.kind();
    let Verdict::Blocks {
        reason,
        certainty,
        cleared_by,
    } = verdict(kind, &subscription.status)
    else {
        return None;
    };
    if reason == Reason::SoftwarePurchaseActive && software_subscription_is_gone(subscription, now)
    {
        return None;
    }
    let resource_kind = match reason {
        Reason::SoftwarePurchaseActive => ResourceKind::Software,
        _ => ResourceKind::Subscription,
    };
    let mut blocker = Blocker::new(
        reason,
        Resource {
            kind: resource_kind,
            id: subscription.id.clone(),
            name: subscription.name.clone(),
        },
        cleared_by.map_or(ClearedBy::Partner, ClearedBy::Service),
    )
    .certainty(certainty);
    blocker.term_end = subscription.term_end;
    blocker.at_term_end = subscription.at_term_end();
    let name = &subscription.name;
    Some(match reason {
        Reason::SubscriptionActive => blocker
            .says(
                format!("{name} is an active legacy subscription."),
                "Allow `suspend`, or suspend it in Partner Center.",
            )
            .earliest(Some(now)),
        Reason::SubscriptionPending => {
            let mut blocker = blocker.says(
                format!("{name} is still being provisioned."),
                "Wait until Partner Center has finished, then decide again.",
            );
            blocker.cleared_by = ClearedBy::Time;
            blocker
        }
        Reason::Unreadable => blocker.says(
            format!(
                "{name} matches no rule (productType {}, offerId {}, status {}).",
                subscription.product_type.as_deref().unwrap_or("absent"),
                subscription.offer_id.as_deref().unwrap_or("absent"),
                subscription.status
            ),
            "Look at it in Partner Center; it is never touched by this service.",
        ),
        Reason::AzurePlanActive => blocker.says(
            format!("{name} is an active Azure plan."),
            "Have every Azure subscription below it cancelled, then suspend the plan.",
        ),
        Reason::SavingsPlanActive => ends_by_itself(blocker, subscription, now, "savings plan"),
        Reason::TrialActive => {
            let until = until(subscription.term_end);
            let mut blocker = blocker.earliest(subscription.term_end);
            if subscription.at_term_end() == AtTermEnd::Ends {
                blocker.cleared_by = ClearedBy::Time;
                blocker.says(
                    format!("{name} is a trial{until}."),
                    "Wait until the trial ends.",
                )
            } else {
                blocker.says(
                    format!("{name} is a trial{until} and then turns into a paid subscription."),
                    "Set it to cancel at its end before it turns paid; a trial cannot be cancelled earlier.",
                )
            }
        }
        Reason::NewCommerceNotCancelled => {
            ends_by_itself(blocker, subscription, now, "new-commerce subscription")
        }
        Reason::MarketplaceSubscriptionActive => {
            ends_by_itself(blocker, subscription, now, "third-party subscription")
        }
        Reason::SoftwarePurchaseActive => {
            ends_by_itself(blocker, subscription, now, "software subscription")
        }
        // The table gives no other reason for a subscription.
        _ => blocker,
    })
}

/// Software counts while there is a quantity and its term has not run out.
fn software_subscription_is_gone(subscription: &Subscription, now: Time) -> bool {
    subscription.quantity <= 0
        || subscription
            .term_end
            .is_some_and(|end| end <= now && subscription.auto_renew != Some(true))
}

/// Something that can be cancelled while upstream's date allows, and otherwise only ends with its term.
fn ends_by_itself(blocker: Blocker, subscription: &Subscription, now: Time, what: &str) -> Blocker {
    let name = &subscription.name;
    let state = &subscription.status;
    let cancellable = subscription.kind() != SubscriptionKind::SavingsPlan
        && subscription
            .cancellation_allowed_until
            .is_some_and(|until| until >= now);
    if cancellable {
        return blocker
            .says(
                format!("{name} is a {what} that is {state}, not cancelled."),
                format!(
                    "Cancel it in Partner Center{}.",
                    subscription
                        .cancellation_allowed_until
                        .map_or(String::new(), |until| format!(" by {until}"))
                ),
            )
            .earliest(Some(now));
    }
    let mut blocker = blocker.earliest(subscription.term_end);
    let until = until(subscription.term_end);
    match subscription.at_term_end() {
        AtTermEnd::Ends => {
            blocker.cleared_by = ClearedBy::Time;
            blocker.says(
                format!("{name} is a {what} that is {state} and runs{until}."),
                "Wait for its term end: it is set to end then.",
            )
        }
        at_term_end => blocker.says(
            format!(
                "{name} is a {what} that is {state}, can no longer be cancelled{until} and then {}.",
                at_term_end.sentence()
            ),
            match subscription.kind() {
                SubscriptionKind::SavingsPlan => {
                    "Manage it in the Azure portal or transfer it to another partner."
                }
                _ => "Set it to cancel at its term end in Partner Center, then wait for that date.",
            },
        ),
    }
}

fn until(at: Option<Time>) -> String {
    at.map_or(String::new(), |at| format!(" until {at}"))
}

fn azure_subscription_blocker(
    plan: &ResourceId,
    entitlement: &AzureEntitlement,
) -> Option<Blocker> {
    let status = entitlement.status.to_ascii_lowercase();
    let over = matches!(
        status.as_str(),
        "inactive" | "suspended" | "disabled" | "deleted" | "cancelled" | "canceled" | "expired"
    );
    let known = over || matches!(status.as_str(), "active" | "pending");
    (!over).then(|| {
        let resource = Resource {
            kind: ResourceKind::AzureSubscription,
            id: entitlement.id.clone(),
            name: entitlement.name.clone(),
        };
        if known {
            Blocker::new(
                Reason::AzureSubscriptionActive,
                resource,
                ClearedBy::Customer,
            )
            .says(
                format!(
                    "Azure subscription {} below plan {plan} is {status}.",
                    entitlement.name
                ),
                "Have its owner cancel it in Azure, or transfer it to another partner.",
            )
        } else {
            Blocker::new(Reason::Unreadable, resource, ClearedBy::Partner)
                .certainty(Certainty::Inferred)
                .says(
                    format!(
                        "Azure subscription {} has the unknown status {}.",
                        entitlement.name, entitlement.status
                    ),
                    "Look at it in Partner Center; it is never touched by this service.",
                )
        }
    })
}

fn entitlement_blockers(
    entitlement: &Entitlement,
    subscriptions: &[Subscription],
    now: Time,
) -> Vec<Blocker> {
    let id: ResourceId = format!("{}/{}", entitlement.order_id, entitlement.line_item_id).into();
    let catalogue = format!("{}:{}", entitlement.product_id, entitlement.sku_id);
    let pending = entitlement.quantity <= 0 && !entitlement.unfulfilled.is_empty();
    match &entitlement.kind {
        EntitlementKind::Software => {
            let counted_there = |s: &Subscription| {
                is_same_software(s, entitlement) && subscription_blocker(s, now).is_some()
            };
            if subscriptions.iter().any(counted_there) {
                return Vec::new();
            }
            let resource = Resource {
                kind: ResourceKind::Software,
                id,
                name: format!("software {catalogue}"),
            };
            if pending {
                return vec![
                    Blocker::new(Reason::SubscriptionPending, resource, ClearedBy::Time)
                        .certainty(Certainty::Inferred)
                        .says(
                            format!("Software {catalogue} is still being fulfilled."),
                            "Wait until Partner Center has finished, then decide again.",
                        ),
                ];
            }
            if entitlement.quantity <= 0 || entitlement.expires.is_some_and(|at| at <= now) {
                return Vec::new();
            }
            let mut blocker = Blocker::new(
                Reason::SoftwarePurchaseActive,
                resource,
                ClearedBy::Partner,
            )
            .says(
                format!(
                    "Software {catalogue} (order {}, quantity {}) is still owned{}.",
                    entitlement.order_id,
                    entitlement.quantity,
                    until(entitlement.expires)
                ),
                "Cancel its order line in Partner Center while that is allowed, or ask Microsoft.",
            )
            .earliest(entitlement.expires);
            blocker.term_end = entitlement.expires;
            if entitlement.expires.is_some() {
                blocker.at_term_end = AtTermEnd::Ends;
            }
            vec![blocker]
        }
        EntitlementKind::Reservation(details) => {
            let mut found: Vec<Blocker> = details
                .iter()
                .filter_map(Part::get)
                .flatten()
                .filter(|reservation| reservation.is_in_force(now))
                .map(|reservation| reservation_blocker(reservation, entitlement))
                .collect();
            let nothing_known = details
                .iter()
                .all(|part| part.get().is_some_and(Vec::is_empty));
            if nothing_known
                && (entitlement.quantity > 0 || pending)
                && entitlement.expires.is_none_or(|at| at > now)
            {
                // Upstream names a reservation but shows no detail: never taken as gone.
                let mut blocker = Blocker::new(
                    Reason::AzureReservationActive,
                    Resource {
                        kind: ResourceKind::Reservation,
                        id,
                        name: format!("reservation {catalogue}"),
                    },
                    ClearedBy::Partner,
                )
                .certainty(Certainty::Inferred)
                .says(
                    format!(
                        "Reservation {catalogue} (order {}) is listed without detail.",
                        entitlement.order_id
                    ),
                    RESERVATION_REMEDY,
                )
                .earliest(entitlement.expires);
                blocker.term_end = entitlement.expires;
                found.push(blocker);
            }
            found
        }
        EntitlementKind::Other(kind) => vec![
            Blocker::new(
                Reason::Unreadable,
                Resource {
                    kind: ResourceKind::Software,
                    id,
                    name: format!("entitlement {catalogue}"),
                },
                ClearedBy::Partner,
            )
            .certainty(Certainty::Inferred)
            .says(
                format!("Entitlement {catalogue} is of the unknown type {kind}."),
                "Look at it in Partner Center; it is never touched by this service.",
            ),
        ],
    }
}

const RESERVATION_REMEDY: &str = "Return it in the Azure portal, through a Partner Center support ticket, \
     or transfer it to another partner; SUSE and Red Hat plans only end by time or transfer.";

fn reservation_blocker(reservation: &Reservation, entitlement: &Entitlement) -> Blocker {
    let mut blocker = Blocker::new(
        Reason::AzureReservationActive,
        Resource {
            kind: ResourceKind::Reservation,
            id: reservation.id.clone(),
            name: reservation.name.clone(),
        },
        ClearedBy::Partner,
    )
    .says(
        format!(
            "Reservation {} (order {}) is {}{}.",
            reservation.name,
            entitlement.order_id,
            reservation.provisioning_state,
            until(reservation.expires)
        ),
        RESERVATION_REMEDY,
    )
    .earliest(reservation.expires);
    blocker.term_end = reservation.expires;
    blocker
}

/// New-commerce software stands both under subscriptions and under entitlements: the same order and
/// the same catalogue item is the same purchase.
fn is_same_software(subscription: &Subscription, entitlement: &Entitlement) -> bool {
    let same_order = subscription.order_id.as_deref().is_some_and(|order| {
        order.eq_ignore_ascii_case(&entitlement.order_id)
            || entitlement
                .alternate_order_id
                .as_deref()
                .is_some_and(|other| order.eq_ignore_ascii_case(other))
    });
    subscription.kind() == SubscriptionKind::Software
        && same_order
        && subscription.product_and_sku()
            == Some((
                entitlement.product_id.to_ascii_uppercase(),
                entitlement.sku_id.to_ascii_uppercase(),
            ))
}

fn transfer_blocker(snapshot: &Snapshot, transfer: &Transfer) -> Option<Blocker> {
    // A transfer whose source upstream leaves out counts as ours: nothing may be touched under doubt.
    let from_us = transfer
        .source
        .is_none_or(|source| source == snapshot.partner);
    (from_us && transfer.is_open()).then(|| {
        Blocker::new(
            Reason::TransferPending,
            Resource {
                kind: ResourceKind::Transfer,
                id: transfer.id.clone(),
                name: transfer
                    .target_name
                    .clone()
                    .unwrap_or_else(|| "another partner".to_owned()),
            },
            ClearedBy::Partner,
        )
        .says(
            format!(
                "A transfer to {} is {}.",
                transfer.target_name.as_deref().unwrap_or("another partner"),
                transfer.status
            ),
            "Accept or decline the transfer, or wait until it lapses.",
        )
        .earliest(transfer.expires)
    })
}
