//! Subscriptions: what can be changed, what is lost on the way, what is refused.

use relationship_service::simulator::{
    AzureSubscriptionSpec, Scenario, SubscriptionKind as Kind, SubscriptionSpec, SubscriptionStatus,
};
use reqwest::Method;
use serde_json::{Value, json};

use super::bench::Bench;

/// A customer with exactly these subscriptions; ids `S0`, `S1`, … where none is given.
pub(super) fn scenario(subscriptions: Vec<SubscriptionSpec>) -> Scenario {
    let mut scenario = Scenario::seeded(1, 0, 1);
    scenario.partners[0].customers[0].subscriptions = subscriptions
        .into_iter()
        .enumerate()
        .map(|(i, spec)| SubscriptionSpec {
            id: spec.id.clone().or(Some(format!("S{i}"))),
            ..spec
        })
        .collect();
    scenario
}

fn kind(kind: Kind) -> SubscriptionSpec {
    SubscriptionSpec::new(kind)
}

/// A new-commerce licence inside its cancellation window.
fn fresh_licence() -> SubscriptionSpec {
    SubscriptionSpec {
        start: Some("-P3D".into()),
        cancel_until: Some("+P4D".into()),
        ..kind(Kind::NewCommerce)
    }
}

async fn read(bench: &Bench, id: &str) -> Value {
    bench
        .get(&format!("{}/subscriptions/{id}", bench.path()))
        .await
        .body
}

#[tokio::test]
async fn legacy_etags_change_with_every_change_and_stale_ones_are_refused() {
    let bench = Bench::start(scenario(vec![kind(Kind::LegacyLicense)])).await;
    let mut old = read(&bench, "S0").await;
    assert_eq!(bench.set_status("S0", "suspended").await.status, 200);
    let path = format!("{}/subscriptions/S0", bench.path());
    old["status"] = json!("active");
    assert_eq!(
        bench.patch(&path, &old).await.refusal(),
        (400, "2055".to_owned())
    );

    let etag = old["attributes"]["etag"].as_str().unwrap().to_owned();
    old.as_object_mut().unwrap().remove("attributes");
    let request = bench
        .request(Method::PATCH, &path)
        .header("If-Match", format!("\"{etag}\""))
        .json(&old);
    assert_eq!(
        bench.send(request).await.refusal(),
        (400, "2055".to_owned())
    );
}

#[tokio::test]
async fn new_commerce_etags_are_empty() {
    let bench = Bench::start(scenario(vec![kind(Kind::NewCommerce)])).await;
    assert_eq!(read(&bench, "S0").await["attributes"]["etag"], "");
}

#[tokio::test]
async fn a_minimal_body_loses_renewal_and_what_was_scheduled() {
    let spec = SubscriptionSpec {
        auto_renew: Some(true),
        next_term_instructions: Some(json!({ "quantity": 3 })),
        scheduled_actions: vec![json!({ "scheduleType": "TermEnd", "actionType": "Cancel" })],
        ..kind(Kind::NewCommerce)
    };
    let bench = Bench::start(scenario(vec![spec])).await;
    let path = format!("{}/subscriptions/S0", bench.path());
    assert_eq!(
        bench
            .patch(&path, &json!({ "friendlyName": "x" }))
            .await
            .status,
        200
    );
    let after = read(&bench, "S0").await;
    assert_eq!(after["autoRenewEnabled"], false);
    assert!(after.get("scheduledNextTermInstructions").is_none());
    assert!(after.get("scheduledActions").is_none());
}

#[tokio::test]
async fn a_full_body_keeps_renewal_and_what_was_scheduled() {
    let spec = SubscriptionSpec {
        auto_renew: Some(true),
        next_term_instructions: Some(json!({ "quantity": 3 })),
        ..kind(Kind::NewCommerce)
    };
    let bench = Bench::start(scenario(vec![spec])).await;
    let before = read(&bench, "S0").await;
    let path = format!("{}/subscriptions/S0", bench.path());
    assert_eq!(bench.patch(&path, &before).await.status, 200);
    let after = read(&bench, "S0").await;
    assert_eq!(after["autoRenewEnabled"], true);
    assert_eq!(
        after["scheduledNextTermInstructions"],
        json!({ "quantity": 3 })
    );
}

