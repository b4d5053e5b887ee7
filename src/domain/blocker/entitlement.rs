//! Entitlements: software and reservations that the customer still owns.

use super::super::ids::ResourceId;
use super::super::snapshot::{Entitlement, EntitlementKind, Part, Reservation};
use super::super::subscription::{AtTermEnd, Subscription, SubscriptionKind};
use super::super::time::Time;
use super::subscription::{subscription_blocker, until};
use super::{Blocker, Certainty, ClearedBy, Reason, Resource, ResourceKind};

pub(super) fn entitlement_blockers(
    entitlement: &Entitlement,
    subscriptions: &[Subscription],
    now: Time,
) -> Vec<Blocker> {
    let id: ResourceId = format!("{}/{}", entitlement.order_id, entitlement.line_item_id).into();
    let catalogue = format!("{}:{}", entitlement.product_id, entitlement.sku_id);
    let pending = entitlement.quantity <= 0
        && entitlement
            .unfulfilled
            .iter()
            .any(|(quantity, _)| *quantity > 0);
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
            // Each artifact stands for itself: that another one is cancelled says nothing about it.
            let nothing_known = details.is_empty()
                || details
                    .iter()
                    .any(|part| part.get().is_some_and(Vec::is_empty));
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
                format!(
                    "Entitlement {catalogue} (order {}, quantity {}) is of the unknown type {kind}.",
                    entitlement.order_id, entitlement.quantity
                ),
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
