//! Faults: what a rule does to the requests that match it, and what it leaves undone.

use relationship_service::simulator::{FaultRule, Scenario};
use serde_json::{Value, json};

use super::bench::Bench;

async fn bench(rules: Value) -> Bench {
    let bench = Bench::start(Scenario::seeded(1, 0, 1)).await;
    let rules: Vec<FaultRule> = serde_json::from_value(rules).unwrap();
    bench.control().add_faults(rules);
    bench
}

fn removal(bench: &Bench) -> reqwest::RequestBuilder {
    bench.request(reqwest::Method::PATCH, &bench.path()).json(
        &json!({ "relationshipToPartner": "none", "attributes": { "objectType": "Customer" } }),
    )
}

fn related(bench: &Bench) -> bool {
    bench.control().state()["partners"][0]["customers"][0]["relationship"] == "reseller"
}

#[tokio::test]
async fn a_reset_before_processing_leaves_everything_as_it_was() {
    let bench =
        bench(json!([{ "match": { "method": "PATCH" }, "fault": { "kind": "reset_before" } }]))
            .await;
    assert!(removal(&bench).send().await.is_err());
    assert!(related(&bench));
    let entry = bench.control().journal(0).pop().unwrap();
    assert_eq!(
        (entry.status, entry.applied, entry.fault),
        (None, false, Some("reset_before"))
    );
}

#[tokio::test]
async fn an_answer_can_be_lost_though_the_effect_is_there() {
    let bench = bench(
        json!([{ "match": { "endpoint": "update_customer" }, "count": 1,
        "fault": { "kind": "answer_lost" } }]),
    )
    .await;
    assert!(removal(&bench).send().await.is_err());
    assert!(!related(&bench));
    let entry = bench.control().journal(0).pop().unwrap();
    assert_eq!((entry.status, entry.applied), (None, true));
    assert_eq!(bench.remove().await.refusal(), (400, "3000".to_owned()));
}

#[tokio::test]
async fn throttling_has_a_body_of_its_own_and_says_when_to_come_back() {
    let bench =
        bench(json!([{ "fault": { "kind": "throttle", "retry_after_seconds": 57 } }])).await;
    let answer = bench.get("v1/customers").await;
    assert_eq!(answer.status, 429);
    assert_eq!(answer.headers["retry-after"], "57");
    assert_eq!(answer.body["statusCode"], 429);
    assert!(answer.body.get("code").is_none());
}

#[tokio::test]
async fn a_hidden_quota_closes_after_so_many_requests() {
    let bench = bench(json!([{ "fault": { "kind": "quota", "per_minute": 2 } }])).await;
    let mut statuses = Vec::new();
    for _ in 0..3 {
        statuses.push(bench.get("v1/customers").await.status);
    }
    assert_eq!(statuses, [200, 200, 429]);
}

#[tokio::test]
async fn bodies_can_be_cut_or_announced_too_long() {
    for kind in ["cut_body", "wrong_content_length"] {
        let bench = bench(json!([{ "fault": { "kind": kind } }])).await;
        let response = bench
            .request(reqwest::Method::GET, "v1/customers")
            .send()
            .await
            .unwrap();
        assert_eq!(response.status(), 200);
        assert!(response.bytes().await.is_err(), "{kind}");
    }
}

#[tokio::test]
async fn html_and_redirects_come_instead_of_json() {
    let bench = bench(json!([
        { "count": 1, "fault": { "kind": "html" } },
        { "fault": { "kind": "redirect", "location": "https://elsewhere.example/" } },
    ]))
    .await;
    let html = bench.get("v1/customers").await;
    assert_eq!(
        (html.status, html.headers["content-type"].to_str().unwrap()),
        (200, "text/html; charset=utf-8")
    );
    let moved = bench.get("v1/customers").await;
    assert_eq!(
        (moved.status, moved.headers["location"].to_str().unwrap()),
        (302, "https://elsewhere.example/")
    );
}

#[tokio::test]
async fn tokens_can_be_refused_or_dropped() {
    let bench = bench(json!([
        { "count": 1, "fault": { "kind": "mfa_refused" } },
        { "count": 1, "fault": { "kind": "expire_tokens" } },
    ]))
    .await;
    assert_eq!(
        bench.get("v1/customers").await.refusal(),
        (401, "900421".to_owned())
    );
    assert_eq!(bench.get("v1/customers").await.status, 401);
    // The rules are used up, but the token is gone for good.
    assert_eq!(
        bench.get("v1/customers").await.refusal(),
        (401, "800001".to_owned())
    );
    let fresh = bench.token_for(&[("grant_type", "refresh_token")]).await;
    assert_eq!(fresh.status, 200);
}

#[tokio::test]
async fn an_effect_can_come_later_than_its_answer() {
    let bench = bench(json!([{ "match": { "endpoint": "update_customer" },
        "fault": { "kind": "delayed_effect", "seconds": 300 } }]))
    .await;
    assert_eq!(removal(&bench).send().await.unwrap().status(), 202);
    assert!(related(&bench));
    bench.control().advance(std::time::Duration::from_secs(301));
    assert!(!related(&bench));
}

#[tokio::test]
async fn any_status_and_code_can_be_injected_and_taken_back() {
    let bench = bench(json!([{ "match": { "path": "/v1/customers/*" },
        "fault": { "kind": "status", "status": 500, "code": 900192 } }]))
    .await;
    assert_eq!(
        bench.get(&bench.path()).await.refusal(),
        (500, "900192".to_owned())
    );
    assert_eq!(bench.get("v1/customers").await.status, 200);
    bench.control().clear_faults();
    assert_eq!(bench.get(&bench.path()).await.status, 200);
}
