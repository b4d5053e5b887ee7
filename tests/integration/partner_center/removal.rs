//! The removal, its observation, the audit and the link to come back.

use std::sync::atomic::{AtomicUsize, Ordering};

use relationship_service::application::upstream::{NotChanged, PartnerCenter, Sighting};
use relationship_service::domain::failure::FailureClass;
use serde_json::{Value, json};

use super::kit::*;

fn page(ids: &[&str], token: Option<&str>) -> Value {
    let items: Vec<Value> = ids.iter().map(|id| json!({"id": id})).collect();
    let mut page = json!({"totalCount": 1, "items": items});
    if let Some(token) = token {
        page["continuationToken"] = json!(token);
    }
    page
}

#[tokio::test]
async fn the_removal_sends_these_two_members_and_nothing_else() {
    let upstream = Upstream::serve(|_| {
        Reply::json(200, &json!({"Id": null, "RelationshipToPartner": "none"}))
    })
    .await;
    let outcome = upstream
        .client()
        .remove_relationship(customer(), &call(), Gate::open())
        .await;
    assert_eq!(outcome, Ok(()));
    let seen = upstream.seen();
    assert_eq!(seen.len(), 1);
    assert!(seen[0].is("PATCH", &format!("/v1/customers/{CUSTOMER}")));
    assert!(seen[0].headers.get("if-match").is_none());
    assert_eq!(
        String::from_utf8(seen[0].body.clone()).unwrap(),
        r#"{"relationshipToPartner":"none","attributes":{"objectType":"Customer"}}"#
    );
}

#[tokio::test]
async fn refusals_of_the_removal_keep_microsofts_words() {
    let text = "Customer relationship cannot be removed due to active Azure reserved instances.";
    for (reply, class, code) in [
        (
            Reply::json(
                400,
                &json!({"code": 3000, "description": "The relationship between the partner and customer does not exist"}),
            ),
            FailureClass::NotRelated,
            Some("3000"),
        ),
        (
            Reply::json(400, &json!({"code": "700", "description": text})),
            FailureClass::Refused,
            Some("700"),
        ),
        (
            Reply::json(200, &json!({"relationshipToPartner": "reseller"})),
            FailureClass::Nonsense,
            None,
        ),
    ] {
        let upstream = Upstream::serve(move |_| reply.clone().with("ms-cv", "abc.0")).await;
        let outcome = upstream
            .client()
            .remove_relationship(customer(), &call(), Gate::open())
            .await;
        let Err(NotChanged::Failed(failure)) = outcome else {
            panic!("{outcome:?}");
        };
        assert_eq!((failure.class, failure.code.as_deref()), (class, code));
        assert_eq!(failure.ms_cv.as_deref(), Some("abc.0"));
        if class == FailureClass::Refused {
            assert_eq!(failure.text, text);
        }
    }
}

#[tokio::test]
async fn gone_is_only_seen_with_the_whole_list_walked_by_the_same_token() {
    let upstream = Upstream::serve(|seen| {
        if seen.path.ends_with(CUSTOMER) {
            return gone();
        }
        match (
            seen.query.contains("filter="),
            seen.header("ms-continuationtoken"),
        ) {
            (true, _) => Reply::bom(&page(&[], None)),
            (false, "") => Reply::bom(&page(&["a"], Some("t1"))),
            (false, "t1") => Reply::bom(&page(&["b"], Some("t2"))),
            (false, _) => Reply::bom(&page(&["c"], None)),
        }
    })
    .await;
    let seen = upstream
        .client()
        .observe_removal(customer(), "Relecloud", &call())
        .await;
    assert!(matches!(seen.customer, Ok(Sighting::Gone(_))));
    assert_eq!(seen.listed, Some(Ok(false)));
    let asked = upstream.seen();
    assert_eq!(asked.len(), 1 + 1 + 3);
    assert!(asked[3].query.contains("seekOperation=Next"));
    assert!(
        asked
            .iter()
            .all(|seen| seen.header("authorization") == "Bearer token-1")
    );
}

#[tokio::test]
async fn a_customer_on_a_later_page_is_found_whatever_the_case() {
    let upstream = Upstream::serve(|seen| {
        if seen.path.ends_with(CUSTOMER) {
            return gone();
        }
        match seen.header("ms-continuationtoken") {
            "" => Reply::bom(&page(&["a"], Some("t1"))),
            _ => Reply::bom(&page(&[&CUSTOMER.to_uppercase()], None)),
        }
    })
    .await;
    let seen = upstream
        .client()
        .observe_removal(customer(), "", &call())
        .await;
    assert_eq!(seen.listed, Some(Ok(true)));
}

