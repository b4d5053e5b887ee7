//! From a request to its answer: one place that knows which function serves which endpoint.

use serde_json::{Value, json};

use super::answer::{Answer, collection};
use super::model::World;
use super::request::{ApiRequest, Endpoint};
use super::{audit, customers, reads, subscriptions, wire};

/// Answers a request that carries a valid token.
pub(super) fn answer(world: &mut World, request: &ApiRequest<'_>) -> Answer {
    let partner = request.partner;
    match request.endpoint {
        Endpoint::Unknown | Endpoint::Token | Endpoint::GenerateToken => return Answer::empty(404),
        Endpoint::NotAllowed => return Answer::empty(405),
        Endpoint::ListCustomers => return customers::list(world, request),
        Endpoint::UpdateCustomer => return customers::update(world, request),
        Endpoint::AuditRecords => return audit::list(world, request),
        Endpoint::RelationshipRequest => {
            return world.partners.get(&partner).map_or_else(
                || Answer::error(403, 2032, "Access denied."),
                customers::relationship_request,
            );
        }
        Endpoint::PartnerRelationships => return partner_relationships(world, request),
        _ => {}
    }
    let id = match customers::resolve(world, request) {
        Ok(id) => id,
        Err(refusal) => return *refusal,
    };
    match request.endpoint {
        Endpoint::GetCustomer => return customers::get(world, request, id),
        Endpoint::UpdateSubscription => return subscriptions::update(world, request, id),
        Endpoint::CancelAzureEntitlement => {
            return subscriptions::cancel_azure(world, request, id);
        }
        Endpoint::UpdateOrder => {
            let Some(customer) = world.customer_mut(partner, id) else {
                return Answer::error(404, 1000, "Customer not found.");
            };
            let answer = reads::cancel_lines(request, customer);
            if answer.effect.is_some() {
                let order = request.segments[3].to_owned();
                audit::record(
                    world,
                    request,
                    id,
                    "order",
                    "update_order",
                    (None, None),
                    vec![("OrderId", order)],
                );
            }
            return answer;
        }
        _ => {}
    }
    let shown = world.behaviour.cancelled_reservation;
    let Some(partner) = world.partners.get(&partner) else {
        return Answer::error(403, 2032, "Access denied.");
    };
    let Some(customer) = partner.customers.get(&id) else {
        return Answer::error(404, 1000, "Customer not found.");
    };
    match request.endpoint {
        Endpoint::CustomerRelationships => {
            let items = customer
                .indirect_resellers
                .iter()
                .map(wire::partner_relationship)
                .collect();
            Answer::ok(collection(items, None))
        }
        Endpoint::ListSubscriptions => reads::subscriptions(request, customer),
        Endpoint::GetSubscription
        | Endpoint::ListAddons
        | Endpoint::ListAzureEntitlements
        | Endpoint::GetAzureEntitlement
        | Endpoint::SupportContact
        | Endpoint::ProvisioningStatus => reads::subscription(request, partner, customer),
        Endpoint::ListEntitlements => reads::entitlements(request, customer, shown),
        Endpoint::ReservationArtifact => reads::reservation(request, customer),
        Endpoint::ListOrders => reads::list_orders(customer),
        Endpoint::GetOrder => reads::get_order(customer, request.segments[3]),
        Endpoint::ListTransfers => reads::transfers(customer),
        Endpoint::GetTransfer => reads::transfer(request, customer),
        _ => Answer::empty(404),
    }
}

fn partner_relationships(world: &World, request: &ApiRequest<'_>) -> Answer {
    let Some(wanted) = request.param("relationship_type") else {
        return Answer::error(400, 800_002, "relationship_type is missing.");
    };
    // The query spells the type in Pascal case, the answer in snake case.
    let plain = |s: &str| s.replace('_', "").to_lowercase();
    let items: Vec<Value> = world
        .partners
        .get(&request.partner)
        .map(|p| {
            p.relationships
                .iter()
                .filter(|r| plain(&r.relationship_type) == plain(wanted))
                .map(wire::partner_relationship)
                .collect()
        })
        .unwrap_or_default();
    Answer::ok(json!({
        "totalCount": items.len(),
        "items": items,
        "attributes": { "objectType": "Collection" },
    }))
}
