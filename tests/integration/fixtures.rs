//! Microsoft's documented bodies, replayed over HTTP from the folder `PARTNER_CENTER_FIXTURES` names.
//!
//! What a body is shows in the body itself, so that other bodies of the same kinds are tried as they
//! are put into the folder. Expected values are looked up here in the plain JSON, not by our client.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use relationship_service::application::upstream::{
    NotChanged, PartnerCenter, Sighting, SubscriptionChange,
};
use relationship_service::domain::failure::FailureClass;
use relationship_service::domain::ids::CustomerId;
use relationship_service::domain::snapshot::{EntitlementKind, PartnerModel, Standing};
use relationship_service::domain::subscription::{Subscription, SubscriptionStatus};
use relationship_service::domain::time::upstream_date;
use serde_json::Value;

use crate::partner_center::kit::*;

const VARIABLE: &str = "PARTNER_CENTER_FIXTURES";

/// The folder, or `None` (said aloud) when nobody named one. A named one has to be there.
fn folder(test: &str) -> Option<PathBuf> {
    match std::env::var_os(VARIABLE) {
        None => {
            eprintln!("SKIPPED {test}: {VARIABLE} names no folder of documented bodies");
            None
        }
        Some(path) => {
            let path = PathBuf::from(path);
            assert!(path.is_dir(), "{VARIABLE}: {} is no folder", path.display());
            Some(path)
        }
    }
}

struct Fixture {
    name: String,
    body: Value,
}

/// Every valid JSON body below `folder/part`, without a BOM.
fn bodies(folder: &Path, part: &str) -> Vec<Fixture> {
    let mut found = Vec::new();
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder.join(part))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ext| ext == "json"))
        .collect();
    paths.sort();
    for path in paths {
        let text = std::fs::read_to_string(&path).unwrap();
        if let Ok(body) = serde_json::from_str(text.trim_start_matches('\u{feff}')) {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            found.push(Fixture { name, body });
        }
    }
    assert!(!found.is_empty(), "no valid body in {part}");
    found
}

/// A member whatever its case; `null` is none.
fn get<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').try_fold(value, |value, name| {
        value
            .as_object()?
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
            .filter(|value| !value.is_null())
    })
}

fn text(value: &Value, path: &str) -> Option<String> {
    match get(value, path)? {
        Value::String(text) => Some(text.trim().to_owned()).filter(|text| !text.is_empty()),
        other => Some(other.to_string()),
    }
}

fn number(value: &Value, path: &str) -> i64 {
    text(value, path).map_or(0, |text| text.parse().unwrap())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Customer,
    Customers,
    Subscription,
    Subscriptions,
    Entitlements,
    AzureEntitlements,
    Audit,
    Relationships,
    SupportContact,
    Link,
    RemovalAnswer,
    Other,
}

fn kind(body: &Value) -> Kind {
    let of = |value: &Value| text(value, "attributes.objectType").unwrap_or_default();
    match of(body).to_ascii_lowercase().as_str() {
        "customer" if text(body, "id").is_some() => Kind::Customer,
        "customer" if text(body, "allowDelegatedAccess").is_none() => Kind::RemovalAnswer,
        "subscription" => Kind::Subscription,
        "supportcontact" => Kind::SupportContact,
        "relationshiprequest" => Kind::Link,
        "collection" => {
            let Some(first) = get(body, "items").and_then(|items| items.get(0)) else {
                return Kind::Other;
            };
            match of(first).to_ascii_lowercase().as_str() {
                "customer" => Kind::Customers,
                "subscription" => Kind::Subscriptions,
                "auditrecord" => Kind::Audit,
                "partnerrelationship" => Kind::Relationships,
                _ if get(first, "entitlementType").is_some() => Kind::Entitlements,
                _ if get(first, "subscriptionId").is_some() => Kind::AzureEntitlements,
                _ => Kind::Other,
            }
        }
        _ => Kind::Other,
    }
}

fn of_kind(folder: &Path, wanted: Kind) -> Vec<Fixture> {
    let mut all = bodies(folder, "responses");
    all.retain(|fixture| kind(&fixture.body) == wanted);
    assert!(!all.is_empty(), "no body of kind {wanted:?}");
    all
}

fn items(body: &Value) -> Vec<Value> {
    get(body, "items").unwrap().as_array().unwrap().clone()
}