#[tokio::test]
async fn suspending_new_commerce_switches_its_renewal_off() {
    let spec = SubscriptionSpec {
        scheduled_actions: vec![json!({ "scheduleType": "TermEnd", "actionType": "Cancel" })],
        ..kind(Kind::NewCommerce)
    };
    let bench = Bench::start(scenario(vec![spec])).await;
    assert_eq!(bench.set_status("S0", "suspended").await.status, 200);
    let after = read(&bench, "S0").await;
    assert_eq!(
        (&after["status"], &after["autoRenewEnabled"]),
        (&json!("suspended"), &json!(false))
    );
    assert!(after.get("scheduledActions").is_none());
}

#[tokio::test]
async fn new_commerce_is_cancelled_inside_its_window_only() {
    let bench = Bench::start(scenario(vec![fresh_licence(), kind(Kind::NewCommerce)])).await;
    assert_eq!(bench.set_status("S0", "deleted").await.status, 200);
    assert_eq!(read(&bench, "S0").await["status"], "deleted");
    assert_eq!(
        bench.set_status("S1", "deleted").await.refusal(),
        (400, "900117".to_owned())
    );
    assert_eq!(read(&bench, "S1").await["status"], "active");
}

#[tokio::test]
async fn a_window_of_hours_has_a_code_of_its_own() {
    let spec = SubscriptionSpec {
        start: Some("-PT30H".into()),
        cancel_until: Some("-PT6H".into()),
        ..kind(Kind::NewCommerce)
    };
    let bench = Bench::start(scenario(vec![spec])).await;
    assert_eq!(
        bench.set_status("S0", "deleted").await.refusal(),
        (400, "900213".to_owned())
    );
}

#[tokio::test]
async fn a_late_cancellation_in_the_marketplace_is_only_scheduled() {
    let spec = SubscriptionSpec {
        term_end: Some("+P10D".into()),
        cancel_until: Some("-PT1H".into()),
        ..kind(Kind::Marketplace)
    };
    let bench = Bench::start(scenario(vec![spec])).await;
    assert_eq!(bench.set_status("S0", "deleted").await.status, 200);
    assert_eq!(read(&bench, "S0").await["status"], "active");
    assert_eq!(bench.remove().await.status, 400);
    bench
        .control()
        .advance(std::time::Duration::from_secs(11 * 86_400));
    assert_eq!(read(&bench, "S0").await["status"], "expired");
    assert_eq!(bench.remove().await.status, 200);
}

#[tokio::test]
async fn a_deleted_subscription_cannot_be_updated() {
    let spec = SubscriptionSpec {
        status: SubscriptionStatus::Deleted,
        ..kind(Kind::LegacyLicense)
    };
    let bench = Bench::start(scenario(vec![spec])).await;
    assert_eq!(
        bench.set_status("S0", "active").await.refusal(),
        (400, "2011".to_owned())
    );
}

#[tokio::test]
async fn a_new_commerce_trial_can_be_neither_suspended_nor_cancelled() {
    let bench = Bench::start(scenario(vec![kind(Kind::NewCommerceTrial)])).await;
    assert_eq!(bench.set_status("S0", "suspended").await.status, 400);
    assert_eq!(bench.set_status("S0", "deleted").await.status, 400);
    assert_eq!(read(&bench, "S0").await["status"], "active");
}

#[tokio::test]
async fn a_savings_plan_is_not_manageable_here() {
    let bench = Bench::start(scenario(vec![kind(Kind::SavingsPlan)])).await;
    assert_eq!(
        bench.set_status("S0", "suspended").await.refusal(),
        (403, "900321".to_owned())
    );
    assert_eq!(read(&bench, "S0").await["billingType"], "benefit");
}

