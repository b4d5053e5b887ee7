//! Resources in the JSON form of Partner Center. Written from its documentation, apart from any
//! client, so that a mistake here and one there do not cover each other.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use super::answer::{link, without_nulls};
use super::model::{
    AuditEntry, AzureSubscription, Customer, Partner, Reservation, Software, Subscription, Transfer,
};
use super::scenario::{PartnerRelationshipSpec, SubscriptionKind as Kind, SubscriptionStatus};

/// A customer as in lists, or in full as by id (where delegated access shows).
pub(super) fn customer(
    partner: &Partner,
    customer: &Customer,
    full: bool,
    now: Timestamp,
) -> Value {
    let id = customer.id;
    // The answer to a GET shows the relationship until the removal has spread.
    let relationship = if customer.shows(now) {
        customer.relationship.as_str()
    } else {
        "none"
    };
    let profile = json!({
        "tenantId": id,
        "domain": customer.domain,
        "companyName": customer.name,
        "links": full.then(|| json!({ "self": link(format!("/customers/{id}/profiles/company")) })),
        "attributes": { "objectType": "CustomerCompanyProfile" },
    });
    let billing = full.then(|| {
        json!({
            "id": customer.commerce_id,
            "culture": "en-US",
            "language": "en",
            "companyName": customer.name,
            "defaultAddress": { "country": "US", "city": "Redmond", "state": "WA",
                "addressLine1": "1 Simulated Way", "postalCode": "98052" },
            "links": { "self": link(format!("/customers/{id}/profiles/billing")) },
            "attributes": { "etag": "-4242348048554929329", "objectType": "CustomerBillingProfile" },
        })
    });
    let associated = (partner.model == super::scenario::PartnerModel::IndirectProvider)
        .then(|| customer.indirect_resellers.first().map(|r| r.id))
        .flatten();
    without_nulls(json!({
        "id": id,
        "commerceId": full.then_some(customer.commerce_id),
        "companyProfile": profile,
        "billingProfile": billing,
        "relationshipToPartner": relationship,
        "allowDelegatedAccess": full.then_some(customer.allow_delegated_access),
        "customDomains": (full && customer.allow_delegated_access)
            .then(|| vec![customer.domain.clone()]),
        "associatedPartnerId": associated,
        "links": full.then(|| json!({ "self": link(format!("/customers/{id}")) })),
        "attributes": { "objectType": "Customer" },
    }))
}

/// The answer to a customer PATCH: only what was changed, everything else null.
pub(super) fn patched_customer(member: &str, value: Value) -> Value {
    let mut body = json!({
        "id": null, "commerceId": null, "companyProfile": null, "billingProfile": null,
        "relationshipToPartner": null, "allowDelegatedAccess": null, "userCredentials": null,
        "customDomains": null, "associatedPartnerId": null,
        "attributes": { "objectType": "Customer" },
    });
    body[member] = value;
    super::answer::pascal_case(body)
}

/// Etag of a legacy subscription; new-commerce ones have an empty string.
pub(super) fn etag(subscription: &Subscription) -> String {
    if subscription.kind.is_legacy() {
        URL_SAFE_NO_PAD.encode(
            json!({ "id": subscription.id.to_lowercase(), "version": subscription.version })
                .to_string(),
        )
    } else {
        String::new()
    }
}