/// The body as upstream would send it: as it is, with a BOM, and with every member in Pascal case.
fn wrappings(body: &Value) -> Vec<(&'static str, Reply)> {
    fn pascal(value: &Value) -> Value {
        match value {
            Value::Object(members) => members
                .iter()
                .map(|(key, value)| {
                    let mut letters = key.chars();
                    let first = letters.next().map(|c| c.to_ascii_uppercase());
                    (first.into_iter().chain(letters).collect(), pascal(value))
                })
                .collect::<serde_json::Map<_, _>>()
                .into(),
            Value::Array(items) => items.iter().map(pascal).collect(),
            other => other.clone(),
        }
    }
    vec![
        ("plain", Reply::json(200, body)),
        ("with BOM", Reply::bom(body)),
        ("Pascal case", Reply::bom(&pascal(body))),
    ]
}

/// An upstream where `path_end` answers with `reply`, and the rest is a customer with nothing.
async fn serving(path_end: &'static str, reply: Reply) -> Upstream {
    Upstream::serve(move |seen| {
        if seen.path.ends_with(path_end) {
            reply.clone()
        } else {
            plain_customer(seen, &[])
        }
    })
    .await
}

fn date(value: &Value, path: &str) -> Option<jiff::Timestamp> {
    text(value, path).and_then(|text| upstream_date(&text).unwrap())
}

/// Compares every field the domain uses with the JSON it came from.
fn assert_same(found: &Subscription, body: &Value, what: &str) {
    let some = |name: &str| text(body, name).unwrap_or_default();
    assert_eq!(found.id.as_str(), some("id"), "{what}");
    assert_eq!(found.product, some("offerName"), "{what}");
    let named = text(body, "friendlyName")
        .or_else(|| text(body, "offerName"))
        .unwrap_or_else(|| some("id"));
    assert_eq!(found.name, named, "{what}");
    assert_eq!(found.offer_id, text(body, "offerId"), "{what}");
    assert_eq!(found.product_type, text(body, "productType.id"), "{what}");
    assert_eq!(found.unit_type, some("unitType"), "{what}");
    assert_eq!(found.billing_type, some("billingType"), "{what}");
    let status = found.status.as_str();
    assert!(
        status.eq_ignore_ascii_case(&some("status")),
        "{what}: {status}"
    );
    assert_eq!(found.quantity, number(body, "quantity"), "{what}");
    assert_eq!(found.is_trial, some("isTrial") == "true", "{what}");
    let auto_renew = found.auto_renew.map(|flag| flag.to_string());
    assert_eq!(auto_renew, text(body, "autoRenewEnabled"), "{what}");
    assert_eq!(found.term, some("termDuration"), "{what}");
    assert_eq!(found.billing_cycle, some("billingCycle"), "{what}");
    assert_eq!(found.order_id, text(body, "orderId"), "{what}");
    let parent = found.parent.as_ref().map(|id| id.as_str().to_owned());
    assert_eq!(parent, text(body, "parentSubscriptionId"), "{what}");
    let end = date(body, "commitmentEndDateTime").or_else(|| date(body, "commitmentEndDate"));
    assert_eq!(found.term_end, end, "{what}");
    assert_eq!(
        found.cancellation_allowed_until,
        date(body, "cancellationAllowedUntilDate"),
        "{what}"
    );
    assert_eq!(found.reseller_of_record, text(body, "partnerId"), "{what}");
    let refunds = get(body, "refundOptions").and_then(Value::as_array);
    assert_eq!(found.refunds.len(), refunds.map_or(0, Vec::len), "{what}");
}

fn customer_of(body: &Value) -> CustomerId {
    text(body, "id").unwrap().parse().unwrap()
}

