//! Blocked: what appears after the first effect is waited for, then undone.

use relationship_service::application::service::Status;
use relationship_service::domain::blocker::Reason;
use relationship_service::domain::event::EndReason;
use relationship_service::domain::offboarding::State;
use relationship_service::simulator::{
    Action, Actor, ReservationSpec, SubscriptionKind, SubscriptionSpec,
};

use super::{assert_ended, world};
use crate::harness::{SUSPEND, caller, removal};

fn reservation() -> ReservationSpec {
    serde_json::from_value(serde_json::json!({ "name": "VM reservation", "expires": "+P365D" }))
        .unwrap()
}

fn is_blocked(status: &Status) -> bool {
    status.offboarding.state == State::Blocked
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reservation_bought_midway_is_waited_for() {
    let world = world(3).await;
    let id = world.half_way().await;
    world.act(
        Actor::Customer,
        Action::BuyReservation {
            reservation: reservation(),
        },
    );
    let blocked = world.wait(id, is_blocked).await;
    assert!(is_blocked(&blocked), "{blocked:#?}");
    assert_eq!(
        blocked.offboarding.blockers[0].reason,
        Reason::AzureReservationActive
    );
    let waiting = blocked.waiting.unwrap();
    assert!(
        waiting.until.is_some() && waiting.message.contains("VM reservation"),
        "{waiting:?}"
    );
    world.act(
        Actor::Colleague,
        Action::CancelReservation { reservation: None },
    );
    let ended = world.end(id).await;
    assert_ended(&ended, State::Succeeded, EndReason::Removed);
    assert!(
        world.removals().iter().all(|entry| entry.applied),
        "no removal was refused"
    );
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_clear_within_max_suspended_is_undone() {
    let world = world(3).await;
    let id = world.half_way().await;
    world.act(
        Actor::Customer,
        Action::BuyReservation {
            reservation: reservation(),
        },
    );
    world.wait(id, is_blocked).await;
    world
        .simulator
        .control()
        .advance(std::time::Duration::from_secs(25 * 3600));
    let ended = world.end(id).await;
    assert_ended(&ended, State::Failed, EndReason::BlockedTooLong);
    assert!(
        world
            .statuses()
            .iter()
            .all(|(_, status)| status == "active"),
        "{:?}",
        world.statuses()
    );
    assert!(world.removals().is_empty());
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_bought_after_acceptance_is_not_touched() {
    let world = world(2).await;
    let mut removal = removal(world.customer(0), SUSPEND);
    let preview = world
        .engine
        .service()
        .preview(&caller(), "", world.customer(0), SUSPEND)
        .await
        .unwrap();
    removal.terms.plan_hash = Some(preview.plan.hash);
    removal.terms.not_before =
        Some(world.simulator.control().now() + jiff::SignedDuration::from_mins(5));
    let accepted = world
        .engine
        .service()
        .remove(&caller(), removal)
        .await
        .unwrap();
    let subscription = Box::new(SubscriptionSpec::new(SubscriptionKind::LegacyLicense));
    world.act(Actor::Customer, Action::BuySubscription { subscription });
    let ended = world.end(accepted.offboarding.id).await;
    assert_ended(&ended, State::Failed, EndReason::PlanChanged);
    assert!(world.changes().is_empty(), "nothing was changed");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blocker_found_when_not_before_falls_due_ends_it_with_nothing_changed() {
    let world = world(2).await;
    let mut removal = removal(world.customer(0), SUSPEND);
    removal.terms.not_before =
        Some(world.simulator.control().now() + jiff::SignedDuration::from_mins(5));
    world.simulator.control().clear_journal();
    let accepted = world
        .engine
        .service()
        .remove(&caller(), removal)
        .await
        .unwrap();
    assert_eq!(accepted.offboarding.state, State::Scheduled);
    assert!(
        world
            .simulator
            .control()
            .journal(0)
            .iter()
            .all(|e| e.path.starts_with("/control")),
        "accepted without reading upstream"
    );
    world.act(
        Actor::Customer,
        Action::BuyReservation {
            reservation: reservation(),
        },
    );
    let ended = world.end(accepted.offboarding.id).await;
    assert_ended(&ended, State::Failed, EndReason::BlockersStand);
    assert!(world.changes().is_empty(), "nothing was changed");
    world.stop().await;
}
