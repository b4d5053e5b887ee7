//! Customers: lists, filters, and the end of the relationship.

use std::time::Duration;

use relationship_service::simulator::{GoneAnswer, Scenario};
use reqwest::Method;
use serde_json::json;

use super::bench::Bench;

#[tokio::test]
async fn success_bodies_carry_a_byte_order_mark_and_errors_do_not() {
    let bench = Bench::start(Scenario::seeded(1, 0, 1)).await;
    let success = bench.get(&bench.path()).await;
    assert_eq!(&success.bytes[..3], b"\xEF\xBB\xBF");
    let error = bench.get("v1/customers/no-guid").await;
    assert_eq!(error.bytes[0], b'{');
    assert_eq!(error.refusal(), (400, "800002".to_owned()));
}

#[tokio::test]
async fn a_long_list_is_walked_with_continuation_tokens() {
    let bench = Bench::start(Scenario::seeded(7, 0, 1)).await;
    let mut page = bench.get("v1/customers?size=3").await.body;
    let mut ids: Vec<String> = Vec::new();
    loop {
        for item in page["items"].as_array().unwrap() {
            ids.push(item["id"].as_str().unwrap().to_owned());
        }
        let Some(token) = page["continuationToken"].as_str() else {
            break;
        };
        let request = bench
            .request(Method::GET, "v1/customers?size=3&seekOperation=Next")
            .header("MS-ContinuationToken", token);
        page = bench.send(request).await.body;
    }
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 7);
}

#[tokio::test]
async fn a_token_alone_remembers_size_and_filter_of_its_list() {
    let bench = Bench::start(Scenario::seeded(5, 0, 1)).await;
    let page = bench.get("v1/customers?size=2").await.body;
    let token = page["continuationToken"].as_str().unwrap();
    // As Microsoft's Java SDK sends it: no size, a doubled slash, an empty parameter.
    let request = bench
        .request(Method::GET, "v1//customers?&seekOperation=Next")
        .header("MS-ContinuationToken", token);
    let next = bench.send(request).await.body;
    assert_eq!(next["items"].as_array().unwrap().len(), 2);
    assert_ne!(next["items"][0]["id"], page["items"][0]["id"]);
    let link = &page["links"]["next"]["headers"][0];
    assert_eq!(
        (&link["key"], link["value"].as_str()),
        (&json!("MS-ContinuationToken"), Some(token))
    );
}

#[tokio::test]
async fn the_filter_knows_starts_with_on_name_and_domain_only() {
    let bench = Bench::start(Scenario::seeded(5, 0, 1)).await;
    let name = bench.customer().name.to_uppercase();
    let filtered = |field: &str, operator: &str| {
        let filter = json!({ "Field": field, "Value": name, "Operator": operator }).to_string();
        bench
            .request(Method::GET, "v1/customers")
            .query(&[("size", "0"), ("filter", &filter)])
    };
    let found = bench
        .send(filtered("CompanyName", "starts_with"))
        .await
        .body;
    assert_eq!(found["items"].as_array().unwrap().len(), 1);
    assert_eq!(bench.send(filtered("Id", "starts_with")).await.status, 400);
    assert_eq!(
        bench.send(filtered("CompanyName", "equals")).await.status,
        400
    );
}

#[tokio::test]
async fn a_relationship_ends_once_and_shows_as_ended_only_after_a_while() {
    let bench = Bench::start(Scenario::seeded(2, 0, 1)).await;
    let removed = bench.remove().await;
    assert_eq!(removed.status, 200);
    assert_eq!(removed.body["RelationshipToPartner"], "none");
    assert!(removed.body.as_object().unwrap()["Id"].is_null());
    assert_eq!(bench.remove().await.refusal(), (400, "3000".to_owned()));

    assert_eq!(bench.get(&bench.path()).await.status, 200);
    assert_eq!(
        bench.get("v1/customers").await.body["items"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    bench.control().advance(Duration::from_secs(91));
    assert_eq!(
        bench.get(&bench.path()).await.refusal(),
        (403, "20002".to_owned())
    );
    assert_eq!(
        bench.get("v1/customers").await.body["items"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[tokio::test]
async fn a_customer_cannot_be_deleted_but_the_attempt_is_on_record() {
    let bench = Bench::start(Scenario::seeded(1, 0, 1)).await;
    let answer = bench
        .send(bench.request(Method::DELETE, &bench.path()))
        .await;
    assert_eq!(answer.status, 405);
    let journal = bench.control().journal(0);
    assert!(journal.iter().any(|e| e.method == "DELETE" && !e.applied));
    assert_eq!(bench.get(&bench.path()).await.status, 200);
}

#[tokio::test]
async fn a_removal_is_refused_while_a_subscription_is_active_and_accepted_once_suspended() {
    let bench = Bench::start(Scenario::seeded(1, 3, 1)).await;
    assert_eq!(bench.remove().await.refusal(), (400, "2001".to_owned()));
    for subscription in &bench.customer().subscriptions {
        let answer = bench
            .set_status(subscription.id.as_deref().unwrap(), "suspended")
            .await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.body["Status"], "suspended");
    }
    assert_eq!(bench.remove().await.status, 200);
}

#[tokio::test]
async fn a_customer_without_relationship_is_refused_in_the_form_the_scenario_names() {
    for (form, refusal) in [
        (GoneAnswer::NoRelationship, (403, "20002")),
        (GoneAnswer::NoRelationshipIds, (403, "900159")),
        (GoneAnswer::CustomerNotFound, (404, "1000")),
        (GoneAnswer::TenantNotFound, (404, "60003")),
        (GoneAnswer::Empty, (404, "null")),
    ] {
        let mut scenario = Scenario::seeded(1, 0, 1);
        scenario.behaviour.gone_answer = form;
        let bench = Bench::start(scenario).await;
        let answer = bench
            .get("v1/customers/0c6f1f6e-4d5b-4c3e-9a39-4f1f2a3b4c5d")
            .await;
        assert_eq!(answer.refusal(), (refusal.0, refusal.1.to_owned()));
    }
}

#[tokio::test]
async fn ids_are_echoed_and_the_server_adds_its_own() {
    let bench = Bench::start(Scenario::seeded(1, 0, 1)).await;
    let request = bench
        .request(Method::GET, "v1/customers")
        .header("MS-RequestId", "11111111-2222-4333-8444-555555555555")
        .header("MS-CorrelationId", "66666666-7777-4888-8999-000000000000");
    let headers = bench.send(request).await.headers;
    assert_eq!(
        headers["ms-requestid"],
        "11111111-2222-4333-8444-555555555555"
    );
    assert_eq!(
        headers["ms-correlationid"],
        "66666666-7777-4888-8999-000000000000"
    );
    for name in ["ms-cv", "ms-serverid", "request-context"] {
        assert!(headers.contains_key(name), "{name}");
    }
}