#[tokio::test]
async fn customers_decode_whole() {
    let Some(folder) = folder("customers_decode_whole") else {
        return;
    };
    for Fixture { name, body } in of_kind(&folder, Kind::Customer) {
        for (how, reply) in wrappings(&body) {
            let what = format!("{name} {how}");
            let id = customer_of(&body);
            let upstream = Upstream::serve(move |seen| {
                if seen.path.to_lowercase().ends_with(&id.to_string()) {
                    reply.clone()
                } else {
                    plain_customer(seen, &[])
                }
            })
            .await;
            let snapshot = upstream.client().snapshot(id, &call()).await;
            let Some(Standing::Related(found)) = snapshot.standing.get() else {
                panic!("{what}: {:?}", snapshot.standing);
            };
            let some = |path: &str| text(&body, path).unwrap_or_default();
            assert_eq!(found.name, some("companyProfile.companyName"), "{what}");
            assert_eq!(found.domain, some("companyProfile.domain"), "{what}");
            assert_eq!(found.relationship, some("relationshipToPartner"), "{what}");
            let delegated = found.delegated_admin.map(|flag| flag.to_string());
            assert_eq!(delegated, text(&body, "allowDelegatedAccess"), "{what}");
        }
    }
}

#[tokio::test]
async fn customer_lists_show_who_is_on_them() {
    let Some(folder) = folder("customer_lists_show_who_is_on_them") else {
        return;
    };
    for Fixture { name, body } in of_kind(&folder, Kind::Customers) {
        for (how, reply) in wrappings(&body) {
            let upstream = Upstream::serve(move |seen| {
                if seen.path == "/v1/customers" {
                    reply.clone()
                } else {
                    gone()
                }
            })
            .await;
            let client = upstream.client();
            for item in items(&body) {
                let seen = client
                    .observe_removal(customer_of(&item), "", &call())
                    .await;
                assert_eq!(seen.listed, Some(Ok(true)), "{name} {how}");
            }
            let seen = client.observe_removal(customer(), "", &call()).await;
            assert_eq!(seen.listed, Some(Ok(false)), "{name} {how}");
        }
    }
}

#[tokio::test]
async fn subscriptions_decode_whole_and_are_written_back_with_what_we_do_not_know() {
    let Some(folder) = folder("subscriptions_decode_whole") else {
        return;
    };
    for Fixture { name, mut body } in of_kind(&folder, Kind::Subscription) {
        body["memberOfTomorrow"] = serde_json::json!({"Deep": [1.5, null]});
        for (how, reply) in wrappings(&body) {
            let what = format!("{name} {how}");
            let upstream = Upstream::serve(move |_| reply.clone()).await;
            let client = upstream.client();
            let id = text(&body, "id").unwrap();
            let reading = client
                .subscription(customer(), &id.as_str().into(), &call())
                .await
                .unwrap_or_else(|failure| panic!("{what}: {failure}"));
            assert_same(&reading.subscription, &body, &what);

            let change = SubscriptionChange {
                status: Some(SubscriptionStatus::Suspended),
                ..SubscriptionChange::default()
            };
            let _ = client
                .change_subscription(customer(), &reading, &change, &call(), Gate::open())
                .await;
            let sent = upstream.seen();
            let sent = sent.iter().find(|seen| seen.method == "PATCH").unwrap();
            let sent: Value = serde_json::from_slice(&sent.body).unwrap();
            let mut wanted = reading.body.clone();
            let key = if how == "Pascal case" || get(&body, "status") == body.get("Status") {
                "Status"
            } else {
                "status"
            };
            wanted[key] = "suspended".into();
            assert_eq!(sent, wanted, "{what}");
        }
    }
}

#[tokio::test]
async fn subscription_and_add_on_lists_decode_whole() {
    let Some(folder) = folder("subscription_and_add_on_lists_decode_whole") else {
        return;
    };
    for Fixture { name, body } in of_kind(&folder, Kind::Subscriptions) {
        for (how, reply) in wrappings(&body) {
            let what = format!("{name} {how}");
            let upstream = serving("/subscriptions", reply).await;
            let snapshot = upstream.client().snapshot(customer(), &call()).await;
            let found = snapshot
                .subscriptions
                .value
                .unwrap_or_else(|f| panic!("{what}: {f}"));
            let wanted = items(&body);
            assert_eq!(found.len(), wanted.len(), "{what}");
            for (found, wanted) in found.iter().zip(&wanted) {
                assert_same(found, wanted, &what);
            }
        }
    }
}

