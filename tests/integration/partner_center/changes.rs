//! Changing a subscription: the full body, once, and what the answers mean.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use relationship_service::application::upstream::{
    NotChanged, PartnerCenter, SubscriptionChange, SubscriptionReading,
};
use relationship_service::domain::failure::FailureClass;
use relationship_service::domain::subscription::{ChangeableFields, SubscriptionStatus};
use serde_json::{Value, json};

use super::kit::*;

fn suspend() -> SubscriptionChange {
    SubscriptionChange {
        status: Some(SubscriptionStatus::Suspended),
        ..SubscriptionChange::default()
    }
}

async fn read(upstream: &Upstream) -> SubscriptionReading {
    let client = upstream.client();
    client
        .subscription(customer(), &"S1".into(), &call())
        .await
        .unwrap()
}

async fn change(upstream: &Upstream, gate: Arc<Gate>) -> Result<ChangeableFields, NotChanged> {
    let reading = read(upstream).await;
    upstream
        .client()
        .change_subscription(customer(), &reading, &suspend(), &call(), gate)
        .await
}

fn patches(upstream: &Upstream) -> Vec<Seen> {
    let mut all = upstream.seen();
    all.retain(|seen| seen.method == "PATCH");
    all
}

/// An upstream that reads as active and answers PATCH with `reply`.
async fn answering(reply: Reply) -> Upstream {
    Upstream::serve(move |seen| {
        if seen.method == "PATCH" {
            reply.clone()
        } else {
            Reply::bom(&subscription_body("s1"))
        }
    })
    .await
}

#[tokio::test]
async fn the_whole_body_goes_back_with_its_etag_and_only_the_change_made() {
    let pascal = json!({"Id": "s1", "Status": "suspended", "AutoRenewEnabled": false, "OfferId": null,
        "Attributes": {"Etag": "abd", "ObjectType": "Subscription"}});
    let upstream = answering(Reply::json(200, &pascal)).await;
    let gate = Gate::open();
    let fields = change(&upstream, Arc::clone(&gate)).await.unwrap();
    assert_eq!(fields.status, SubscriptionStatus::Suspended);
    assert_eq!(fields.auto_renew, Some(false));
    assert_eq!(gate.asked.load(Ordering::SeqCst), 1);

    let sent = &patches(&upstream)[0];
    let mut wanted = subscription_body("s1");
    wanted["status"] = json!("suspended");
    assert_eq!(serde_json::from_slice::<Value>(&sent.body).unwrap(), wanted);
    assert_eq!(sent.header("if-match"), "\"abc\"");
    assert_eq!(
        sent.header("ms-correlationid"),
        "dec58181-67b5-4831-82c9-2fa099122f5d"
    );
    assert_eq!(sent.header("ms-contract-version"), "v1");
    assert_eq!(sent.header("x-locale"), "en-US");
    assert_eq!(sent.header("accept"), "application/json");
    assert_eq!(
        sent.header("ms-partnercenter-application"),
        "relationship-service"
    );
    assert_eq!(sent.header("ms-requestid").len(), 36);
    assert_eq!(
        sent.path,
        format!("/v1/customers/{CUSTOMER}/subscriptions/s1")
    );
}

#[tokio::test]
async fn an_empty_etag_is_not_sent() {
    let upstream = Upstream::serve(|seen| {
        let mut body = subscription_body("s1");
        body["attributes"]["etag"] = json!("");
        if seen.method == "PATCH" {
            body["status"] = json!("suspended");
        }
        Reply::bom(&body)
    })
    .await;
    change(&upstream, Gate::open()).await.unwrap();
    assert!(patches(&upstream)[0].headers.get("if-match").is_none());
}

#[tokio::test]
async fn a_closed_gate_sends_nothing() {
    let upstream = answering(Reply::bom(&subscription_body("s1"))).await;
    let outcome = change(&upstream, Gate::closed("the claim has run out")).await;
    let Err(NotChanged::NotSent(why)) = outcome else {
        panic!("{outcome:?}");
    };
    assert!(why.contains("the claim has run out"), "{why}");
    assert!(patches(&upstream).is_empty());
}

