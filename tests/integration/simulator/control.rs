//! The control API over HTTP: clock, journal, state, actors, scenario.

use relationship_service::simulator::Scenario;
use reqwest::Method;
use serde_json::{Value, json};

use super::bench::{Bench, Seen};

async fn post(bench: &Bench, path: &str, body: &Value) -> Seen {
    bench
        .send(bench.request(Method::POST, path).json(body))
        .await
}

#[tokio::test]
async fn the_clock_moves_forward_and_never_back() {
    let bench = Bench::start(Scenario::seeded(1, 0, 1)).await;
    let moved = post(&bench, "control/clock", &json!({ "advance_seconds": 60 }))
        .await
        .body;
    assert_eq!(moved["offset_micros"], 60_000_000);
    let back = post(
        &bench,
        "control/clock",
        &json!({ "set": "2001-01-01T00:00:00Z" }),
    )
    .await;
    assert_eq!(back.status, 400);
    let clock = bench.get("control/clock").await.body;
    assert_eq!(clock["offset_micros"], 60_000_000);
    assert!(
        clock["now"]
            .as_str()
            .unwrap()
            .parse::<jiff::Timestamp>()
            .is_ok()
    );
}

#[tokio::test]
async fn a_body_counts_whatever_curl_calls_it() {
    let bench = Bench::start(Scenario::seeded(1, 0, 1)).await;
    let form = "application/x-www-form-urlencoded";
    let send = |path: &str, body: &'static str| {
        let request = bench.request(Method::POST, path).body(body);
        bench.send(request.header("content-type", form))
    };
    let moved = send("control/clock", r#"{"advance_seconds": 60}"#).await;
    assert_eq!(moved.status, 200, "{}", moved.body);
    let fault = r#"[{"match": {}, "fault": {"kind": "html"}}]"#;
    assert_eq!(send("control/faults", fault).await.status, 204);
    let wrong = send("control/clock", "advance").await;
    assert_eq!(wrong.status, 400);
    assert!(wrong.body["error"].is_string(), "{}", wrong.body);
}

#[tokio::test]
async fn a_follower_hears_of_a_moved_clock_while_it_waits() {
    let bench = Bench::start(Scenario::seeded(1, 0, 1)).await;
    let follow = bench.get("control/clock?changed_from=0&wait_seconds=60");
    let advance = async {
        tokio::task::yield_now().await;
        bench.control().advance(std::time::Duration::from_secs(5));
    };
    let (seen, ()) = tokio::join!(follow, advance);
    assert_eq!(seen.body["offset_micros"], 5_000_000);
    // Already different: answered at once.
    let seen = bench
        .get("control/clock?changed_from=0&wait_seconds=60")
        .await;
    assert_eq!(seen.body["offset_micros"], 5_000_000);
}

#[tokio::test]
async fn the_journal_shows_the_order_of_requests_and_no_token() {
    let bench = Bench::start(Scenario::seeded(1, 1, 1)).await;
    let id = bench.customer().subscriptions[0].id.clone().unwrap();
    bench.set_status(&id, "suspended").await;
    let journal = bench.get("control/journal?after=1").await;
    let text = String::from_utf8(journal.bytes.clone()).unwrap();
    assert!(!text.contains(&bench.token));
    let entries = journal.body["entries"].as_array().unwrap();
    let endpoints: Vec<&str> = entries
        .iter()
        .map(|e| e["endpoint"].as_str().unwrap())
        .collect();
    assert_eq!(endpoints, ["get_subscription", "update_subscription"]);
    assert!(entries[0]["finished"].as_u64() < entries[1]["started"].as_u64());
    assert_eq!(entries[1]["authorization"], "app_user");
    assert_eq!(entries[1]["body"]["status"], "suspended");
    assert_eq!(entries[1]["applied"], true);

    assert_eq!(
        bench
            .send(bench.request(Method::DELETE, "control/journal"))
            .await
            .status,
        204
    );
    assert_eq!(
        bench.get("control/journal").await.body["entries"],
        json!([])
    );
}

#[tokio::test]
async fn a_customer_can_come_back() {
    let bench = Bench::start(Scenario::seeded(1, 0, 1)).await;
    assert_eq!(bench.remove().await.status, 200);
    bench.control().advance(std::time::Duration::from_secs(91));
    assert_eq!(bench.get(&bench.path()).await.status, 403);
    let act = json!({ "actor": "customer", "customer": bench.customer().id,
        "action": "accept_relationship" });
    assert_eq!(post(&bench, "control/act", &act).await.status, 200);
    assert_eq!(bench.get(&bench.path()).await.status, 200);
}

#[tokio::test]
async fn what_an_actor_cannot_do_is_said() {
    let bench = Bench::start(Scenario::seeded(1, 0, 1)).await;
    let act = json!({ "actor": "colleague", "customer": bench.customer().id,
        "action": "cancel_subscription", "subscription": "unknown" });
    let refused = post(&bench, "control/act", &act).await;
    assert_eq!(refused.status, 409);
    assert!(refused.body["error"].as_str().unwrap().contains("unknown"));
}

#[tokio::test]
async fn a_scenario_replaces_everything_and_a_wrong_one_nothing() {
    let bench = Bench::start(Scenario::seeded(1, 0, 1)).await;
    let mut wrong = serde_json::to_value(Scenario::seeded(1, 1, 1)).unwrap();
    wrong["partners"][0]["customers"][0]["subscriptions"][0]["start"] = json!("whenever");
    assert_eq!(post(&bench, "control/scenario", &wrong).await.status, 400);
    let count = async || {
        bench.get("v1/customers").await.body["items"]
            .as_array()
            .unwrap()
            .len()
    };
    assert_eq!(count().await, 1);
    let more = serde_json::to_value(Scenario::seeded(4, 0, 1)).unwrap();
    assert_eq!(post(&bench, "control/scenario", &more).await.status, 204);
    assert_eq!(count().await, 4);
}

#[tokio::test]
async fn routes_that_do_not_exist_answer_404() {
    let bench = Bench::start(Scenario::seeded(1, 0, 1)).await;
    assert_eq!(bench.get("v1/invoices").await.status, 404);
    assert_eq!(bench.get("customers").await.status, 404);
}

#[tokio::test]
async fn the_documented_scenario_starts_as_it_stands() {
    let text = include_str!("../../../docs/simulator.md");
    let json = text
        .split("```json\n")
        .map(|block| block.split("```").next().unwrap())
        .find(|block| block.contains("\"partners\""))
        .unwrap();
    let scenario: Scenario = serde_json::from_str(json).unwrap();
    let bench = Bench::start(scenario).await;
    let list = bench
        .get(&format!("{}/subscriptions", bench.path()))
        .await
        .body;
    assert_eq!(list["totalCount"], 3);
}
