//! The RPCs against the simulated Partner Center: answers whole, errors with their details.

use relationship_service::grpc::proto;
use relationship_service::grpc::proto::watch_offboarding_response::Update;
use relationship_service::simulator::Scenario;
use tokio_stream::StreamExt as _;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};
use uuid::Uuid;

use super::{Served, quick};

fn removal(served: &Served, suspend: bool) -> proto::RemoveRelationshipRequest {
    proto::RemoveRelationshipRequest {
        customer_id: served.world.customer(0).to_string(),
        request_id: Uuid::new_v4().to_string(),
        policy: Some(proto::Policy { suspend }),
        reason: "contract ended".to_owned(),
        ..proto::RemoveRelationshipRequest::default()
    }
}

/// Accepts an offboarding that waits for next year, and returns its id.
pub(super) async fn scheduled(served: &Served) -> String {
    let now = served.world.simulator.control().now();
    let request = proto::RemoveRelationshipRequest {
        not_before: Some(prost_types::Timestamp {
            seconds: now.as_second() + 365 * 86_400,
            nanos: 0,
        }),
        ..removal(served, true)
    };
    let accepted = served.client().remove_relationship(request).await.unwrap();
    let run = accepted.into_inner().offboarding.unwrap();
    assert_eq!(run.state(), proto::OffboardingState::Scheduled);
    run.offboarding_id
}