#[tokio::test]
async fn entitlements_decode_whole() {
    let Some(folder) = folder("entitlements_decode_whole") else {
        return;
    };
    for Fixture { name, body } in of_kind(&folder, Kind::Entitlements) {
        for (how, reply) in wrappings(&body) {
            let what = format!("{name} {how}");
            let upstream = serving("/entitlements", reply).await;
            let snapshot = upstream.client().snapshot(customer(), &call()).await;
            let found = snapshot
                .entitlements
                .value
                .unwrap_or_else(|f| panic!("{what}: {f}"));
            let wanted = items(&body);
            assert_eq!(found.len(), wanted.len(), "{what}");
            for (found, wanted) in found.iter().zip(&wanted) {
                let some = |path: &str| text(wanted, path).unwrap_or_default();
                assert_eq!(found.order_id, some("referenceOrder.id"), "{what}");
                assert_eq!(
                    found.line_item_id,
                    some("referenceOrder.lineItemId"),
                    "{what}"
                );
                assert_eq!(
                    found.alternate_order_id,
                    text(wanted, "referenceOrder.alternateId"),
                    "{what}"
                );
                assert_eq!(found.product_id, some("productId"), "{what}");
                assert_eq!(found.sku_id, some("skuId"), "{what}");
                assert_eq!(found.quantity, number(wanted, "quantity"), "{what}");
                assert_eq!(found.expires, date(wanted, "expiryDate"), "{what}");
                let software = some("entitlementType").eq_ignore_ascii_case("software");
                assert_eq!(found.kind == EntitlementKind::Software, software, "{what}");
            }
        }
    }
}

#[tokio::test]
async fn azure_entitlements_decode_whole() {
    let Some(folder) = folder("azure_entitlements_decode_whole") else {
        return;
    };
    for Fixture { name, body } in of_kind(&folder, Kind::AzureEntitlements) {
        for (how, reply) in wrappings(&body) {
            let what = format!("{name} {how}");
            let upstream = Upstream::serve(move |seen| {
                if seen.path.ends_with("/azureEntitlements") {
                    return reply.clone();
                }
                let plan = serde_json::json!({"id": "plan", "offerId": "DZH318Z0BPS6:0001:X",
                    "productType": {"id": "Azure"}, "status": "active", "billingType": "usage"});
                plain_customer(seen, &[plan])
            })
            .await;
            let snapshot = upstream.client().snapshot(customer(), &call()).await;
            let found = snapshot.azure[0].1.value.as_ref().unwrap();
            let wanted = items(&body);
            assert_eq!(found.len(), wanted.len(), "{what}");
            for (found, wanted) in found.iter().zip(&wanted) {
                let some = |path: &str| text(wanted, path).unwrap_or_default();
                assert_eq!(found.id.as_str(), some("id"), "{what}");
                assert_eq!(found.name, some("friendlyName"), "{what}");
                assert_eq!(found.status, some("status"), "{what}");
            }
        }
    }
}

#[tokio::test]
async fn audit_records_decode_whole() {
    let Some(folder) = folder("audit_records_decode_whole") else {
        return;
    };
    for Fixture { name, body } in of_kind(&folder, Kind::Audit) {
        for (how, reply) in wrappings(&body) {
            let what = format!("{name} {how}");
            let upstream = serving("/auditrecords", reply).await;
            let mut wanted = items(&body);
            let id: CustomerId = text(&wanted[0], "customerId").unwrap().parse().unwrap();
            wanted.retain(|item| {
                text(item, "customerId")
                    .is_none_or(|other| other.eq_ignore_ascii_case(&id.to_string()))
            });
            wanted.sort_by_key(|item| date(item, "operationDate"));
            let found = upstream
                .client()
                .audit(id, jiff::Timestamp::UNIX_EPOCH, &call())
                .await
                .unwrap_or_else(|failure| panic!("{what}: {failure}"));
            assert_eq!(found.len(), wanted.len(), "{what}");
            for (found, wanted) in found.iter().zip(&wanted) {
                let some = |path: &str| text(wanted, path).unwrap_or_default();
                assert_eq!(found.operation, some("operationType"), "{what}");
                assert_eq!(found.status, some("operationStatus"), "{what}");
                assert_eq!(Some(found.at), date(wanted, "operationDate"), "{what}");
                assert_eq!(
                    found.correlation,
                    text(wanted, "originalCorrelationId"),
                    "{what}"
                );
                let by =
                    text(wanted, "userPrincipalName").or_else(|| text(wanted, "applicationId"));
                assert_eq!(found.by, by, "{what}");
            }
        }
    }
}

