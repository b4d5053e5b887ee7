//! Entitlements, orders, transfers, support contact, audit: what a snapshot reads besides.

use std::time::Duration;

use relationship_service::simulator::{
    Act, Action, Actor, CancelledReservation, CustomerSpec, PartnerModel, PartnerRelationshipSpec,
    Scenario,
};
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use super::bench::Bench;

/// The customer of the demonstration without its subscriptions.
fn scenario() -> Scenario {
    let mut scenario = Scenario::demo();
    scenario.partners[0].customers[0].subscriptions.clear();
    scenario
}

fn first(scenario: &mut Scenario) -> &mut CustomerSpec {
    &mut scenario.partners[0].customers[0]
}

fn act(bench: &Bench, action: Action) -> Value {
    let act = Act {
        actor: Actor::Colleague,
        partner: None,
        customer: bench.customer().id,
        action,
    };
    bench.control().act(&act).unwrap()
}

async fn entitlements(bench: &Bench, query: &str) -> Vec<Value> {
    let path = format!("{}/entitlements{query}", bench.path());
    bench.get(&path).await.body["items"]
        .as_array()
        .unwrap()
        .clone()
}

#[tokio::test]
async fn a_reservation_blocks_until_its_artifact_says_cancelled() {
    let mut scenario = scenario();
    first(&mut scenario).software.clear();
    let bench = Bench::start(scenario).await;
    let item = &entitlements(&bench, "?entitlementType=reservedInstance").await[0];
    let link = item["entitledArtifacts"][0]["link"]["uri"]
        .as_str()
        .unwrap()
        .to_owned();
    let artifact = bench.get(&format!("v1{link}")).await.body;
    let detail = &artifact["virtualMachineReservations"][0];
    assert_eq!(detail["provisioningState"], "Succeeded");
    let refused = bench.remove().await;
    assert!(
        refused.body["description"]
            .as_str()
            .unwrap()
            .contains("reserved instances")
    );

    act(&bench, Action::CancelReservation { reservation: None });
    let artifact = bench.get(&format!("v1{link}")).await.body;
    assert_eq!(
        artifact["virtualMachineReservations"][0]["provisioningState"],
        "Cancelled"
    );
    assert_eq!(bench.remove().await.status, 200);
}

#[tokio::test]
async fn a_cancelled_reservation_can_also_vanish_or_show_no_quantity() {
    for (variant, seen) in [
        (CancelledReservation::Vanishes, Vec::new()),
        (CancelledReservation::QuantityZero, vec![json!(0)]),
    ] {
        let mut scenario = scenario();
        first(&mut scenario).reservations[0].cancelled = true;
        scenario.behaviour.cancelled_reservation = variant;
        let bench = Bench::start(scenario).await;
        let items = entitlements(&bench, "?EntitlementType=reservedinstance").await;
        let quantities: Vec<Value> = items.iter().map(|i| i["quantity"].clone()).collect();
        assert_eq!(quantities, seen);
    }
}

#[tokio::test]
async fn software_is_cancelled_through_its_order_lines() {
    let mut scenario = scenario();
    first(&mut scenario).reservations.clear();
    let bench = Bench::start(scenario).await;
    assert_eq!(bench.remove().await.status, 400);
    let item = entitlements(&bench, "?entitlementtype=software")
        .await
        .remove(0);
    let order = item["referenceOrder"]["id"].as_str().unwrap().to_owned();
    let path = format!("{}/orders/{order}", bench.path());
    let whole = json!({ "id": order, "status": "cancelled" });
    assert_eq!(bench.patch(&path, &whole).await.status, 400);
    let lines = json!({
        "id": order, "status": "cancelled",
        "lineItems": [{ "lineItemNumber": 0, "offerId": "any" }],
    });
    let answer = bench.patch(&path, &lines).await;
    assert_eq!(
        (answer.status, &answer.body["lineItems"][0]["quantity"]),
        (200, &json!(0))
    );
    assert_eq!(answer.body["status"], "cancelled");
    assert_eq!(bench.remove().await.status, 200);
}

#[tokio::test]
async fn an_open_transfer_blocks_until_it_lapses() {
    let bench = Bench::start(Scenario::seeded(1, 0, 1)).await;
    let transfer = serde_json::from_value(json!({})).unwrap();
    act(&bench, Action::OpenTransfer { transfer });
    let list = bench.get(&format!("{}/transfers", bench.path())).await.body;
    assert_eq!(list["items"][0]["status"], "Active");
    assert_eq!(
        list["items"][0]["sourcePartnerTenantId"],
        json!(bench.partner())
    );
    assert_eq!(bench.remove().await.status, 400);
    bench.control().advance(Duration::from_secs(31 * 86_400));
    assert_eq!(bench.remove().await.status, 200);
}

