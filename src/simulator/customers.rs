//! Customers: list, read, and the PATCH that ends the relationship; with what keeps it from ending.

use jiff::{Timestamp, ToSpan};
use serde::Serialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::answer::{Answer, link, member};
use super::model::{Customer, Partner, World};
use super::request::ApiRequest;
use super::scenario::{
    GoneAnswer, PartnerModel, SubscriptionKind as Kind, SubscriptionStatus as Status,
};
use super::{audit, paging, subscriptions, wire};

/// Something that Partner Center would refuse the removal for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Obstacle {
    /// `subscription`, `reservation`, `software`, `transfer`.
    pub resource: &'static str,
    /// Its id (software: the order and product).
    pub id: String,
    /// Why it stands in the way.
    pub why: String,
}

/// Everything that stands in the way of ending the relationship at `now`. Documented by Microsoft:
/// active subscriptions, reservations, software purchases, new commerce not cancelled. Inferred:
/// pending subscriptions and open transfers.
pub(super) fn obstacles(partner: Uuid, customer: &Customer, now: Timestamp) -> Vec<Obstacle> {
    let mut found = Vec::new();
    for s in &customer.subscriptions {
        let why = match (s.kind, s.status) {
            (_, Status::Deleted | Status::Expired | Status::Disabled) => continue,
            (_, Status::Pending) => "is pending",
            (kind, Status::Suspended) if kind.is_legacy() || kind == Kind::AzurePlan => continue,
            (_, Status::Suspended) => "is suspended but not cancelled",
            _ => "is active",
        };
        found.push(Obstacle {
            resource: "subscription",
            id: s.id.clone(),
            why: format!("{:?} {why}", s.kind),
        });
    }
    for r in &customer.reservations {
        if !r.cancelled && r.expires > now {
            found.push(Obstacle {
                resource: "reservation",
                id: r.id.to_string(),
                why: "is neither cancelled nor expired".to_owned(),
            });
        }
    }
    for s in &customer.software {
        if s.quantity > 0 && s.expires.is_none_or(|e| e > now) {
            found.push(Obstacle {
                resource: "software",
                id: format!("{}/{}", s.order_id, s.product_id),
                why: "is neither cancelled nor expired".to_owned(),
            });
        }
    }
    for t in &customer.transfers {
        if t.status == "Active" && t.source == partner && t.expires > now {
            found.push(Obstacle {
                resource: "transfer",
                id: t.id.to_string(),
                why: "is open".to_owned(),
            });
        }
    }
    found
}

/// Finds the customer a path names and carries it forward, or says how its absence is answered.
pub(super) fn resolve(world: &mut World, request: &ApiRequest<'_>) -> Result<Uuid, Box<Answer>> {
    let text = request.segments.get(1).copied().unwrap_or_default();
    let Ok(id) = Uuid::try_parse(text) else {
        return Err(Box::new(Answer::error(
            400,
            800_002,
            "Invalid input: the customer id should have GUID format.",
        )));
    };
    let behaviour = world.behaviour.clone();
    let now = request.now;
    let shown = world
        .customer_mut(request.partner, id)
        .is_some_and(|customer| {
            customer.settle(&behaviour, now);
            customer.shows(now)
        });
    if shown {
        Ok(id)
    } else {
        Err(Box::new(gone(world, request.partner, id)))
    }
}

/// The answer for a customer without relationship to this partner.
fn gone(world: &World, partner: Uuid, customer: Uuid) -> Answer {
    match world.behaviour.gone_answer {
        GoneAnswer::NoRelationship => {
            Answer::error(403, 20002, "No relationship between caller and account.")
        }
        GoneAnswer::NoRelationshipIds => Answer::error(
            403,
            900_159,
            &format!("Account {partner} has no relationship with customer {customer}."),
        ),
        GoneAnswer::CustomerNotFound => Answer::error(404, 1000, "Customer not found."),
        GoneAnswer::TenantNotFound => Answer::error(404, 60003, "Tenant not found."),
        GoneAnswer::Empty => Answer::empty(404),
    }
    .with_note("no relationship")
}