#[tokio::test]
async fn relationships_support_contacts_links_and_removals_are_understood() {
    let Some(folder) = folder("relationships_support_contacts_links_and_removals") else {
        return;
    };
    for Fixture { name, body } in of_kind(&folder, Kind::Relationships) {
        for (how, reply) in wrappings(&body) {
            let upstream = serving("/relationships", reply).await;
            let snapshot = upstream.client().snapshot(customer(), &call()).await;
            let reseller = items(&body).iter().any(|item| {
                text(item, "relationshipType").as_deref() == Some("is_indirect_reseller_of")
            });
            let wanted = if reseller {
                PartnerModel::IndirectReseller
            } else {
                PartnerModel::MayRemove
            };
            assert_eq!(snapshot.partner_model.get(), Some(&wanted), "{name} {how}");
        }
    }
    for Fixture { name, body } in of_kind(&folder, Kind::SupportContact) {
        for (how, reply) in wrappings(&body) {
            let upstream = serving("/supportcontact", reply).await;
            let probe = upstream
                .client()
                .probe_support_contact(customer(), &"s".into(), &call())
                .await;
            assert_eq!(probe, Ok(()), "{name} {how}");
        }
    }
    for Fixture { name, body } in of_kind(&folder, Kind::Link) {
        for (how, reply) in wrappings(&body) {
            let upstream = serving("/relationshiprequests", reply).await;
            let link = upstream.client().relationship_request_link(&call()).await;
            assert_eq!(link.ok(), text(&body, "url"), "{name} {how}");
        }
    }
    for Fixture { name, body } in of_kind(&folder, Kind::RemovalAnswer) {
        for (how, reply) in wrappings(&body) {
            let upstream = Upstream::serve(move |_| reply.clone()).await;
            let outcome = upstream
                .client()
                .remove_relationship(customer(), &call(), Gate::open())
                .await;
            assert_eq!(outcome, Ok(()), "{name} {how}");
        }
    }
}

/// Status under which an error body is served: as the contract says of its code.
fn status_of(name: &str, body: &Value) -> u16 {
    if let Some(status) = text(body, "statusCode") {
        return status.parse().unwrap();
    }
    match text(body, "code").as_deref() {
        Some("20002") => 403,
        _ => name
            .rsplit("resp-")
            .next()
            .and_then(|rest| rest.get(..3))
            .and_then(|status| status.parse().ok())
            .unwrap_or(400),
    }
}

#[tokio::test]
async fn error_bodies_are_classified_and_kept_verbatim() {
    let Some(folder) = folder("error_bodies_are_classified_and_kept_verbatim") else {
        return;
    };
    for Fixture { name, body } in bodies(&folder, "errors") {
        let status = status_of(&name, &body);
        let code = text(&body, "code").or_else(|| text(&body, "statusCode"));
        let wanted = match (status, code.as_deref()) {
            (403, Some("20002")) => FailureClass::NotRelated,
            (429, _) => FailureClass::Throttled,
            (500.., _) => FailureClass::Unavailable,
            _ => FailureClass::Refused,
        };
        for with_bom in [false, true] {
            let what = format!("{name} as {status}, BOM: {with_bom}");
            let bom = if with_bom { "\u{feff}" } else { "" };
            let reply = Reply::new(status, format!("{bom}{body}")).with("retry-after", "57");
            let upstream = Upstream::serve(move |_| reply.clone()).await;
            let client = upstream.client();
            let mut call = call();
            call.deadline = Some(std::time::Instant::now() + std::time::Duration::from_secs(10));
            let gate = Gate::open();
            let removal = client
                .remove_relationship(customer(), &call, Arc::clone(&gate) as _)
                .await;
            let Err(NotChanged::Failed(failure)) = removal else {
                panic!("{what}: {removal:?}");
            };
            assert_eq!(failure.class, wanted, "{what}");
            assert_eq!(failure.status, Some(status), "{what}");
            assert_eq!(failure.code, code, "{what}");
            let said = text(&body, "description").or_else(|| text(&body, "message"));
            let said: String = said.unwrap_or_default().chars().take(1024).collect();
            assert_eq!(failure.text, said, "{what}");

            let seen = client.observe_removal(customer(), "", &call).await;
            match wanted {
                FailureClass::NotRelated => {
                    assert!(matches!(seen.customer, Ok(Sighting::Gone(_))), "{what}");
                }
                _ => assert!(seen.customer.is_err(), "{what}"),
            }
        }
    }
}
