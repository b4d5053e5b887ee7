//! Everything read from upstream about one customer at one moment.
//!
//! A part that could not be read is marked so and never taken as empty.

use serde::{Deserialize, Serialize};

use super::failure::UpstreamFailure;
use super::ids::{CustomerId, PartnerTenantId, ResourceId};
use super::subscription::{Subscription, SubscriptionStatus};
use super::time::Time;

/// One part of a snapshot: read, or why not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part<T> {
    /// When the answer came.
    pub at: Time,
    /// The value, or why it could not be read.
    pub value: Result<T, UpstreamFailure>,
}

impl<T> Part<T> {
    /// A part that was read at `at`.
    pub fn read(at: Time, value: T) -> Self {
        Self {
            at,
            value: Ok(value),
        }
    }

    /// A part that could not be read.
    pub fn unreadable(at: Time, failure: UpstreamFailure) -> Self {
        Self {
            at,
            value: Err(failure),
        }
    }

    /// The value, if it was read.
    pub fn get(&self) -> Option<&T> {
        self.value.as_ref().ok()
    }
}

/// The customer as upstream describes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Customer {
    /// Company name; empty when upstream withholds it.
    pub name: String,
    /// Default domain; empty when upstream withholds it.
    pub domain: String,
    /// `relationshipToPartner` as upstream wrote it (`reseller`, `none`, …).
    pub relationship: String,
    /// Whether delegated admin privileges (DAP) stand; `None` when upstream leaves it out.
    pub delegated_admin: Option<bool>,
}

/// What kind of partner this account is towards others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PartnerModel {
    /// Direct-bill partner, or indirect provider: may remove.
    MayRemove,
    /// Indirect reseller: only the indirect provider may remove.
    IndirectReseller,
}

/// One Azure subscription below an Azure plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AzureEntitlement {
    /// Entitlement id.
    pub id: ResourceId,
    /// Friendly name.
    pub name: String,
    /// Status as upstream wrote it (`active`, …).
    pub status: String,
}

/// One line of the customer's entitlements.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entitlement {
    /// Order that bought it.
    pub order_id: String,
    /// The order's other id, if any.
    pub alternate_order_id: Option<String>,
    /// Line of the order.
    pub line_item_id: String,
    /// Catalogue product.
    pub product_id: String,
    /// Catalogue SKU.
    pub sku_id: String,
    /// Units in force; unfulfilled ones are not counted by upstream.
    pub quantity: i64,
    /// `quantityDetails` of units that are not in force yet: (quantity, status).
    pub unfulfilled: Vec<(i64, String)>,
    /// What it is.
    pub kind: EntitlementKind,
    /// When it expires; `None` for perpetual software.
    pub expires: Option<Time>,
}

/// What an entitlement is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntitlementKind {
    /// Software, perpetual or by term.
    Software,
    /// An Azure reservation, with what its artifact links said.
    Reservation(Vec<Part<Vec<Reservation>>>),
    /// Anything else, as upstream wrote it.
    Other(String),
}

/// One reservation behind an artifact link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reservation {
    /// Reservation id.
    pub id: ResourceId,
    /// Display name.
    pub name: String,
    /// Units.
    pub quantity: i64,
    /// `provisioningState` as upstream wrote it (`Created`, `Succeeded`, `Cancelled`, `Expired` …).
    pub provisioning_state: String,
    /// When it expires.
    pub expires: Option<Time>,
}

impl Reservation {
    /// Whether it is neither cancelled nor expired.
    pub fn is_in_force(&self, now: Time) -> bool {
        let state = self.provisioning_state.to_ascii_lowercase();
        let over = matches!(state.as_str(), "cancelled" | "canceled" | "expired");
        !over && self.expires.is_none_or(|at| at > now)
    }
}

/// A transfer of subscriptions between partners.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transfer {
    /// Transfer id.
    pub id: ResourceId,
    /// Status as upstream wrote it.
    pub status: String,
    /// The partner that gives; `None` when upstream leaves it out.
    pub source: Option<PartnerTenantId>,
    /// Name of the partner that takes.
    pub target_name: Option<String>,
    /// When the request lapses.
    pub expires: Option<Time>,
}

impl Transfer {
    /// Whether it is neither completed nor ended otherwise. A status we do not know counts as open.
    pub fn is_open(&self) -> bool {
        let status = self.status.to_ascii_lowercase();
        !matches!(
            status.as_str(),
            "complete"
                | "completed"
                | "failed"
                | "canceled"
                | "cancelled"
                | "expired"
                | "rejected"
                | "declined"
        )
    }
}

