//! Item: one thing the customer has, as a preview shows it and the record keeps it.

use serde::{Deserialize, Serialize};

use super::blocker::{Resource, ResourceKind};
use super::ids::ResourceId;
use super::snapshot::{EntitlementKind, Part, Snapshot};
use super::subscription::{AtTermEnd, RefundOption};
use super::time::Time;

/// One thing the customer has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// Kind, id and name.
    pub resource: Resource,
    /// What rules apply: the subscription kind, `software`, `reservation`, `azure_subscription`, `transfer`.
    pub kind: String,
    /// Status as upstream wrote it.
    pub status: String,
    /// Product name or catalogue product id.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub product: String,
    /// Catalogue id of the offer or SKU.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub sku: String,
    /// Seats or units.
    pub quantity: i64,
    /// Term as ISO 8601 duration, empty when there is none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub term: String,
    /// Billing cycle as upstream wrote it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub billing_cycle: String,
    /// Order that bought it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub order_id: String,
    /// The subscription or plan above it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<ResourceId>,
    /// Trial flag.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_trial: bool,
    /// Whether it runs in its extended term (inferred).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub in_extended_term: bool,
    /// Auto-renew; `None` when upstream leaves it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auto_renew: Option<bool>,
    /// End of the current term.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub term_end: Option<Time>,
    /// What upstream does then.
    pub at_term_end: AtTermEnd,
    /// Last moment at which it can be cancelled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancel_until: Option<Time>,
    /// Refund options.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refunds: Vec<RefundOption>,
    /// Reseller of record in two-tier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reseller_of_record: Option<String>,
}

impl Item {
    fn bare(resource: Resource, kind: &str, status: &str, quantity: i64) -> Self {
        Self {
            resource,
            kind: kind.to_owned(),
            status: status.to_owned(),
            product: String::new(),
            sku: String::new(),
            quantity,
            term: String::new(),
            billing_cycle: String::new(),
            order_id: String::new(),
            parent: None,
            is_trial: false,
            in_extended_term: false,
            auto_renew: None,
            term_end: None,
            at_term_end: AtTermEnd::Unknown,
            cancel_until: None,
            refunds: Vec::new(),
            reseller_of_record: None,
        }
    }
}

/// Everything the customer has, in a stable order: subscriptions, Azure subscriptions, software,
/// reservations, transfers, each sorted by id.
pub fn items(snapshot: &Snapshot) -> Vec<Item> {
    let mut items: Vec<Item> = snapshot
        .all_subscriptions()
        .into_iter()
        .map(|s| {
            let resource = Resource {
                kind: ResourceKind::Subscription,
                id: s.id.clone(),
                name: s.name.clone(),
            };
            Item {
                kind: s.kind().as_str().to_owned(),
                // What is over has had its end: auto-renew is a word of the past then.
                at_term_end: if s.status.is_over() {
                    AtTermEnd::Unknown
                } else {
                    s.at_term_end()
                },
                in_extended_term: s.in_extended_term(),
                product: s.product,
                sku: s.offer_id.unwrap_or_default(),
                term: s.term,
                billing_cycle: s.billing_cycle,
                order_id: s.order_id.unwrap_or_default(),
                parent: s.parent,
                is_trial: s.is_trial,
                auto_renew: s.auto_renew,
                term_end: s.term_end,
                cancel_until: s.cancellation_allowed_until,
                refunds: s.refunds,
                reseller_of_record: s.reseller_of_record,
                ..Item::bare(resource, "", s.status.as_str(), s.quantity)
            }
        })
        .collect();
    for (plan, azure) in &snapshot.azure {
        for entitlement in azure.get().into_iter().flatten() {
            let resource = Resource {
                kind: ResourceKind::AzureSubscription,
                id: entitlement.id.clone(),
                name: entitlement.name.clone(),
            };
            items.push(Item {
                parent: Some(plan.clone()),
                ..Item::bare(resource, "azure_subscription", &entitlement.status, 1)
            });
        }
    }
    for entitlement in snapshot.entitlements.get().into_iter().flatten() {
        let line = format!("{}/{}", entitlement.order_id, entitlement.line_item_id);
        let named = |kind, id: ResourceId, name: String| Resource { kind, id, name };
        let catalogue = format!("{}:{}", entitlement.product_id, entitlement.sku_id);
        let base = |resource, kind: &str, status: &str, quantity| Item {
            product: entitlement.product_id.clone(),
            sku: entitlement.sku_id.clone(),
            order_id: entitlement.order_id.clone(),
            term_end: entitlement.expires,
            ..Item::bare(resource, kind, status, quantity)
        };
        match &entitlement.kind {
            EntitlementKind::Software => items.push(base(
                named(
                    ResourceKind::Software,
                    line.into(),
                    format!("software {catalogue}"),
                ),
                "software_entitlement",
                if entitlement.quantity > 0 {
                    "owned"
                } else {
                    "none"
                },
                entitlement.quantity,
            )),
            EntitlementKind::Other(kind) => items.push(base(
                named(
                    ResourceKind::Software,
                    line.into(),
                    format!("entitlement {catalogue}"),
                ),
                kind,
                "unknown",
                entitlement.quantity,
            )),
            EntitlementKind::Reservation(details) => {
                let before = items.len();
                for reservation in details.iter().filter_map(Part::get).flatten() {
                    items.push(Item {
                        term_end: reservation.expires,
                        ..base(
                            named(
                                ResourceKind::Reservation,
                                reservation.id.clone(),
                                reservation.name.clone(),
                            ),
                            "reservation",
                            &reservation.provisioning_state,
                            reservation.quantity,
                        )
                    });
                }
                if items.len() == before {
                    items.push(base(
                        named(
                            ResourceKind::Reservation,
                            line.into(),
                            format!("reservation {catalogue}"),
                        ),
                        "reservation",
                        "unknown",
                        entitlement.quantity,
                    ));
                }
            }
        }
    }
    for transfer in snapshot.transfers.get().into_iter().flatten() {
        let resource = Resource {
            kind: ResourceKind::Transfer,
            id: transfer.id.clone(),
            name: transfer.target_name.clone().unwrap_or_default(),
        };
        items.push(Item {
            term_end: transfer.expires,
            ..Item::bare(resource, "transfer", &transfer.status, 1)
        });
    }
    items.sort_by(|a, b| (a.resource.kind, &a.resource.id).cmp(&(b.resource.kind, &b.resource.id)));
    items
}
