//! Cancelling: stops before the point of no return and puts back only what is ours.

use relationship_service::application::error::Error;
use relationship_service::domain::event::EndReason;
use relationship_service::domain::offboarding::State;
use relationship_service::simulator::{Action, Actor};

use super::{assert_ended, world};
use crate::harness::{SUSPEND, World, caller, removal};

async fn cancel(world: &World, id: relationship_service::domain::ids::OffboardingId) -> State {
    let cancelled = world
        .engine
        .service()
        .cancel(&caller(), id, "customer stays")
        .await
        .unwrap();
    cancelled.status.offboarding.state
}

#[tokio::test(flavor = "multi_thread")]
async fn half_way_it_puts_back_what_it_suspended() {
    let world = world(4).await;
    let id = world.half_way().await;
    assert_eq!(cancel(&world, id).await, State::Restoring);
    let ended = world.end(id).await;
    assert_ended(&ended, State::Cancelled, EndReason::CancelledByCaller);
    assert!(
        world
            .statuses()
            .iter()
            .all(|(_, status)| status == "active"),
        "{:?}",
        world.statuses()
    );
    assert!(world.removals().is_empty());
    // Cancelling what is cancelled returns it.
    assert_eq!(cancel(&world, id).await, State::Cancelled);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_suspended_or_changed_is_left_alone() {
    let world = world(4).await;
    let theirs = world.subscriptions()[3].clone();
    let subscription = theirs.clone();
    world.act(
        Actor::Colleague,
        Action::SuspendSubscription { subscription },
    );
    let id = world.half_way().await;
    let deleted = world.subscriptions()[2].clone();
    let subscription = deleted.clone();
    world.act(
        Actor::Colleague,
        Action::CancelSubscription { subscription },
    );
    cancel(&world, id).await;
    let ended = world.end(id).await;
    assert_ended(&ended, State::Cancelled, EndReason::CancelledByCaller);
    for (id, status) in world.statuses() {
        let expected = match &id {
            id if *id == theirs => "suspended",
            id if *id == deleted => "deleted",
            _ => "active",
        };
        assert_eq!(status, expected, "{id}");
    }
    let not_restored = ended.offboarding.not_restored();
    assert_eq!(not_restored.len(), 1, "{not_restored:?}");
    assert!(not_restored[0].contains(&deleted), "{not_restored:?}");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn before_anything_was_changed_it_is_over_at_once() {
    let world = world(2).await;
    let mut removal = removal(world.customer(0), SUSPEND);
    removal.terms.not_before =
        Some(world.simulator.control().now() + jiff::SignedDuration::from_hours(48));
    let accepted = world
        .engine
        .service()
        .remove(&caller(), removal)
        .await
        .unwrap();
    assert_eq!(accepted.offboarding.state, State::Scheduled);
    assert_eq!(
        cancel(&world, accepted.offboarding.id).await,
        State::Cancelled
    );
    assert!(world.changes().is_empty());
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_the_removal_was_sent_it_is_too_late() {
    let world = world(1).await;
    let accepted = world.remove(world.customer(0), SUSPEND).await.unwrap();
    let id = accepted.offboarding.id;
    let verifying = |status: &relationship_service::application::service::Status| {
        status.offboarding.state == State::Verifying
    };
    world.wait_without_clock(id, verifying).await;
    let refused = world
        .engine
        .service()
        .cancel(&caller(), id, "too late")
        .await;
    assert!(
        matches!(refused, Err(Error::RemovalAlreadySent { .. })),
        "{refused:?}"
    );
    let ended = world.end(id).await;
    assert_ended(&ended, State::Succeeded, EndReason::Removed);
    let refused = world
        .engine
        .service()
        .cancel(&caller(), id, "too late")
        .await;
    assert!(
        matches!(refused, Err(Error::OffboardingEnded { .. })),
        "{refused:?}"
    );
    world.stop().await;
}