/// A subscription with explicit nulls for what is not set.
pub(super) fn full_subscription(customer: Uuid, s: &Subscription) -> Value {
    let legacy = s.kind.is_legacy();
    let product = |id: &str, name: &str| json!({ "id": id, "displayName": name });
    let product_type = match s.kind {
        Kind::NewCommerce | Kind::NewCommerceTrial => {
            product("OnlineServicesNCE", "Online Services NCE")
        }
        Kind::SoftwareSubscription => product("Software", "Software"),
        Kind::AzurePlan => product("Azure", "Azure"),
        Kind::SavingsPlan => product("AzureSavingsPlan", "Azure savings plan"),
        Kind::Marketplace => product("SaaS", "SaaS"),
        _ => Value::Null,
    };
    let (unit, billing) = match s.kind {
        Kind::LegacyAzure | Kind::AzurePlan => ("Usage-based", "usage"),
        Kind::SavingsPlan => ("Benefit", "benefit"),
        _ => ("Licenses", "license"),
    };
    let base = format!("/customers/{customer}/subscriptions");
    let links = if legacy {
        json!({
            "offer": link(format!("/offers/{}?country=US", s.offer_id)),
            "parentSubscription": s.parent.as_ref().map(|p| link(format!("{base}/{p}"))),
            "self": link(format!("{base}/{}", s.id)),
        })
    } else {
        let mut parts = s.offer_id.split(':');
        let product = parts.next().unwrap_or_default();
        let sku = parts.next().unwrap_or("0001");
        json!({
            "product": link(format!("/products/{product}?country=US")),
            "sku": link(format!("/products/{product}/skus/{sku}?country=US")),
            "self": link(format!("{base}/{}", s.id)),
        })
    };
    let cancellable = s.cancel_until.is_some() && s.status == SubscriptionStatus::Active;
    let mut body = json!({
        "id": s.id,
        "entitlementId": s.entitlement_id,
        "offerId": s.offer_id,
        "offerName": s.name,
        "friendlyName": s.friendly_name,
        "productType": product_type,
        "quantity": s.quantity,
        "unitType": unit,
        "parentSubscriptionId": s.parent,
        "hasPurchasableAddons": if legacy { json!(false) } else { Value::Null },
        "creationDate": s.created.to_string(),
        "effectiveStartDate": if legacy {
            s.start.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
        } else {
            s.start.strftime("%Y-%m-%dT%H:%M:%S.%7f+00:00").to_string()
        },
        // New commerce: the last day that belongs to the term; the exact end is in the other one.
        "commitmentEndDate": if legacy {
            s.term_end.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
        } else {
            format!("{}T00:00:00Z", s.term_end.strftime("%Y-%m-%d"))
        },
        "commitmentEndDateTime": s.term_end.to_string(),
        "cancellationAllowedUntilDate": s.cancel_until.map(|t| t.to_string()),
        "status": s.status.as_str(),
        "autoRenewEnabled": s.auto_renew,
        "isTrial": s.kind.is_trial(),
        "billingType": billing,
        "billingCycle": s.billing_cycle,
        "termDuration": s.term,
        "renewalTermDuration": if legacy { Value::Null } else { json!("") },
        "refundOptions": s.refund_options,
        "isMicrosoftProduct": s.kind != Kind::Marketplace,
        "publisherName": if s.kind == Kind::Marketplace { "Contoso Networks" } else { "Microsoft" },
        "partnerId": "",
        "actions": if cancellable { json!(["Edit", "Cancel"]) } else { Value::Null },
        "suspensionReasons": (s.status == SubscriptionStatus::Suspended)
            .then(|| json!(["CustomerCancellation"])),
        "attentionNeeded": false,
        "actionTaken": false,
        "contractType": "subscription",
        "consumptionType": (s.kind == Kind::LegacyAzure).then_some("direct"),
        "scheduledNextTermInstructions": s.next_term_instructions,
        "nextChargeInstructions": s.next_charge_instructions,
        "scheduledActions": if s.scheduled_actions.is_empty() {
            Value::Null
        } else {
            json!(s.scheduled_actions)
        },
        "links": links,
        "orderId": s.order_id,
        "attributes": { "etag": etag(s), "objectType": "Subscription" },
    });
    if let Value::Object(body) = &mut body {
        for (name, value) in &s.extra {
            body.insert(name.clone(), value.clone());
        }
    }
    body
}

/// A subscription as reads answer it.
pub(super) fn subscription(customer: Uuid, s: &Subscription) -> Value {
    without_nulls(full_subscription(customer, s))
}

/// An Azure entitlement of an Azure plan.
pub(super) fn azure_entitlement(customer: Uuid, plan: &str, azure: &AzureSubscription) -> Value {
    let id = azure.id;
    json!({
        "id": id,
        "friendlyName": azure.name,
        "status": if azure.active { "active" } else { "inactive" },
        "subscriptionId": plan,
        "links": { "self":
            link(format!("/customers/{customer}/subscriptions/{plan}/azureEntitlements/{id}")) },
    })
}

/// A reservation among the entitlements.
pub(super) fn reservation_entitlement(
    customer: Uuid,
    r: &Reservation,
    quantity: u32,
    show_expiry: bool,
) -> Value {
    without_nulls(json!({
        "includedEntitlements": [],
        "referenceOrder": { "id": r.order_id, "lineItemId": "0" },
        "productId": r.product_id,
        "skuId": "0001",
        "quantity": quantity,
        "entitlementType": "reservedinstance",
        "entitledArtifacts": [{
            "artifactType": "reservedinstance",
            "resourceId": r.id,
            "link": link(reservation_uri(customer, r)),
            "dynamicAttributes": { "reservationType": r.reservation_type },
        }],
        "expiryDate": show_expiry.then(|| r.expires.to_string()),
        "attributes": { "objectType": "Entitlement" },
    }))
}

/// Where the artifact of a reservation is read.
pub(super) fn reservation_uri(customer: Uuid, r: &Reservation) -> String {
    format!(
        "/customers/{customer}/artifacts/reservedinstance/groups/{}/lineitems/{}/resource/{}",
        r.group.simple(),
        r.line,
        r.id
    )
}