fn details(status: &Status) -> (String, ErrorDetails) {
    let details = status.get_error_details();
    let info = details.error_info().unwrap();
    assert_eq!(info.domain, "relationship.v1");
    (info.reason.clone(), details)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_policy_is_refused_with_every_blocker_of_the_preview() {
    let served = Served::new(Scenario::seeded(1, 5, 1), quick()).await;
    let mut client = served.client();
    let preview = client
        .preview_removal(proto::PreviewRemovalRequest {
            customer_id: served.world.customer(0).to_string(),
            ..proto::PreviewRemovalRequest::default()
        })
        .await
        .unwrap()
        .into_inner()
        .preview
        .unwrap();
    assert!(!preview.removable);
    assert!(preview.items.iter().all(|item| item.read_time.is_some()));
    assert!(preview.parts.iter().all(|part| part.readable));
    let refused = client
        .remove_relationship(removal(&served, false))
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    let (reason, details) = details(&refused);
    assert_eq!(reason, "BLOCKED");
    let subjects: Vec<String> = preview
        .blockers
        .iter()
        .map(|blocker| format!("subscription/{}", blocker.resource.as_ref().unwrap().id))
        .collect();
    let violations = &details.precondition_failure().unwrap().violations;
    let refused: Vec<String> = violations.iter().map(|v| v.subject.clone()).collect();
    assert_eq!(refused, subjects);
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_validated_only_has_no_id_and_is_not_kept() {
    let served = Served::new(Scenario::seeded(1, 5, 1), quick()).await;
    let mut client = served.client();
    let request = proto::RemoveRelationshipRequest {
        validate_only: true,
        ..removal(&served, true)
    };
    let shown = client.remove_relationship(request).await.unwrap();
    let shown = shown.into_inner().offboarding.unwrap();
    assert_eq!(shown.offboarding_id, "");
    assert_eq!(shown.plan_hash.len(), 64);
    assert!(!shown.effects.is_empty());
    let kept = client
        .list_offboardings(proto::ListOffboardingsRequest::default())
        .await
        .unwrap();
    assert_eq!(kept.into_inner().offboardings, []);
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_input_is_refused_with_its_reason() {
    let served = Served::new(Scenario::seeded(1, 1, 1), quick()).await;
    let mut client = served.client();

    let empty = proto::RemoveRelationshipRequest::default();
    let refused = client.remove_relationship(empty).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    let (reason, found) = details(&refused);
    assert_eq!(reason, "INVALID_REQUEST");
    let fields: Vec<_> = found
        .bad_request()
        .unwrap()
        .field_violations
        .iter()
        .collect();
    assert_eq!(fields.len(), 3, "{fields:?}");

    let own = proto::RemoveRelationshipRequest {
        customer_id: served.world.partner.tenant_id.to_string(),
        ..removal(&served, true)
    };
    let refused = client.remove_relationship(own).await.unwrap_err();
    assert_eq!(details(&refused).0, "CUSTOMER_IS_PARTNER");

    let elsewhere = proto::RemoveRelationshipRequest {
        partner: "nobody".to_owned(),
        ..removal(&served, true)
    };
    let refused = client.remove_relationship(elsewhere).await.unwrap_err();
    let (reason, found) = details(&refused);
    assert_eq!(reason, "UNKNOWN_PARTNER");
    assert_eq!(found.error_info().unwrap().metadata["configured"], "sim");

    let stranger = proto::RemoveRelationshipRequest {
        customer_id: Uuid::new_v4().to_string(),
        ..removal(&served, true)
    };
    let refused = client.remove_relationship(stranger).await.unwrap_err();
    assert_eq!(refused.code(), Code::NotFound);
    assert_eq!(details(&refused).0, "CUSTOMER_NOT_RELATED");

    let unknown = proto::WatchOffboardingRequest {
        offboarding_id: Uuid::new_v4().to_string(),
        after_sequence: 0,
    };
    let refused = client.watch_offboarding(unknown).await.unwrap_err();
    assert_eq!(details(&refused).0, "OFFBOARDING_NOT_FOUND");

    let damaged = proto::ListOffboardingsRequest {
        page_token: "damaged".to_owned(),
        ..proto::ListOffboardingsRequest::default()
    };
    let refused = client.list_offboardings(damaged).await.unwrap_err();
    assert_eq!(details(&refused).0, "INVALID_PAGE_TOKEN");
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_shows_the_status_every_event_and_signs_of_life_until_the_end() {
    let served = Served::new(Scenario::seeded(1, 1, 1), quick()).await;
    let mut client = served.client();
    let id = scheduled(&served).await;
    let mut watch = client
        .watch_offboarding(proto::WatchOffboardingRequest {
            offboarding_id: id.clone(),
            after_sequence: 0,
        })
        .await
        .unwrap()
        .into_inner();
    let mut updates = Vec::new();
    let mut cancelled = false;
    while let Some(update) = watch.next().await {
        let update = update.unwrap().update.unwrap();
        if matches!(update, Update::Heartbeat(_)) && !cancelled {
            cancelled = true;
            let request = proto::CancelOffboardingRequest {
                offboarding_id: id.clone(),
                reason: "a mistake".to_owned(),
            };
            client.cancel_offboarding(request).await.unwrap();
        }
        updates.push(update);
    }
    assert!(cancelled, "no sign of life came");
    assert!(matches!(&updates[0], Update::Status(run) if run.offboarding_id == id));
    let watched: Vec<proto::OffboardingEvent> = updates
        .into_iter()
        .filter_map(|update| match update {
            Update::Event(event) => Some(event),
            _ => None,
        })
        .collect();
    let logged = client
        .list_offboarding_events(proto::ListOffboardingEventsRequest {
            offboarding_id: id,
            ..proto::ListOffboardingEventsRequest::default()
        })
        .await
        .unwrap()
        .into_inner();
    assert_eq!(watched, logged.events);
    assert_eq!(logged.events.last().unwrap().r#type, "ended");
    for event in logged.events {
        let stored: serde_json::Value = serde_json::from_str(&event.json).unwrap();
        assert_eq!(stored["type"], event.r#type);
        assert_eq!(stored["sequence"], event.sequence);
        assert_eq!(event.hash.len(), 64);
        assert!(!event.message.is_empty());
    }
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_ends_when_the_service_stops_and_says_so() {
    let served = Served::new(Scenario::seeded(1, 1, 1), quick()).await;
    let id = scheduled(&served).await;
    let mut watch = served
        .client()
        .watch_offboarding(proto::WatchOffboardingRequest {
            offboarding_id: id,
            after_sequence: 0,
        })
        .await
        .unwrap()
        .into_inner();
    assert!(watch.next().await.unwrap().is_ok());
    served.stop.send(()).unwrap();
    let ended = loop {
        if let Err(status) = watch.next().await.unwrap() {
            break status;
        }
    };
    assert_eq!(ended.code(), Code::Unavailable);
    assert_eq!(details(&ended).0, "STOPPING");
    drop(watch);
    drop(served.channel);
    served.running.await.unwrap().unwrap();
    served.world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_link_to_come_back_is_partner_centers() {
    let served = Served::new(Scenario::seeded(1, 1, 1), quick()).await;
    let link = served
        .client()
        .get_relationship_request_link(proto::GetRelationshipRequestLinkRequest::default())
        .await
        .unwrap()
        .into_inner();
    assert!(link.url.starts_with("http"), "{}", link.url);
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ended_offboarding_names_the_four_consequences_with_what_shows_them() {
    let served = Served::new(Scenario::seeded(1, 5, 1), quick()).await;
    let mut client = served.client();
    let accepted = client
        .remove_relationship(removal(&served, true))
        .await
        .unwrap();
    let id = accepted.into_inner().offboarding.unwrap().offboarding_id;
    served.world.end(id.parse().unwrap()).await;
    let run = client
        .get_offboarding_status(proto::GetOffboardingStatusRequest {
            selector: Some(
                proto::get_offboarding_status_request::Selector::OffboardingId(id.clone()),
            ),
        })
        .await
        .unwrap()
        .into_inner()
        .offboarding
        .unwrap();
    assert_eq!(run.state(), proto::OffboardingState::Succeeded, "{run:#?}");
    assert_eq!(run.outcome.as_ref().unwrap().reason, "REMOVED");
    assert_eq!((run.waiting.clone(), run.next_action_time), (None, None));
    assert_eq!(run.removal_attempts, 1);
    for effect in &run.effects {
        assert_eq!(effect.state(), proto::EffectState::Done, "{effect:?}");
        assert_eq!(effect.action, "suspend");
    }
    let seen = run.verification.unwrap();
    let first = seen.first_gone_time.unwrap().seconds;
    assert!(seen.second_gone_time.unwrap().seconds - first >= 59);
    assert!(seen.unlisted_time.is_some());
    let state = |consequence: Option<proto::Consequence>| {
        let consequence = consequence.unwrap();
        assert!(!consequence.shown_by.is_empty());
        consequence.state()
    };
    use proto::ConsequenceState::{NotChecked, Shown};
    assert_eq!(state(seen.off_customer_list), Shown);
    assert_eq!(state(seen.off_support_contacts), Shown);
    assert_eq!(state(seen.purchasing_ended), Shown);
    assert_eq!(state(seen.delegated_admin_ended), NotChecked);

    // A watch that comes late starts where its caller left off, and ends with the log.
    let mut watch = client
        .watch_offboarding(proto::WatchOffboardingRequest {
            offboarding_id: id,
            after_sequence: run.sequence - 2,
        })
        .await
        .unwrap()
        .into_inner();
    let mut sequences = Vec::new();
    while let Some(update) = watch.next().await {
        if let Some(Update::Event(event)) = update.unwrap().update {
            sequences.push(event.sequence);
        }
    }
    assert_eq!(sequences, [run.sequence - 1, run.sequence]);
    served.stop().await;
}