#[tokio::test]
async fn support_contact_and_subscriptions_refuse_once_the_removal_has_spread() {
    let bench = Bench::start(Scenario::seeded(1, 1, 1)).await;
    let id = bench.customer().subscriptions[0].id.clone().unwrap();
    let contact = format!("{}/subscriptions/{id}/supportcontact", bench.path());
    assert_eq!(bench.set_status(&id, "suspended").await.status, 200);
    assert_eq!(bench.remove().await.status, 200);
    let tenant = bench.get(&contact).await.body["supportTenantId"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(tenant, bench.partner().to_string().to_uppercase());
    bench.control().advance(Duration::from_secs(91));
    assert_eq!(bench.get(&contact).await.status, 403);
    assert_eq!(
        bench
            .get(&format!("{}/subscriptions", bench.path()))
            .await
            .status,
        403
    );
}

#[tokio::test]
async fn the_audit_names_the_removal_and_its_correlation_id_after_a_delay() {
    let bench = Bench::start(Scenario::seeded(1, 0, 1)).await;
    let request = bench
        .request(Method::PATCH, &bench.path())
        .header("MS-CorrelationId", "5a9c2a7e-64ad-4a3b-8a4e-0f7a5c1d2e3f")
        .json(
            &json!({ "relationshipToPartner": "none", "attributes": { "objectType": "Customer" } }),
        );
    assert_eq!(bench.send(request).await.status, 200);
    let audit = || {
        let filter =
            json!({ "Field": "CustomerId", "Value": bench.customer().id, "Operator": "equals" });
        let today = bench.control().now().strftime("%Y-%m-%d").to_string();
        let request = bench
            .request(Method::GET, "v1/auditrecords")
            .query(&[("startDate", today), ("filter", filter.to_string())]);
        bench.send(request)
    };
    assert_eq!(audit().await.body["items"], json!([]));
    bench.control().advance(Duration::from_secs(61));
    let records = audit().await.body;
    let record = &records["items"][0];
    assert_eq!(
        record["operationType"],
        "remove_partner_customer_relationship"
    );
    assert_eq!(record["operationStatus"], "succeeded");
    assert_eq!(
        record["originalCorrelationId"],
        "5a9c2a7e-64ad-4a3b-8a4e-0f7a5c1d2e3f"
    );
}

#[tokio::test]
async fn an_indirect_reseller_may_not_remove() {
    let mut scenario = Scenario::seeded(1, 0, 1);
    scenario.partners[0].model = PartnerModel::IndirectReseller;
    scenario.partners[0]
        .relationships
        .push(PartnerRelationshipSpec {
            id: Uuid::nil(),
            name: "Provider".to_owned(),
            relationship_type: "is_indirect_reseller_of".to_owned(),
            mpn_id: "1".to_owned(),
        });
    let bench = Bench::start(scenario).await;
    assert_eq!(bench.remove().await.status, 403);
    let found = bench
        .get("v1/relationships?relationship_type=IsIndirectResellerOf")
        .await
        .body;
    assert_eq!(found["items"][0]["name"], "Provider");
    let other = "v1/relationships?relationship_type=IsIndirectCloudSolutionProviderOf";
    assert_eq!(bench.get(other).await.body["items"], json!([]));
}

#[tokio::test]
async fn customers_under_review_or_locked_take_no_changes() {
    let bench = Bench::start(Scenario::seeded(1, 0, 1)).await;
    act(&bench, Action::SetUnderReview { under_review: true });
    assert_eq!(bench.remove().await.refusal(), (403, "800073".to_owned()));
    act(
        &bench,
        Action::SetUnderReview {
            under_review: false,
        },
    );
    act(&bench, Action::SetLocked { locked: true });
    assert_eq!(bench.remove().await.refusal(), (403, "900416".to_owned()));
}

#[tokio::test]
async fn the_link_to_come_back_names_the_partner() {
    let bench = Bench::start(Scenario::seeded(1, 0, 1)).await;
    let link = bench.get("v1/customers/relationshiprequests").await.body;
    assert!(
        link["url"]
            .as_str()
            .unwrap()
            .contains(&bench.partner().to_string())
    );
    assert_eq!(link["attributes"]["objectType"], "RelationshipRequest");
}

#[tokio::test]
async fn every_kind_of_subscription_can_be_listed() {
    let bench = Bench::start(Scenario::every_kind(4)).await;
    let list = bench
        .get(&format!("{}/subscriptions", bench.path()))
        .await
        .body;
    let items = list["items"].as_array().unwrap();
    assert_eq!(items.len(), bench.customer().subscriptions.len());
    // Legacy: no product type, upper-case id; the others the other way round.
    for item in items {
        let id = item["id"].as_str().unwrap();
        assert_eq!(
            item.get("productType").is_none(),
            id == id.to_uppercase(),
            "{item}"
        );
    }
}
