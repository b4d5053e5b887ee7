//! The reading endpoints below one customer.

use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use super::answer::{Answer, collection, link, without_nulls};
use super::model::{Customer, Partner};
use super::request::ApiRequest;
use super::scenario::{
    CancelledReservation, SubscriptionKind as Kind, SubscriptionStatus as Status,
};
use super::{customers, wire};

/// GET of all subscriptions.
pub(super) fn subscriptions(request: &ApiRequest<'_>, customer: &Customer) -> Answer {
    let id = customer.id;
    let items = customer
        .subscriptions
        .iter()
        .map(|s| wire::subscription(id, s))
        .collect();
    let body = collection(items, Some(format!("/customers/{id}/subscriptions")));
    let open = customers::obstacles(request.partner, customer, request.now)
        .iter()
        .filter(|o| o.resource == "subscription")
        .count();
    Answer::ok(body).with_note(format!("blocking: {open}"))
}

/// GET of one subscription, and of what hangs on it.
pub(super) fn subscription(
    request: &ApiRequest<'_>,
    partner: &Partner,
    customer: &Customer,
) -> Answer {
    use super::request::Endpoint;
    let id = customer.id;
    let Some(s) = customer.subscription(request.segments[3]) else {
        return Answer::error(404, 20003, "Subscription not found.");
    };
    match request.endpoint {
        Endpoint::ListAddons => collection_of_addons(customer, &s.id),
        // This collection comes without links.
        Endpoint::ListAzureEntitlements => Answer::ok(collection(
            s.azure
                .iter()
                .map(|a| wire::azure_entitlement(id, &s.id, a))
                .collect(),
            None,
        ))
        .with_note(format!(
            "blocking: {}",
            s.azure.iter().filter(|a| a.active).count()
        )),
        Endpoint::GetAzureEntitlement => s
            .azure
            .iter()
            .find(|a| a.id.to_string().eq_ignore_ascii_case(request.segments[5]))
            .map_or_else(
                || Answer::error(404, 800_111, "Azure entitlement not found."),
                |a| Answer::ok(wire::azure_entitlement(id, &s.id, a)),
            ),
        Endpoint::SupportContact => Answer::ok(json!({
            "supportTenantId": partner.tenant_id.to_string().to_uppercase(),
            "supportMpnId": partner.mpn_id,
            "name": partner.name,
            "links": { "self": {
                "uri": format!("/customers/{id}/subscriptions/{}/supportcontact", s.id),
                "method": "Get", "headers": [] } },
            "attributes": { "objectType": "SupportContact" },
        })),
        Endpoint::ProvisioningStatus => {
            let (_, status, quantity) = s.provisioning;
            let status = match status {
                Status::Pending => "pending",
                Status::None => "failed",
                _ => "success",
            };
            Answer::ok(json!({
                "skuId": s.offer_id,
                "status": status,
                "quantity": quantity,
                "endDate": s.term_end.to_string(),
                "attributes": { "objectType": "SubscriptionProvisioningStatus" },
            }))
        }
        _ => Answer::ok(wire::subscription(id, s))
            .with_note(format!("status: {}", s.status.as_str())),
    }
}

fn collection_of_addons(customer: &Customer, parent: &str) -> Answer {
    let items = customer
        .subscriptions
        .iter()
        .filter(|s| {
            s.parent
                .as_deref()
                .is_some_and(|p| p.eq_ignore_ascii_case(parent))
        })
        .map(|s| wire::subscription(customer.id, s))
        .collect();
    Answer::ok(collection(items, None))
}