#[tokio::test]
async fn a_list_that_fails_or_goes_in_circles_proves_nothing() {
    for (reply, class) in [
        (
            Reply::bom(&page(&["a"], Some("same"))),
            FailureClass::Nonsense,
        ),
        (
            Reply::json(200, &json!({"totalCount": 0})),
            FailureClass::Nonsense,
        ),
        (Reply::html(200), FailureClass::Nonsense),
        (
            Reply::json(403, &json!({"code": 20002})),
            FailureClass::Refused,
        ),
        (
            Reply::json(200, &json!({"items": [{"name": "no id"}]})),
            FailureClass::Nonsense,
        ),
    ] {
        let upstream = Upstream::serve(move |seen| {
            if seen.path.ends_with(CUSTOMER) {
                gone()
            } else {
                reply.clone()
            }
        })
        .await;
        let seen = upstream
            .client()
            .observe_removal(customer(), "", &call())
            .await;
        let Some(Err(failure)) = seen.listed else {
            panic!("{:?}", seen.listed);
        };
        assert_eq!(failure.class, class, "{failure}");
    }
}

#[tokio::test]
async fn a_customer_that_is_there_or_cannot_be_read_is_not_looked_for_in_the_list() {
    for (reply, present) in [
        (Reply::bom(&customer_body()), true),
        (Reply::html(404), false),
        (Reply::json(403, &json!({"code": 900150})), false),
    ] {
        let upstream = Upstream::serve(move |_| reply.clone()).await;
        let seen = upstream
            .client()
            .observe_removal(customer(), "x", &call())
            .await;
        assert_eq!(seen.customer.is_ok(), present);
        assert_eq!(seen.listed, None);
        assert!(
            !upstream
                .seen()
                .iter()
                .any(|seen| seen.path == "/v1/customers")
        );
    }
}

#[tokio::test]
async fn when_the_token_runs_out_between_the_two_both_are_read_again() {
    let lists = AtomicUsize::new(0);
    let upstream = Upstream::serve(move |seen| {
        if seen.path.ends_with(CUSTOMER) {
            gone()
        } else if lists.fetch_add(1, Ordering::SeqCst) == 0 {
            Reply::new(401, "")
        } else {
            Reply::bom(&page(&["a"], None))
        }
    })
    .await;
    let seen = upstream
        .client()
        .observe_removal(customer(), "", &call())
        .await;
    assert_eq!(seen.listed, Some(Ok(false)));
    let tokens: Vec<String> = upstream
        .seen()
        .iter()
        .map(|seen| seen.header("authorization").to_owned())
        .collect();
    assert_eq!(
        tokens,
        [
            "Bearer token-1",
            "Bearer token-1",
            "Bearer token-2",
            "Bearer token-2"
        ]
    );
}

#[tokio::test]
async fn the_audit_is_filtered_by_customer_and_paged() {
    let record = |customer: &str, at: &str| {
        json!({"id": at, "customerId": customer, "operationType": "remove_partner_customer_relationship",
            "operationDate": at, "operationStatus": "succeeded", "originalCorrelationId": "c",
            "userPrincipalName": "admin@contoso.com"})
    };
    let now = jiff::Timestamp::now().to_string();
    let earlier = (jiff::Timestamp::now() - jiff::SignedDuration::from_hours(1)).to_string();
    let since = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(24);
    let upstream = Upstream::serve(move |seen| {
        let (items, next) = match seen.header("ms-continuationtoken") {
            "" => (
                json!([
                    record(&CUSTOMER.to_uppercase(), &now),
                    record("somebody-else", &now)
                ]),
                Some("n"),
            ),
            _ => (
                json!([
                    record(CUSTOMER, &earlier),
                    record(CUSTOMER, "2001-01-01T00:00:00Z")
                ]),
                None,
            ),
        };
        Reply::bom(&json!({"totalCount": 4, "items": items, "continuationToken": next}))
    })
    .await;
    let records = upstream
        .client()
        .audit(customer(), since, &call())
        .await
        .unwrap();
    assert_eq!(records.len(), 2);
    assert!(records[0].at < records[1].at);
    assert_eq!(records[1].correlation.as_deref(), Some("c"));
    assert_eq!(records[1].by.as_deref(), Some("admin@contoso.com"));
    let query = &upstream.seen()[0].query;
    assert!(
        query.contains("startDate=") && query.contains("CustomerId"),
        "{query}"
    );
}

#[tokio::test]
async fn the_link_is_passed_on_as_it_is() {
    let link =
        "https://admin.microsoft.com/Adminportal/Home?invType=ResellerRelationship&msppId=0#/x?a=b";
    let upstream = Upstream::serve(move |_| Reply::bom(&json!({"url": link}))).await;
    let found = upstream.client().relationship_request_link(&call()).await;
    assert_eq!(found.as_deref(), Ok(link));
    assert!(upstream.seen()[0].is("GET", "/v1/customers/relationshiprequests"));
}

#[tokio::test]
async fn probes_tell_a_refusal_from_an_answer() {
    let upstream = Upstream::serve(|_| gone()).await;
    let client = upstream.client();
    let refused = client
        .probe_subscriptions(customer(), &call())
        .await
        .unwrap_err();
    assert_eq!(refused.class, FailureClass::NotRelated);
    let refused = client
        .probe_support_contact(customer(), &"s1".into(), &call())
        .await
        .unwrap_err();
    assert_eq!(refused.class, FailureClass::NotRelated);
}