/// The artifact of a reservation.
pub(super) fn reservation_artifact(r: &Reservation, now: Timestamp) -> Value {
    let state = if r.cancelled {
        "Cancelled"
    } else if r.expires <= now {
        "Expired"
    } else {
        "Succeeded"
    };
    let list = if r.reservation_type == "virtualmachines" {
        "virtualMachineReservations"
    } else {
        "reservations"
    };
    json!({
        "type": r.reservation_type,
        list: [{
            "reservationId": r.id,
            "scopeType": "shared",
            "displayName": r.name,
            "appliedScopes": [],
            "quantity": r.quantity,
            "expiryDateTime": r.expires.to_string(),
            "effectiveDateTime": r.effective.to_string(),
            "provisioningState": state,
        }],
        "attributes": { "objectType": "ReservedInstanceArtifactDetails" },
    })
}

/// A software purchase among the entitlements.
pub(super) fn software_entitlement(s: &Software, line: usize, show_expiry: bool) -> Value {
    let reference = json!({ "id": s.order_id, "lineItemId": line.to_string(),
        "alternateId": s.order_id.chars().take(12).collect::<String>() });
    let included: Vec<Value> = s
        .included
        .iter()
        .map(|product| {
            json!({
                "includedEntitlements": [], "referenceOrder": reference, "productId": product,
                "skuId": "0001", "quantity": s.quantity, "entitledArtifacts": [],
                "entitlementType": "software",
            })
        })
        .collect();
    without_nulls(json!({
        "includedEntitlements": included,
        "referenceOrder": reference,
        "productId": s.product_id,
        "skuId": "0001",
        "quantity": s.quantity,
        "entitledArtifacts": [],
        "entitlementType": "software",
        "expiryDate": s.expires.filter(|_| show_expiry).map(|t| t.to_string()),
    }))
}

/// A software subscription among the entitlements: the same purchase seen a second time.
pub(super) fn software_subscription_entitlement(s: &Subscription, show_expiry: bool) -> Value {
    let live = matches!(
        s.status,
        SubscriptionStatus::Active | SubscriptionStatus::Suspended
    );
    without_nulls(json!({
        "includedEntitlements": [],
        "referenceOrder": { "id": s.order_id, "lineItemId": "0" },
        "productId": s.offer_id.split(':').next(),
        "skuId": "0001",
        "quantity": if live { s.quantity } else { 0 },
        "entitledArtifacts": [],
        "entitlementType": "software",
        "expiryDate": show_expiry.then(|| s.term_end.to_string()),
    }))
}

/// A transfer. Shape by Microsoft's resource documentation (`TransferEntity`).
pub(super) fn transfer(customer: &Customer, t: &Transfer) -> Value {
    let lines: Vec<Value> = t
        .subscriptions
        .iter()
        .enumerate()
        .map(|(i, id)| {
            let s = customer.subscription(id);
            without_nulls(json!({
                "id": i,
                "subscriptionId": id,
                "offerId": s.map(|s| s.offer_id.clone()),
                "friendlyName": s.map(|s| s.friendly_name.clone()),
                "billingCycle": s.map(|s| s.billing_cycle.clone()),
                "quantity": s.map_or(1, |s| s.quantity),
                "addonItems": [],
            }))
        })
        .collect();
    without_nulls(json!({
        "id": t.id,
        "transferType": "5",
        "createdTime": t.created.to_string(),
        "lastModifiedTime": t.changed.to_string(),
        "completedTime": (t.status == "Completed").then(|| t.changed.to_string()),
        "expirationTime": t.expires.to_string(),
        "customerName": customer.name,
        "customerTenantId": customer.id,
        "partnertenantid": t.target,
        "sourcePartnerTenantId": t.source,
        "targetPartnerTenantId": t.target,
        "lineItems": lines,
        "status": t.status,
        "links": { "self": link(format!("/customers/{}/transfers/{}", customer.id, t.id)) },
        "attributes": { "objectType": "TransferEntity" },
    }))
}

/// A relationship between partners.
pub(super) fn partner_relationship(r: &PartnerRelationshipSpec) -> Value {
    json!({
        "id": r.id,
        "name": r.name,
        "relationshipType": r.relationship_type,
        "state": "Active",
        "mpnId": r.mpn_id,
        "location": "US",
        "attributes": { "objectType": "PartnerRelationship" },
    })
}

/// An audit record.
pub(super) fn audit_record(partner: &Partner, entry: &AuditEntry) -> Value {
    let data: Vec<Value> = entry
        .data
        .iter()
        .map(|(key, value)| json!({ "key": key, "value": value }))
        .collect();
    without_nulls(json!({
        "id": entry.id,
        "partnerId": partner.tenant_id,
        "customerId": entry.customer,
        "customerName": entry.customer_name,
        "userPrincipalName": entry.user,
        "applicationId": entry.application,
        "resourceType": entry.resource_type,
        "resourceOldValue": entry.old_value.as_ref().map(Value::to_string),
        "resourceNewValue": entry.new_value.as_ref().map(Value::to_string),
        "operationType": entry.operation,
        "originalCorrelationId": entry.correlation_id,
        "operationDate": entry.at.to_string(),
        "operationStatus": entry.status,
        "customizedData": data,
        "attributes": { "objectType": "AuditRecord" },
    }))
}
