//! Verifying: what it takes to say that a relationship is gone.

use relationship_service::domain::event::{EndReason, Probe};
use relationship_service::domain::offboarding::State;
use relationship_service::simulator::{Action, Actor, Fault};

use super::{assert_ended, world};
use crate::harness::SUSPEND;

#[tokio::test(flavor = "multi_thread")]
async fn gone_is_said_twice_a_minute_apart_and_the_list_agrees() {
    let world = world(1).await;
    let accepted = world.remove(world.customer(0), SUSPEND).await.unwrap();
    let ended = world.end(accepted.offboarding.id).await;
    assert_ended(&ended, State::Succeeded, EndReason::Removed);
    let seen = ended.offboarding.verification.unwrap();
    let apart = seen
        .last_gone
        .unwrap()
        .duration_since(seen.first_gone.unwrap());
    assert!(apart >= jiff::SignedDuration::from_secs(60), "{apart}");
    assert!(seen.unlisted.is_some());
    assert!(
        matches!(seen.support_contact, Some(Probe::Refused { .. })),
        "{seen:#?}"
    );
    assert!(
        matches!(seen.subscriptions, Some(Probe::Refused { .. })),
        "{seen:#?}"
    );
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removal_that_never_shows_ends_unconfirmed() {
    let world = world(1).await;
    let removal = format!("/v1/customers/{}", world.customer(0));
    world.fault(
        "PATCH",
        &removal,
        None,
        Fault::SlowPropagation { seconds: 1_000_000 },
    );
    let accepted = world.remove(world.customer(0), SUSPEND).await.unwrap();
    let ended = world.end(accepted.offboarding.id).await;
    assert_ended(&ended, State::Unconfirmed, EndReason::NotConfirmedInTime);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_cannot_be_read_proves_nothing() {
    let world = world(1).await;
    world.fault("GET", "/v1/customers", None, Fault::Html);
    let accepted = world.remove(world.customer(0), SUSPEND).await.unwrap();
    let ended = world.end(accepted.offboarding.id).await;
    assert_ended(&ended, State::Unconfirmed, EndReason::NotConfirmedInTime);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_removed_before_is_witnessed_and_nothing_is_sent() {
    let world = world(1).await;
    let first = world.remove(world.customer(0), SUSPEND).await.unwrap();
    let ended = world.end(first.offboarding.id).await;
    assert_ended(&ended, State::Succeeded, EndReason::Removed);
    let sent = world.changes().len();
    let again = world.remove(world.customer(0), SUSPEND).await.unwrap();
    assert_eq!(again.offboarding.state, State::Verifying);
    let ended = world.end(again.offboarding.id).await;
    assert_ended(&ended, State::Succeeded, EndReason::AlreadyRemoved);
    assert_eq!(world.changes().len(), sent, "nothing more was sent");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_colleague_removed_before_is_known_from_the_audit() {
    let world = world(1).await;
    for subscription in world.subscriptions() {
        world.act(
            Actor::Colleague,
            Action::SuspendSubscription { subscription },
        );
    }
    world.act(Actor::Colleague, Action::RemoveRelationship);
    world
        .simulator
        .control()
        .advance(std::time::Duration::from_secs(600));
    let accepted = world.remove(world.customer(0), SUSPEND).await.unwrap();
    assert_eq!(accepted.offboarding.state, State::Verifying);
    let ended = world.end(accepted.offboarding.id).await;
    assert_ended(&ended, State::Succeeded, EndReason::AlreadyRemoved);
    assert!(world.changes().is_empty());
    world.stop().await;
}
