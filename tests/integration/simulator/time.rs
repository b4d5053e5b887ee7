//! Time: terms that end or renew while the clock is moved.

use std::time::Duration;

use relationship_service::simulator::{Scenario, SubscriptionKind as Kind, SubscriptionSpec};
use serde_json::json;

use super::bench::Bench;
use super::subscriptions::scenario;

const DAY: u64 = 86_400;

async fn after(bench: &Bench, days: u64) -> serde_json::Value {
    bench.control().advance(Duration::from_secs(days * DAY));
    bench
        .get(&format!("{}/subscriptions/S0", bench.path()))
        .await
        .body
}

fn licence() -> SubscriptionSpec {
    SubscriptionSpec {
        term_end: Some("+P10D".into()),
        ..SubscriptionSpec::new(Kind::NewCommerce)
    }
}

#[tokio::test]
async fn a_term_with_renewal_begins_again_with_a_new_window() {
    let bench = Bench::start(scenario(vec![licence()])).await;
    let renewed = after(&bench, 12).await;
    assert_eq!(renewed["status"], "active");
    assert!(renewed["cancellationAllowedUntilDate"].is_string());
}

#[tokio::test]
async fn an_explicit_cancellation_at_term_end_is_honoured() {
    let spec = SubscriptionSpec {
        scheduled_actions: vec![json!({ "scheduleType": "TermEnd", "actionType": "Cancel" })],
        auto_renew: Some(false),
        ..licence()
    };
    let bench = Bench::start(scenario(vec![spec])).await;
    assert_eq!(after(&bench, 12).await["status"], "expired");
    assert_eq!(after(&bench, 31).await["status"], "disabled");
    assert_eq!(bench.remove().await.status, 200);
}

#[tokio::test]
async fn without_renewal_and_without_cancellation_a_licence_goes_into_its_extended_term() {
    let spec = SubscriptionSpec {
        auto_renew: Some(false),
        ..licence()
    };
    let bench = Bench::start(scenario(vec![spec])).await;
    let extended = after(&bench, 12).await;
    assert_eq!(
        (&extended["status"], &extended["termDuration"]),
        (&json!("active"), &json!("P1M"))
    );
    assert_eq!(
        extended["cancellationAllowedUntilDate"],
        extended["commitmentEndDateTime"]
    );
    assert_eq!(bench.set_status("S0", "deleted").await.status, 200);
}

#[tokio::test]
async fn a_trial_turns_into_a_paid_year() {
    let spec = SubscriptionSpec {
        kind: Kind::NewCommerceTrial,
        ..licence()
    };
    let bench = Bench::start(scenario(vec![spec])).await;
    let paid = after(&bench, 12).await;
    assert_eq!(
        (&paid["isTrial"], &paid["termDuration"]),
        (&json!(false), &json!("P1Y"))
    );
}

#[tokio::test]
async fn a_legacy_subscription_is_deleted_after_ninety_days_of_suspension() {
    let bench = Bench::start(scenario(vec![SubscriptionSpec::new(Kind::LegacyLicense)])).await;
    assert_eq!(bench.set_status("S0", "suspended").await.status, 200);
    assert_eq!(after(&bench, 89).await["status"], "suspended");
    assert_eq!(after(&bench, 2).await["status"], "deleted");
}

#[tokio::test]
async fn on_the_day_of_renewal_suspending_is_refused() {
    let spec = SubscriptionSpec {
        term_end: Some(jiff::Timestamp::now().to_string().as_str().into()),
        ..licence()
    };
    let bench = Bench::start(scenario(vec![spec])).await;
    assert_eq!(
        bench.set_status("S0", "suspended").await.refusal(),
        (409, "800082".to_owned())
    );
}

#[tokio::test]
async fn the_provisioning_status_is_refreshed_every_quarter_of_an_hour_only() {
    let mut scenario = Scenario::seeded(1, 0, 1);
    scenario.partners[0].customers[0].subscriptions = vec![SubscriptionSpec {
        id: Some("S0".to_owned()),
        quantity: 5,
        ..SubscriptionSpec::new(Kind::LegacyLicense)
    }];
    let bench = Bench::start(scenario).await;
    let path = format!("{}/subscriptions/S0", bench.path());
    let mut body = bench.get(&path).await.body;
    body["quantity"] = json!(9);
    assert_eq!(bench.patch(&path, &body).await.status, 200);
    let status = format!("{path}/provisioningstatus");
    assert_eq!(bench.get(&status).await.body["quantity"], 5);
    bench.control().advance(Duration::from_secs(901));
    assert_eq!(bench.get(&status).await.body["quantity"], 9);
}
