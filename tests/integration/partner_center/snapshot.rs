//! What a snapshot reads, and that nothing unread is ever taken as empty.

use relationship_service::application::upstream::PartnerCenter;
use relationship_service::domain::failure::FailureClass;
use relationship_service::domain::snapshot::{EntitlementKind, PartnerModel, Standing};
use relationship_service::http::Grant;
use serde_json::json;

use super::kit::*;

#[tokio::test]
async fn a_snapshot_reads_every_part_and_follows_what_depends_on_it() {
    let plan = json!({
        "id": "plan", "offerId": "DZH318Z0BPS6:0001:DZH318Z0BMJX", "productType": {"id": "Azure"},
        "status": "active", "billingType": "usage", "quantity": "1",
    });
    let upstream = Upstream::serve(move |seen| {
        let path = seen.path.as_str();
        if path.ends_with("/legacy/addons") {
            Reply::bom(&json!({"items": [subscription_body("addon")]}))
        } else if path.ends_with("/plan/azureEntitlements") {
            Reply::bom(&json!({"items": [{"id": "e1", "friendlyName": "Prod", "status": "active"}]}))
        } else if path.ends_with("/entitlements") {
            assert_eq!(seen.query, "showExpiry=true");
            Reply::bom(&json!({"items": [
                {"referenceOrder": {"id": "o1", "lineItemId": "0"}, "productId": "P", "skuId": "1",
                 "quantity": 2, "entitlementType": "software"},
                {"referenceOrder": {"id": "o2", "lineItemId": "0"}, "quantity": 1,
                 "entitlementType": "virtual_machine_reserved_instance",
                 "entitledArtifacts": [{"link": {"uri": format!("/customers/{CUSTOMER}/artifacts/r1")}}]},
            ]}))
        } else if path.ends_with("/artifacts/r1") {
            assert_eq!(path, format!("/v1/customers/{CUSTOMER}/artifacts/r1"));
            Reply::bom(&json!({"reservations": [{"reservationId": "r", "quantity": 1,
                "provisioningState": "Succeeded", "expiryDateTime": "2030-01-01T00:00:00Z"}]}))
        } else {
            plain_customer(seen, &[subscription_body("legacy"), plan.clone()])
        }
    })
    .await;
    let client = upstream.client();
    let snapshot = client.snapshot(customer(), &call()).await;

    assert!(snapshot.failures().is_empty(), "{:?}", snapshot.failures());
    assert!(matches!(snapshot.standing.get(), Some(Standing::Related(c)) if c.name == "Relecloud"));
    assert_eq!(snapshot.subscriptions.get().unwrap().len(), 2);
    assert_eq!(snapshot.add_ons.len(), 1);
    assert_eq!(snapshot.azure.len(), 1);
    assert_eq!(snapshot.partner_model.get(), Some(&PartnerModel::MayRemove));
    let entitlements = snapshot.entitlements.get().unwrap();
    assert_eq!(entitlements[0].kind, EntitlementKind::Software);
    let EntitlementKind::Reservation(parts) = &entitlements[1].kind else {
        panic!("{:?}", entitlements[1]);
    };
    assert_eq!(parts[0].get().unwrap()[0].provisioning_state, "Succeeded");

    // A second one asks everything again but what the partner is.
    let before = upstream.seen().len();
    client.snapshot(customer(), &call()).await;
    let asked = upstream.seen();
    assert_eq!(asked.len() - before, before - 1);
    let models = asked.iter().filter(|seen| seen.path == "/v1/relationships");
    assert_eq!(models.count(), 1);
}

#[tokio::test]
async fn a_customer_that_is_gone_has_no_empty_parts() {
    let upstream = Upstream::serve(|_| gone()).await;
    let snapshot = upstream.client().snapshot(customer(), &call()).await;
    let failure = snapshot.not_related().unwrap();
    assert_eq!(failure.code.as_deref(), Some("20002"));
    assert_eq!(snapshot.subscriptions.value.as_ref().unwrap_err(), failure);
    assert!(snapshot.entitlements.get().is_none());
    assert!(snapshot.transfers.get().is_none());
}