/// GET of the entitlements: reservations and software. This collection comes without links.
pub(super) fn entitlements(
    request: &ApiRequest<'_>,
    customer: &Customer,
    shown: CancelledReservation,
) -> Answer {
    let kind = request
        .param("entitlementtype")
        .unwrap_or_default()
        .to_lowercase();
    let (software, reservations) = match kind.as_str() {
        "" => (true, true),
        "software" => (true, false),
        "reservedinstance"
        | "virtualmachinereservedinstance"
        | "virtual_machine_reserved_instance" => (false, true),
        _ => return Answer::error(400, 800_002, "The entitlement type is not supported."),
    };
    let expiry = request
        .param("showexpiry")
        .is_some_and(|v| v.eq_ignore_ascii_case("true"));
    let mut items: Vec<Value> = Vec::new();
    if reservations {
        for r in &customer.reservations {
            let quantity = match (r.cancelled, shown) {
                (true, CancelledReservation::Vanishes) => continue,
                (true, CancelledReservation::QuantityZero) => 0,
                _ => r.quantity,
            };
            items.push(wire::reservation_entitlement(
                customer.id,
                r,
                quantity,
                expiry,
            ));
        }
    }
    if software {
        for (index, s) in customer.software.iter().enumerate() {
            let line = order_line(customer, index);
            items.push(wire::software_entitlement(s, line, expiry));
        }
        for s in &customer.subscriptions {
            if s.kind == Kind::SoftwareSubscription && s.status != Status::Deleted {
                items.push(wire::software_subscription_entitlement(s, expiry));
            }
        }
    }
    let open = customers::obstacles(request.partner, customer, request.now)
        .iter()
        .filter(|o| matches!(o.resource, "reservation" | "software"))
        .count();
    Answer::ok(collection(items, None)).with_note(format!("blocking: {open}"))
}

/// Number of a software purchase within its order.
fn order_line(customer: &Customer, index: usize) -> usize {
    let order = &customer.software[index].order_id;
    customer.software[..index]
        .iter()
        .filter(|s| &s.order_id == order)
        .count()
}

/// GET of the artifact that a reservation's entitlement links to.
pub(super) fn reservation(request: &ApiRequest<'_>, customer: &Customer) -> Answer {
    let wanted = request.segments[9];
    customer
        .reservations
        .iter()
        .find(|r| r.id.to_string().eq_ignore_ascii_case(wanted))
        .map_or_else(
            || Answer::error(404, 800_111, "Reservation not found."),
            |r| {
                let open = usize::from(!r.cancelled && r.expires > request.now);
                Answer::ok(wire::reservation_artifact(r, request.now))
                    .with_note(format!("blocking: {open}"))
            },
        )
}

/// GET of the transfers.
pub(super) fn transfers(customer: &Customer) -> Answer {
    let items = customer
        .transfers
        .iter()
        .map(|t| wire::transfer(customer, t))
        .collect();
    let open = customer
        .transfers
        .iter()
        .filter(|t| t.status == "Active")
        .count();
    Answer::ok(collection(items, None)).with_note(format!("blocking: {open}"))
}

/// GET of one transfer.
pub(super) fn transfer(request: &ApiRequest<'_>, customer: &Customer) -> Answer {
    let wanted = request.segments[3];
    customer
        .transfers
        .iter()
        .find(|t| t.id.to_string().eq_ignore_ascii_case(wanted))
        .map_or_else(
            || Answer::error(404, 800_111, "Transfer not found."),
            |t| Answer::ok(wire::transfer(customer, t)),
        )
}

/// One line of an order.
struct Line {
    offer: String,
    name: String,
    quantity: u32,
    subscription: Option<String>,
    parent: Option<String>,
    term: Option<String>,
}

