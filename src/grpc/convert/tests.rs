//! Requests are refused with everything that is wrong, and nothing that is right is refused.

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;
use crate::application::error::Error;
use crate::application::service::Selector;
use crate::grpc::proto;

const ID: &str = "0c39d6d5-c70d-4c55-bc02-f620844f3fd1";

fn right() -> proto::RemoveRelationshipRequest {
    proto::RemoveRelationshipRequest {
        partner: "contoso".to_owned(),
        customer_id: ID.to_owned(),
        request_id: ID.to_owned(),
        validate_only: true,
        plan_hash: "AB".repeat(32),
        policy: Some(proto::Policy { suspend: true }),
        not_before: Some(prost_types::Timestamp {
            seconds: 1_900_000_000,
            nanos: 123_456_789,
        }),
        reason: "r".repeat(1_000),
        labels: HashMap::from([("team/eu-1_a.b".to_owned(), "ü".repeat(128))]),
        external_references: vec![reference("ticket", "4711"), reference("crm", "4711")],
    }
}

fn reference(system: &str, id: &str) -> proto::ExternalReference {
    proto::ExternalReference {
        system: system.to_owned(),
        id: id.to_owned(),
    }
}

fn fields<T: std::fmt::Debug>(result: Result<T, Error>) -> Vec<String> {
    match result {
        Err(Error::Invalid(violations)) => violations.into_iter().map(|v| v.field).collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_request_at_its_limits_is_taken_as_it_is() {
    let removal = removal(right()).unwrap();
    assert_eq!(removal.partner, "contoso");
    assert_eq!(removal.customer.to_string(), ID);
    assert!(removal.validate_only);
    let terms = removal.terms;
    assert!(terms.policy.suspend);
    assert_eq!(terms.plan_hash.unwrap().to_string(), "ab".repeat(32));
    assert_eq!(
        terms.not_before.unwrap().as_microsecond(),
        1_900_000_000_123_456
    );
    assert_eq!(terms.reason.len(), 1_000);
    assert_eq!(terms.labels["team/eu-1_a.b"].chars().count(), 128);
    assert_eq!(terms.references[1].system, "crm");
}

#[test]
fn an_empty_request_lacks_all_that_is_required() {
    assert_eq!(
        fields(removal(proto::RemoveRelationshipRequest::default())),
        ["customer_id", "request_id", "reason"]
    );
}

#[test]
fn everything_that_is_wrong_is_said_at_once() {
    let labels = HashMap::from([
        ("Upper".to_owned(), String::new()),
        ("1st".to_owned(), String::new()),
        ("k".repeat(64), String::new()),
        (String::new(), String::new()),
        ("long".to_owned(), "v".repeat(129)),
        ("bell".to_owned(), "\u{7}".to_owned()),
    ]);
    let wrong = proto::RemoveRelationshipRequest {
        partner: "p".repeat(65),
        customer_id: "contoso".to_owned(),
        request_id: "00000000-0000-0000-0000-000000000000".to_owned(),
        plan_hash: "ab".repeat(31),
        not_before: Some(prost_types::Timestamp {
            seconds: 1,
            nanos: 1_000_000_000,
        }),
        reason: format!("{}\u{1b}[2J", "r".repeat(1_000)),
        labels,
        external_references: vec![
            reference("", ""),
            reference("ticket", "1"),
            reference("ticket", "1"),
            reference(&"s".repeat(64), &"i".repeat(257)),
        ],
        ..right()
    };
    assert_eq!(
        fields(removal(wrong)),
        [
            "partner".to_owned(),
            "customer_id".to_owned(),
            "request_id".to_owned(),
            "plan_hash".to_owned(),
            "not_before".to_owned(),
            "reason".to_owned(),
            "reason".to_owned(),
            "labels[\"\"]".to_owned(),
            "labels[\"1st\"]".to_owned(),
            "labels[\"Upper\"]".to_owned(),
            "labels[\"bell\"]".to_owned(),
            format!("labels[\"{}\"]", "k".repeat(64)),
            "labels[\"long\"]".to_owned(),
            "external_references[0].system".to_owned(),
            "external_references[0].id".to_owned(),
            "external_references[2]".to_owned(),
            "external_references[3].system".to_owned(),
            "external_references[3].id".to_owned(),
        ]
    );
}

#[test]
fn too_many_labels_and_references_are_counted() {
    let wrong = proto::RemoveRelationshipRequest {
        labels: (0..33).map(|i| (format!("k{i}"), String::new())).collect(),
        external_references: (0..17).map(|i| reference("t", &i.to_string())).collect(),
        ..right()
    };
    assert_eq!(fields(removal(wrong)), ["labels", "external_references"]);
    let blank = proto::RemoveRelationshipRequest {
        reason: " \u{a0} ".to_owned(),
        ..right()
    };
    assert_eq!(fields(removal(blank)), ["reason"]);
}

#[test]
fn an_offboarding_is_named_in_exactly_one_way() {
    use proto::get_offboarding_status_request::Selector as P;
    let ask = |named| selector(proto::GetOffboardingStatusRequest { selector: named });
    assert_eq!(fields(ask(None)), ["selector"]);
    assert_eq!(
        fields(ask(Some(P::OffboardingId("7".to_owned())))),
        ["offboarding_id"]
    );
    assert_eq!(
        fields(ask(Some(P::NewestOf(proto::CustomerSelector {
            partner: "\n".to_owned(),
            customer_id: String::new(),
        })))),
        ["newest_of.partner", "newest_of.customer_id"]
    );
    assert_eq!(
        fields(ask(Some(P::ExternalReference(reference("", "1"))))),
        ["external_reference.system"]
    );
    assert!(matches!(
        ask(Some(P::OffboardingId(ID.to_owned()))),
        Ok(Selector::Id(_))
    ));
}

#[test]
fn pages_have_0_to_1000_rows_and_0_means_the_default() {
    let page = |page_size| {
        events(proto::ListOffboardingEventsRequest {
            offboarding_id: ID.to_owned(),
            page_size,
            page_token: "t".to_owned(),
        })
    };
    assert_eq!(page(0).unwrap().page_size, 100);
    assert_eq!(page(1).unwrap().page_size, 1);
    assert_eq!(page(1_000).unwrap().page_size, 1_000);
    assert_eq!(page(1).unwrap().page_token, "t");
    for wrong in [-1, 1_001, i32::MIN, i32::MAX] {
        assert_eq!(fields(page(wrong)), ["page_size"], "{wrong}");
    }
    assert_eq!(
        list(proto::ListOffboardingsRequest::default())
            .unwrap()
            .page_size,
        50
    );
}

#[test]
fn a_watch_begins_after_a_sequence() {
    let ask = |after_sequence| {
        watch(proto::WatchOffboardingRequest {
            offboarding_id: ID.to_owned(),
            after_sequence,
        })
    };
    assert_eq!(ask(7).unwrap().1, 7);
    assert_eq!(fields(ask(-1)), ["after_sequence"]);
}

#[test]
fn filters_name_known_values_only() {
    let wrong = proto::OffboardingFilter {
        states: vec![proto::OffboardingState::Failed as i32, 0, 99],
        partners: vec![String::new()],
        customer_ids: vec![ID.to_owned(), "x".to_owned()],
        blocker_reasons: vec![-1],
        waiting_on: vec![6],
        create_time_from: Some(prost_types::Timestamp {
            seconds: i64::MAX,
            nanos: 0,
        }),
        update_time_before: Some(prost_types::Timestamp {
            seconds: 0,
            nanos: -1,
        }),
        ..proto::OffboardingFilter::default()
    };
    let ask = |filter| {
        list(proto::ListOffboardingsRequest {
            page_size: 2_000,
            filter: Some(filter),
            ..proto::ListOffboardingsRequest::default()
        })
    };
    assert_eq!(
        fields(ask(wrong)),
        [
            "page_size",
            "filter.states[1]",
            "filter.states[2]",
            "filter.customer_ids[1]",
            "filter.blocker_reasons[0]",
            "filter.waiting_on[0]",
            "filter.create_time_from",
            "filter.update_time_before",
            "filter.partners[0]",
        ]
    );
    let many = proto::OffboardingFilter {
        customer_ids: vec![ID.to_owned(); 101],
        ..proto::OffboardingFilter::default()
    };
    assert_eq!(fields(ask(many)), ["page_size", "filter.customer_ids"]);
}

#[test]
fn a_filter_becomes_the_names_that_the_store_knows() {
    let asked = list(proto::ListOffboardingsRequest {
        filter: Some(proto::OffboardingFilter {
            states: vec![proto::OffboardingState::Failed as i32],
            partners: vec!["contoso".to_owned()],
            blocker_reasons: vec![proto::BlockerReason::TrialActive as i32],
            waiting_on: vec![proto::Party::Microsoft as i32],
            labels: HashMap::from([("a".to_owned(), "b".to_owned())]),
            external_references: vec![reference("ticket", "1")],
            ..proto::OffboardingFilter::default()
        }),
        ..proto::ListOffboardingsRequest::default()
    })
    .unwrap();
    let filter = asked.filter.filter;
    assert_eq!(asked.filter.partners, ["contoso"]);
    assert_eq!(filter.states, ["FAILED"]);
    assert_eq!(filter.blocker_reasons, ["TRIAL_ACTIVE"]);
    assert_eq!(filter.waiting_on, ["microsoft"]);
    assert_eq!(filter.labels, [("a".to_owned(), "b".to_owned())]);
    assert_eq!(filter.references, [("ticket".to_owned(), "1".to_owned())]);
}

#[test]
fn a_cancellation_needs_a_reason() {
    let ask = |reason: &str| {
        cancel(proto::CancelOffboardingRequest {
            offboarding_id: "x".to_owned(),
            reason: reason.to_owned(),
        })
    };
    assert_eq!(fields(ask("")), ["offboarding_id", "reason"]);
    assert_eq!(fields(ask("because")), ["offboarding_id"]);
}

proptest! {
    /// Whatever moment a caller sends comes back as it was, to the microsecond.
    #[test]
    fn moments_survive_the_way_in_and_out(seconds in 0..250_000_000_000_i64, micros in 0..1_000_000_i32) {
        let sent = prost_types::Timestamp { seconds, nanos: micros * 1_000 };
        let request = proto::RemoveRelationshipRequest { not_before: Some(sent), ..right() };
        let read = removal(request).unwrap().terms.not_before.unwrap();
        prop_assert_eq!(timestamp(read), sent);
    }

    /// Protobuf wants nanos from 0 on, before 1970 too.
    #[test]
    fn nanos_are_never_negative(micros in -10_000_000_000_000_000_i64..10_000_000_000_000_000) {
        let at = Time::from_microsecond(micros).unwrap();
        let sent = timestamp(at);
        prop_assert!((0..1_000_000_000).contains(&sent.nanos));
        prop_assert_eq!(sent.seconds * 1_000_000 + i64::from(sent.nanos) / 1_000, micros);
    }

    /// No text makes a check panic, and what is taken obeys the limits.
    #[test]
    fn any_text_is_either_refused_or_within_the_limits(
        text in any::<String>(), seconds in any::<i64>(), nanos in any::<i32>(), number in any::<i32>()
    ) {
        let taken = removal(proto::RemoveRelationshipRequest {
            reason: text.clone(),
            not_before: Some(prost_types::Timestamp { seconds, nanos }),
            ..right()
        });
        if let Ok(taken) = taken {
            prop_assert!(taken.terms.reason.chars().count() <= 1_000);
            prop_assert!(!taken.terms.reason.trim().is_empty());
        }
        let _ = list(proto::ListOffboardingsRequest {
            page_size: number,
            page_token: text.clone(),
            filter: Some(proto::OffboardingFilter {
                states: vec![number],
                customer_ids: vec![text],
                ..proto::OffboardingFilter::default()
            }),
        });
    }
}