#[tokio::test]
async fn each_part_fails_by_itself_and_says_how() {
    for broken in [
        "/subscriptions",
        "/entitlements",
        "/transfers",
        "/relationships",
    ] {
        for reply in [
            Reply::html(200),
            Reply::new(200, ""),
            Reply::json(200, &json!({"totalCount": 0})),
            Reply::json(200, &json!({"items": {"a": 1}})),
            Reply::json(200, &json!("items")),
            Reply::new(200, "{\"items\": [{\"id\": \"x\""),
            Reply::json(404, &json!({})),
            Reply::new(302, "").with("location", "https://elsewhere.example/"),
        ] {
            let answer = reply.clone();
            let upstream = Upstream::serve(move |seen| {
                if seen.path.ends_with(broken) {
                    answer.clone()
                } else {
                    plain_customer(seen, &[])
                }
            })
            .await;
            let snapshot = upstream.client().snapshot(customer(), &call()).await;
            let failures = snapshot.failures();
            assert_eq!(failures.len(), 1, "{broken} {reply:?}: {failures:?}");
            assert!(
                matches!(
                    failures[0].1.class,
                    FailureClass::Nonsense | FailureClass::ResourceNotFound | FailureClass::Refused
                ),
                "{broken} {reply:?}: {failures:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_date_that_cannot_be_read_is_named_and_nothing_is_dropped() {
    let upstream = Upstream::serve(|seen| {
        let mut odd = subscription_body("s");
        odd["commitmentEndDate"] = json!("next spring");
        plain_customer(seen, &[odd])
    })
    .await;
    let snapshot = upstream.client().snapshot(customer(), &call()).await;
    let failure = snapshot.subscriptions.value.unwrap_err();
    assert_eq!(failure.class, FailureClass::Nonsense);
    assert!(
        failure.text.contains("items[0].commitmentEndDate"),
        "{failure}"
    );
}

#[tokio::test]
async fn an_artifact_link_to_another_host_is_not_followed() {
    let other = Upstream::serve(|_| Reply::bom(&json!({"reservations": []}))).await;
    let link = format!("{}/v1/artifacts", other.url);
    let upstream = Upstream::serve(move |seen| {
        if seen.path.ends_with("/entitlements") {
            Reply::bom(
                &json!({"items": [{"quantity": 1, "entitlementType": "reservedinstance",
                "entitledArtifacts": [{"link": {"uri": link}}]}]}),
            )
        } else {
            plain_customer(seen, &[])
        }
    })
    .await;
    let snapshot = upstream.client().snapshot(customer(), &call()).await;
    assert_eq!(snapshot.failures().len(), 1);
    assert_eq!(snapshot.failures()[0].1.class, FailureClass::Nonsense);
    assert!(other.seen().is_empty());
}

#[tokio::test]
async fn fifty_subscriptions_cost_two_dependent_round_trips() {
    // Nobody of the first level is answered before all of it is there; then the same for the second.
    let level = std::sync::Arc::new(std::sync::Mutex::new(Vec::<String>::new()));
    let order = std::sync::Arc::clone(&level);
    let upstream = Upstream::serve(move |seen| {
        order.lock().unwrap().push(seen.path.clone());
        let all: Vec<_> = (0..50)
            .map(|n| subscription_body(&format!("s{n}")))
            .collect();
        plain_customer(seen, &all)
    })
    .await;
    let client = upstream.client();
    let snapshot = client.snapshot(customer(), &call()).await;
    assert_eq!(snapshot.add_ons.len(), 50);
    let asked = level.lock().unwrap().clone();
    assert_eq!(asked.len(), 5 + 50);
    assert!(asked[..5].iter().all(|path| !path.ends_with("/addons")));
}

#[tokio::test]
async fn parts_that_need_a_user_are_not_even_asked_for_without_one() {
    let upstream = Upstream::serve(|seen| plain_customer(seen, &[])).await;
    let mut settings = upstream.settings();
    settings.credentials.grant = Grant::AppOnly;
    let client = client(settings);
    let snapshot = client.snapshot(customer(), &call()).await;
    let failures = snapshot.failures();
    assert_eq!(failures.len(), 1);
    assert_eq!(failures[0].0, "entitlements");
    assert_eq!(failures[0].1.class, FailureClass::Forbidden);
    assert!(failures[0].1.text.contains("app+user"));
    assert!(
        !upstream
            .seen()
            .iter()
            .any(|seen| seen.path.ends_with("/entitlements"))
    );
    let link = client.relationship_request_link(&call()).await.unwrap_err();
    assert_eq!(link.class, FailureClass::Forbidden);
}