/// The orders behind what the customer has, oldest first; each subscription, reservation and
/// software purchase is a line of one.
fn orders(customer: &Customer) -> Vec<(String, Timestamp, &'static str, Vec<Line>)> {
    let mut orders: Vec<(String, Timestamp, &'static str, Vec<Line>)> = Vec::new();
    let mut add = |order: &str, at: Timestamp, cycle: &'static str, line: Line| match orders
        .iter_mut()
        .find(|(id, ..)| id == order)
    {
        Some((.., lines)) => lines.push(line),
        None => orders.push((order.to_owned(), at, cycle, vec![line])),
    };
    for s in &customer.subscriptions {
        let line = Line {
            offer: s.offer_id.clone(),
            name: s.friendly_name.clone(),
            quantity: s.quantity,
            subscription: Some(s.id.clone()),
            parent: s.parent.clone(),
            term: (!s.term.is_empty()).then(|| s.term.clone()),
        };
        add(&s.order_id, s.created, "monthly", line);
    }
    for r in &customer.reservations {
        let line = Line {
            offer: format!("{}:0001:{}", r.product_id, r.product_id),
            name: r.name.clone(),
            quantity: if r.cancelled { 0 } else { r.quantity },
            subscription: None,
            parent: None,
            term: None,
        };
        add(&r.order_id, r.effective, "one_time", line);
    }
    for s in &customer.software {
        let line = Line {
            offer: software_offer(&s.product_id),
            name: s.name.clone(),
            quantity: s.quantity,
            subscription: None,
            parent: None,
            term: None,
        };
        add(&s.order_id, s.bought, "one_time", line);
    }
    orders
}

/// Catalogue id of a software product on an order line.
pub(super) fn software_offer(product: &str) -> String {
    format!("{product}:0001:{product}")
}

fn order(
    customer: Uuid,
    (id, at, cycle, lines): (String, Timestamp, &'static str, Vec<Line>),
) -> Value {
    let all_cancelled = lines.iter().all(|l| l.quantity == 0);
    let lines: Vec<Value> = lines
        .iter()
        .enumerate()
        .map(|(number, l)| {
            without_nulls(json!({
                "lineItemNumber": number,
                "offerId": l.offer,
                "subscriptionId": l.subscription,
                "parentSubscriptionId": l.parent,
                "termDuration": l.term,
                "transactionType": "New",
                "friendlyName": l.name,
                "quantity": l.quantity,
            }))
        })
        .collect();
    json!({
        "id": id,
        "alternateId": id.chars().take(12).collect::<String>(),
        "referenceCustomerId": customer,
        "billingCycle": cycle,
        "currencyCode": "USD",
        "lineItems": lines,
        "creationDate": at.to_string(),
        "status": if all_cancelled { "cancelled" } else { "completed" },
        "transactionType": "UserPurchase",
        "links": {
            "self": link(format!("/customers/{customer}/orders/{id}")),
            "provisioningStatus": link(format!("/customers/{customer}/orders/{id}/provisioningstatus")),
        },
        "attributes": { "objectType": "Order" },
    })
}

/// GET of the orders.
pub(super) fn list_orders(customer: &Customer) -> Answer {
    let items = orders(customer)
        .into_iter()
        .map(|o| order(customer.id, o))
        .collect();
    Answer::ok(collection(
        items,
        Some(format!("/customers/{}/orders", customer.id)),
    ))
}

/// GET of one order.
pub(super) fn get_order(customer: &Customer, id: &str) -> Answer {
    orders(customer)
        .into_iter()
        .find(|(o, ..)| o.eq_ignore_ascii_case(id))
        .map_or_else(
            || Answer::error(404, 20000, "Order not found."),
            |o| Answer::ok(order(customer.id, o)),
        )
}

/// PATCH of an order: cancels the software lines that the body names.
pub(super) fn cancel_lines(request: &ApiRequest<'_>, customer: &mut Customer) -> Answer {
    use super::answer::member;
    if let Some(refusal) = super::subscriptions::locked(customer) {
        return refusal;
    }
    let id = request.segments[3].to_owned();
    let Some((_, _, _, lines)) = orders(customer)
        .into_iter()
        .find(|(o, ..)| o.eq_ignore_ascii_case(&id))
    else {
        return Answer::error(404, 20000, "Order not found.");
    };
    let body = request.body.cloned().unwrap_or_default();
    let cancels = member(&body, "status")
        .and_then(Value::as_str)
        .is_some_and(|s| s.eq_ignore_ascii_case("cancelled"));
    let named: Vec<usize> = member(&body, "lineItems")
        .and_then(Value::as_array)
        .map(|items| {
            items
                .iter()
                .filter_map(|l| member(l, "lineItemNumber")?.as_u64())
                .filter_map(|n| usize::try_from(n).ok())
                .collect()
        })
        .unwrap_or_default();
    if !cancels || named.is_empty() {
        return Answer::error(400, 800_061, "The order cannot be cancelled.");
    }
    let only_software = customer
        .software
        .iter()
        .any(|s| s.order_id.eq_ignore_ascii_case(&id))
        && named
            .iter()
            .all(|n| lines.get(*n).is_some_and(|l| l.subscription.is_none()));
    if !only_software {
        return Answer::error(
            403,
            800_019,
            "Only software subscriptions and perpetual software can be cancelled.",
        );
    }
    let now = request.now;
    let mut chosen: Vec<&mut super::model::Software> = customer
        .software
        .iter_mut()
        .filter(|s| s.order_id.eq_ignore_ascii_case(&id))
        .enumerate()
        .filter(|(n, _)| named.contains(n))
        .map(|(_, s)| s)
        .collect();
    if chosen.iter().any(|s| now > s.cancel_until) {
        return Answer::error(400, 900_117, "The cancellation window has passed.");
    }
    for software in &mut chosen {
        software.quantity = 0;
    }
    let effect = format!("order {id}: {} software lines cancelled", chosen.len());
    get_order(customer, &id).with_effect(effect)
}