/// GET of one customer.
pub(super) fn get(world: &World, request: &ApiRequest<'_>, customer: Uuid) -> Answer {
    let Some(partner) = world.partners.get(&request.partner) else {
        return Answer::error(403, 2032, "Access denied.");
    };
    match partner.customers.get(&customer) {
        Some(c) => Answer::ok(wire::customer(partner, c, true, request.now)),
        None => gone(world, request.partner, customer),
    }
}

/// GET of the customers, filtered and seek paged.
pub(super) fn list(world: &mut World, request: &ApiRequest<'_>) -> Answer {
    let now = request.now;
    let wanted = match paging::wanted(request, 100) {
        Ok(wanted) => wanted,
        Err(refusal) => return *refusal,
    };
    let filter = match wanted.filter.as_deref().map(read_filter).transpose() {
        Ok(filter) => filter,
        Err(refusal) => return *refusal,
    };
    let behaviour = world.behaviour.clone();
    let Some(partner) = world.partners.get_mut(&request.partner) else {
        return Answer::error(403, 2032, "Access denied.");
    };
    for customer in partner.customers.values_mut() {
        if customer.removal_due.is_some() {
            customer.settle(&behaviour, now);
        }
    }
    let found: Vec<&Customer> = partner
        .customers
        .values()
        .filter(|c| c.shows(now))
        .filter(|c| filter.as_ref().is_none_or(|f| f.matches(c)))
        .collect();
    let page = wanted.of(request, found.len());
    let items: Vec<Value> = found[page.range.clone()]
        .iter()
        .map(|c| wire::customer(partner, c, false, now))
        .collect();
    let mut body = json!({
        "totalCount": items.len(),
        "items": items,
        // This collection names itself with the version, others without it.
        "links": { "self": link(format!("/v1{}", page.own_uri)) },
        "attributes": { "objectType": "Collection" },
    });
    page.continuation.write(&mut body);
    Answer::ok(body)
}

struct Filter {
    field: String,
    prefix: String,
}

impl Filter {
    fn matches(&self, customer: &Customer) -> bool {
        let value = if self.field == "domain" {
            &customer.domain
        } else {
            &customer.name
        };
        value.to_lowercase().starts_with(&self.prefix)
    }
}

fn read_filter(text: &str) -> Result<Filter, Box<Answer>> {
    let refuse = |why: &str| Box::new(Answer::error(400, 800_002, why));
    let filter: Value =
        serde_json::from_str(text).map_err(|_| refuse("The filter is not JSON."))?;
    let part = |name: &str| {
        member(&filter, name)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_lowercase()
    };
    let field = part("Field");
    if !matches!(field.as_str(), "companyname" | "domain") {
        return Err(refuse("The filter field is not supported."));
    }
    if part("Operator") != "starts_with" {
        return Err(refuse("The filter operator is not supported."));
    }
    Ok(Filter {
        field,
        prefix: part("Value"),
    })
}

/// PATCH of a customer: ends the relationship, or ends delegated admin privileges; nothing else.
pub(super) fn update(world: &mut World, request: &ApiRequest<'_>) -> Answer {
    let Some(body) = request.body.filter(|b| b.is_object()) else {
        return Answer::error(400, 800_002, "The request body is not a customer.");
    };
    let relationship = member(body, "relationshipToPartner").and_then(Value::as_str);
    if relationship.is_some_and(|r| r.eq_ignore_ascii_case("none")) {
        return remove(world, request);
    }
    let customer = match resolve(world, request) {
        Ok(customer) => customer,
        Err(refusal) => return *refusal,
    };
    if member(body, "allowDelegatedAccess").and_then(Value::as_bool) == Some(false) {
        if let Some(customer) = world.customer_mut(request.partner, customer) {
            customer.allow_delegated_access = false;
        }
        audit::record(
            world,
            request,
            customer,
            "partner_customer_dap",
            "dap_admin_relationship_terminated",
            (None, None),
            Vec::new(),
        );
        return Answer::ok(wire::patched_customer("allowDelegatedAccess", json!(false)))
            .with_effect(format!("delegated access to {customer} ended"));
    }
    Answer::error(400, 2000, "This change of a customer is not supported.")
}