#[tokio::test]
async fn a_changing_call_is_never_repeated() {
    for (reply, class) in [
        (Reply::new(500, ""), FailureClass::Unavailable),
        (
            Reply::new(503, "").with("retry-after", "0"),
            FailureClass::Unavailable,
        ),
        (
            Reply::json(
                429,
                &json!({"statusCode": 429, "message": "Try again in 0 seconds."}),
            )
            .with("retry-after", "0"),
            FailureClass::Throttled,
        ),
        (
            Reply::json(401, &json!({"code": 900420})),
            FailureClass::Credentials,
        ),
        (
            Reply::json(400, &json!({"code": "2055"})),
            FailureClass::StaleEtag,
        ),
        (Reply::html(200), FailureClass::Nonsense),
        (
            Reply::new(307, "").with("location", "/v1/elsewhere"),
            FailureClass::Nonsense,
        ),
        (
            Reply::json(409, &json!({"code": 900278})),
            FailureClass::Pending,
        ),
    ] {
        let upstream = answering(reply.clone()).await;
        let outcome = change(&upstream, Gate::open()).await;
        let Err(NotChanged::Failed(failure)) = outcome else {
            panic!("{reply:?}: {outcome:?}");
        };
        assert_eq!(failure.class, class, "{failure}");
        assert_eq!(patches(&upstream).len(), 1, "{reply:?}");
        assert!(failure.request_id.is_some() && failure.correlation_id.is_some());
    }
}

#[tokio::test]
async fn after_202_the_relative_location_is_read_until_the_change_shows() {
    let location = format!("/customers/{CUSTOMER}/subscriptions/s1");
    let reads = AtomicUsize::new(0);
    let upstream = Upstream::serve(move |seen| {
        if seen.method == "PATCH" {
            return Reply::new(202, "").with("location", &location);
        }
        let mut body = subscription_body("s1");
        // Read before the change, then twice still as it was.
        if reads.fetch_add(1, Ordering::SeqCst) >= 3 {
            body["status"] = json!("suspended");
        }
        Reply::bom(&body)
    })
    .await;
    let fields = change(&upstream, Gate::open()).await.unwrap();
    assert_eq!(fields.status, SubscriptionStatus::Suspended);
    let seen = upstream.seen();
    assert_eq!(seen.iter().filter(|seen| seen.method == "GET").count(), 4);
    assert!(
        !seen
            .iter()
            .any(|seen| seen.path.contains("provisioningstatus"))
    );
    assert_eq!(patches(&upstream).len(), 1);
}

#[tokio::test]
async fn a_change_that_never_shows_has_an_unknown_outcome() {
    let upstream = answering(Reply::new(202, "")).await;
    let outcome = change(&upstream, Gate::open()).await;
    let Err(NotChanged::Failed(failure)) = outcome else {
        panic!("{outcome:?}");
    };
    assert!(failure.class.leaves_outcome_unknown(), "{failure}");
}

#[tokio::test]
async fn a_202_that_leads_to_another_host_is_not_followed() {
    let other = Upstream::serve(|_| Reply::bom(&subscription_body("s1"))).await;
    let upstream =
        answering(Reply::new(202, "").with("location", &format!("{}/v1/customers/x", other.url)))
            .await;
    let outcome = change(&upstream, Gate::open()).await;
    assert!(
        matches!(&outcome, Err(NotChanged::Failed(f)) if f.class == FailureClass::Nonsense),
        "{outcome:?}"
    );
    assert!(other.seen().is_empty());
}

#[tokio::test]
async fn a_body_of_another_subscription_is_nonsense() {
    let upstream = Upstream::serve(|_| Reply::bom(&subscription_body("s2"))).await;
    let outcome = upstream
        .client()
        .subscription(customer(), &"s1".into(), &call())
        .await;
    assert_eq!(outcome.unwrap_err().class, FailureClass::Nonsense);
}