/// Whether upstream still relates the customer to the partner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// The customer could be read.
    Related(Customer),
    /// Upstream says there is no relationship; the answer verbatim.
    NotRelated(UpstreamFailure),
}

/// Adds a subscription, or what is new about one already there: the parent it lacks, and of two answers
/// about its status the one with more life in it, for nothing is taken as over while an answer says
/// otherwise.
fn add(all: &mut Vec<Subscription>, new: Subscription) {
    match all.iter_mut().find(|known| known.id == new.id) {
        Some(known) => {
            let parent = known.parent.take().or_else(|| new.parent.clone());
            if liveliness(&new.status) > liveliness(&known.status) {
                *known = new;
            }
            known.parent = parent;
        }
        None => all.push(new),
    }
}

fn liveliness(status: &SubscriptionStatus) -> u8 {
    match status {
        SubscriptionStatus::Deleted => 0,
        SubscriptionStatus::Disabled => 1,
        SubscriptionStatus::Expired => 2,
        SubscriptionStatus::Suspended => 3,
        SubscriptionStatus::Active => 4,
        SubscriptionStatus::Pending => 5,
        SubscriptionStatus::Other(_) => 6,
    }
}

/// Everything read from upstream about one customer at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Whose customer.
    pub partner: PartnerTenantId,
    /// Which customer.
    pub customer: CustomerId,
    /// When the first read was sent: nothing in here is older.
    pub began: Time,
    /// The customer itself.
    pub standing: Part<Standing>,
    /// All subscriptions, as listed.
    pub subscriptions: Part<Vec<Subscription>>,
    /// Add-ons by parent, read apart for every live legacy subscription.
    pub add_ons: Vec<(ResourceId, Part<Vec<Subscription>>)>,
    /// Azure subscriptions by Azure plan.
    pub azure: Vec<(ResourceId, Part<Vec<AzureEntitlement>>)>,
    /// Software and reservations.
    pub entitlements: Part<Vec<Entitlement>>,
    /// Transfers between partners.
    pub transfers: Part<Vec<Transfer>>,
    /// What this partner is.
    pub partner_model: Part<PartnerModel>,
}

impl Snapshot {
    /// Every subscription once: the list, and add-ons that only their parent's own list shows.
    ///
    /// An add-on that the list does not tie to its parent gets the parent under which it was found.
    pub fn all_subscriptions(&self) -> Vec<Subscription> {
        let mut all: Vec<Subscription> = Vec::new();
        for listed in self.subscriptions.get().into_iter().flatten() {
            add(&mut all, listed.clone());
        }
        for (parent, add_ons) in &self.add_ons {
            for add_on in add_ons.get().into_iter().flatten() {
                let mut add_on = add_on.clone();
                add_on.parent.get_or_insert_with(|| parent.clone());
                add(&mut all, add_on);
            }
        }
        all
    }

    /// Whether upstream says that the customer is not (any more) related to the partner.
    pub fn not_related(&self) -> Option<&UpstreamFailure> {
        match self.standing.get() {
            Some(Standing::NotRelated(failure)) => Some(failure),
            _ => None,
        }
    }

    /// Every failure met, with the name of the part.
    pub fn failures(&self) -> Vec<(String, &UpstreamFailure)> {
        let mut found = Vec::new();
        fn note<'a, T>(
            found: &mut Vec<(String, &'a UpstreamFailure)>,
            name: String,
            part: &'a Part<T>,
        ) {
            if let Err(failure) = &part.value {
                found.push((name, failure));
            }
        }
        note(&mut found, "customer".into(), &self.standing);
        note(&mut found, "subscriptions".into(), &self.subscriptions);
        for (parent, part) in &self.add_ons {
            note(&mut found, format!("add-ons of {parent}"), part);
        }
        for (plan, part) in &self.azure {
            note(&mut found, format!("Azure subscriptions of {plan}"), part);
        }
        note(&mut found, "entitlements".into(), &self.entitlements);
        for entitlement in self.entitlements.get().into_iter().flatten() {
            if let EntitlementKind::Reservation(details) = &entitlement.kind {
                for part in details {
                    note(
                        &mut found,
                        format!("reservation of order {}", entitlement.order_id),
                        part,
                    );
                }
            }
        }
        note(&mut found, "transfers".into(), &self.transfers);
        note(
            &mut found,
            "partner relationships".into(),
            &self.partner_model,
        );
        found
    }
}