fn remove(world: &mut World, request: &ApiRequest<'_>) -> Answer {
    let now = request.now;
    let text = request.segments[1];
    let Ok(id) = Uuid::try_parse(text) else {
        return Answer::error(
            400,
            800_002,
            "Invalid input: the customer id should have GUID format.",
        );
    };
    let behaviour = world.behaviour.clone();
    let Some(partner) = world.partners.get_mut(&request.partner) else {
        return Answer::error(403, 2032, "Access denied.");
    };
    if partner.model == PartnerModel::IndirectReseller {
        return Answer::error(
            403,
            900_308,
            "Indirect resellers have insufficient privileges for this operation.",
        );
    }
    let related = partner.customers.get_mut(&id).and_then(|customer| {
        customer.settle(&behaviour, now);
        let stands = customer.relationship != "none"
            && customer.removed.is_none()
            && customer.removal_due.is_none();
        stands.then_some(customer)
    });
    let Some(customer) = related else {
        return Answer::error(
            400,
            3000,
            "The relationship between the partner and customer does not exist",
        );
    };
    if let Some(refusal) = subscriptions::locked(customer) {
        return refusal;
    }
    if let Some(refusal) = blocked(request.partner, customer, now) {
        return refusal;
    }
    if let Some(delay) = request.delay_effect {
        let due = now
            .checked_add(i64::from(delay).seconds())
            .unwrap_or(Timestamp::MAX);
        customer.removal_due = Some(due);
    } else {
        let delay = request
            .propagation
            .unwrap_or(behaviour.removal_propagation_seconds);
        customer.end_relationship(now, delay);
    }
    audit::record(
        world,
        request,
        id,
        "partner_customer_relationship",
        "remove_partner_customer_relationship",
        (None, Some(json!({ "RelationshipToPartner": "none" }))),
        vec![("CustomerId", id.to_string())],
    );
    if request.delay_effect.is_some() {
        return Answer::accepted(format!("/customers/{id}"))
            .with_effect(format!("relationship with {id} will be removed"));
    }
    Answer::ok(wire::patched_customer(
        "relationshipToPartner",
        json!("none"),
    ))
    .with_effect(format!("relationship with {id} removed"))
}

/// The refusal of a removal while something stands in the way. No code is documented for it. For
/// an Azure plan the text speaks of reserved instances, as it was seen to do.
fn blocked(partner: Uuid, customer: &Customer, now: Timestamp) -> Option<Answer> {
    let obstacles = obstacles(partner, customer, now);
    let first = obstacles.first()?;
    let orders: Vec<&str> = customer
        .reservations
        .iter()
        .filter(|r| !r.cancelled && r.expires > now)
        .map(|r| r.order_id.as_str())
        .chain(
            customer
                .subscriptions
                .iter()
                .filter(|s| s.kind == Kind::AzurePlan && s.status == Status::Active)
                .map(|s| s.order_id.as_str()),
        )
        .collect();
    let text = if orders.is_empty() {
        format!(
            "Customer relationship cannot be removed: {} {} {}.",
            first.resource, first.id, first.why
        )
    } else {
        format!(
            "Customer relationship cannot be removed due to active Azure reserved \
             instances.Please cancel the following orders: {}",
            orders.join(",")
        )
    };
    let note: Vec<String> = obstacles
        .iter()
        .map(|o| format!("{} {} {}", o.resource, o.id, o.why))
        .collect();
    Some(
        Answer::error(400, 2001, &text)
            .with_note(format!("removal refused because of: {}", note.join("; "))),
    )
}

/// The link by which a customer comes (back) to this partner: the current form.
pub(super) fn relationship_request(partner: &Partner) -> Answer {
    Answer::ok(json!({
        "url": format!(
            "https://admin.microsoft.com/Adminportal/Home?invType=ResellerRelationship\
             &partnerId={}&msppId=0&DAP=false#/BillingAccounts/partner-invitation",
            partner.tenant_id
        ),
        "attributes": { "objectType": "RelationshipRequest" },
    }))
}