#[tokio::test]
async fn an_azure_plan_goes_after_the_subscriptions_below_it() {
    let spec = SubscriptionSpec {
        azure_subscriptions: vec![AzureSubscriptionSpec {
            id: None,
            name: "Production".to_owned(),
            active: true,
        }],
        ..kind(Kind::AzurePlan)
    };
    let bench = Bench::start(scenario(vec![spec])).await;
    assert_eq!(
        bench.set_status("S0", "suspended").await.refusal(),
        (403, "900115".to_owned())
    );
    let refused = bench.remove().await;
    assert!(
        refused.body["description"]
            .as_str()
            .unwrap()
            .contains("reserved instances"),
        "{refused:?}"
    );

    let list = format!("{}/subscriptions/S0/azureEntitlements", bench.path());
    let azure = bench.get(&list).await.body["items"][0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let cancel = bench
        .request(Method::POST, &format!("{list}/{azure}/cancel"))
        .json(&json!({ "cancellationReason": "leaving" }));
    assert_eq!(
        bench.send(cancel).await.refusal(),
        (400, "900307".to_owned())
    );
    let cancel = bench
        .request(Method::POST, &format!("{list}/{azure}/cancel"))
        .json(&json!({ "cancellationReason": "compromise" }));
    assert_eq!(bench.send(cancel).await.body["status"], "active");
    bench.control().advance(std::time::Duration::from_secs(601));
    assert_eq!(
        bench.get(&list).await.body["items"][0]["status"],
        "inactive"
    );
    assert_eq!(bench.set_status("S0", "suspended").await.status, 200);
    assert_eq!(bench.remove().await.status, 200);
}

#[tokio::test]
async fn add_ons_are_suspended_with_their_parent_and_stay_so() {
    let addon = SubscriptionSpec {
        parent: Some("S0".to_owned()),
        ..kind(Kind::LegacyAddon)
    };
    let bench = Bench::start(scenario(vec![kind(Kind::LegacyLicense), addon])).await;
    assert_eq!(bench.set_status("S0", "suspended").await.status, 200);
    assert_eq!(read(&bench, "S1").await["status"], "suspended");
    assert_eq!(
        bench.set_status("S1", "active").await.refusal(),
        (409, "27009".to_owned())
    );
    assert_eq!(bench.set_status("S0", "active").await.status, 200);
    assert_eq!(read(&bench, "S1").await["status"], "suspended");
    let addons = bench
        .get(&format!("{}/subscriptions/S0/addons", bench.path()))
        .await;
    assert_eq!(addons.body["items"][0]["id"], "S1");
}

#[tokio::test]
async fn a_slow_change_is_answered_202_with_a_relative_place_and_takes_effect_later() {
    let mut scenario = scenario(vec![kind(Kind::LegacyLicense)]);
    scenario.behaviour.accepted_share = 1.0;
    scenario.behaviour.accepted_delay_seconds = 3600;
    let bench = Bench::start(scenario).await;
    let answer = bench.set_status("S0", "suspended").await;
    assert_eq!(answer.status, 202);
    assert_eq!(
        answer.headers["location"].to_str().unwrap(),
        format!("/customers/{}/subscriptions/S0", bench.customer().id)
    );
    assert_eq!(read(&bench, "S0").await["status"], "active");
    assert_eq!(
        bench.set_status("S0", "suspended").await.refusal(),
        (409, "900278".to_owned())
    );
    bench
        .control()
        .advance(std::time::Duration::from_secs(3601));
    assert_eq!(read(&bench, "S0").await["status"], "suspended");
}

#[tokio::test]
async fn a_suspended_licence_of_new_commerce_still_blocks_the_removal() {
    let bench = Bench::start(scenario(vec![fresh_licence()])).await;
    assert_eq!(bench.set_status("S0", "suspended").await.status, 200);
    assert_eq!(bench.remove().await.status, 400);
    assert_eq!(bench.set_status("S0", "deleted").await.status, 200);
    assert_eq!(bench.remove().await.status, 200);
}

#[tokio::test]
async fn the_same_request_id_gets_the_first_answer_again_and_changes_nothing_twice() {
    let bench = Bench::start(scenario(vec![kind(Kind::LegacyLicense)])).await;
    let path = format!("{}/subscriptions/S0", bench.path());
    let body = json!({ "status": "suspended" });
    let send = || {
        let request = bench
            .request(Method::PATCH, &path)
            .header("MS-RequestId", "7f1b7a06-1c5e-4b7c-9b2e-6f0f5b6f0c01")
            .json(&body);
        bench.send(request)
    };
    let (first, second) = (send().await, send().await);
    assert_eq!((first.status, &first.body), (second.status, &second.body));
    let applied = bench
        .control()
        .journal(0)
        .iter()
        .filter(|e| e.applied)
        .count();
    assert_eq!(applied, 1);
}
