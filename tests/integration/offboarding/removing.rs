//! Removing: effects and the removal itself under faults of upstream.

use relationship_service::domain::event::EndReason;
use relationship_service::domain::offboarding::State;
use relationship_service::simulator::{Action, Actor, Fault, Scenario};

use super::{assert_ended, status, world};
use crate::harness::{SUSPEND, World};

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_with_legacy_subscriptions_is_removed_and_witnessed() {
    let world = world(5).await;
    let accepted = world.remove(world.customer(0), SUSPEND).await.unwrap();
    let ended = world.end(accepted.offboarding.id).await;
    assert_ended(&ended, State::Succeeded, EndReason::Removed);
    assert_eq!(world.removals().len(), 1);
    assert_eq!(world.changes().len(), 6);
    let seen = ended.offboarding.verification.unwrap();
    assert!(
        seen.audit.unwrap().correlated,
        "the audit record names our correlation id"
    );
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn add_ons_are_suspended_before_their_parents_and_each_group_after_a_fresh_snapshot() {
    let world = World::new(Scenario::seeded(1, 3, 7)).await;
    let subscriptions = world.partner.customers[0].subscriptions.clone();
    let add_on = subscriptions
        .iter()
        .find(|s| s.parent.is_some())
        .unwrap()
        .id
        .clone()
        .unwrap();
    let accepted = world.remove(world.customer(0), SUSPEND).await.unwrap();
    let ended = world.end(accepted.offboarding.id).await;
    assert_ended(&ended, State::Succeeded, EndReason::Removed);
    let changes = world.changes();
    assert!(changes[0].path.ends_with(&add_on), "{changes:#?}");
    let lists = world
        .simulator
        .control()
        .journal(0)
        .into_iter()
        .filter(|entry| {
            entry.path.ends_with("/subscriptions")
                && entry.started > changes[0].started
                && entry.finished < Some(changes[1].started)
        });
    assert_eq!(lists.count(), 1, "one snapshot between the groups");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspension_whose_answer_is_lost_is_read_and_not_repeated() {
    let world = world(4).await;
    world.fault("PATCH", "*/subscriptions/*", Some(2), Fault::AnswerLost);
    let accepted = world.remove(world.customer(0), SUSPEND).await.unwrap();
    let ended = world.end(accepted.offboarding.id).await;
    assert_ended(&ended, State::Succeeded, EndReason::Removed);
    // Every subscription was changed once: the two lost answers were found by reading.
    assert_eq!(world.changes().len(), 4 + 1);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspension_that_never_arrived_is_sent_again_after_a_read() {
    let world = world(3).await;
    world.fault("PATCH", "*/subscriptions/*", Some(3), Fault::ResetBefore);
    let accepted = world.remove(world.customer(0), SUSPEND).await.unwrap();
    let ended = world.end(accepted.offboarding.id).await;
    assert_ended(&ended, State::Succeeded, EndReason::Removed);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removal_whose_answer_is_lost_is_looked_for_and_witnessed() {
    let world = world(2).await;
    world.fault(
        "PATCH",
        &format!("/v1/customers/{}", world.customer(0)),
        Some(1),
        Fault::AnswerLost,
    );
    let accepted = world.remove(world.customer(0), SUSPEND).await.unwrap();
    let ended = world.end(accepted.offboarding.id).await;
    assert_ended(&ended, State::Succeeded, EndReason::Removed);
    // A second try is allowed within 15 minutes, but it may only have been told "not related".
    let applied = world
        .removals()
        .into_iter()
        .filter(|entry| entry.applied)
        .count();
    assert_eq!(applied, 1);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removal_that_microsoft_refuses_is_put_back_and_fails() {
    let world = world(3).await;
    let removal = format!("/v1/customers/{}", world.customer(0));
    world.fault("PATCH", &removal, None, status(400, Some(2001)));
    let accepted = world.remove(world.customer(0), SUSPEND).await.unwrap();
    let ended = world.end(accepted.offboarding.id).await;
    assert_ended(&ended, State::Failed, EndReason::UpstreamRefused);
    assert!(
        world
            .statuses()
            .iter()
            .all(|(_, status)| status == "active")
    );
    let (_, failure) = ended.offboarding.last_failure.unwrap();
    assert_eq!(
        (failure.status, failure.code.as_deref()),
        (Some(400), Some("2001"))
    );
    assert!(failure.request_id.is_some() && failure.correlation_id.is_some());
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_throttled_removal_waits_and_is_sent_after_a_fresh_snapshot() {
    let world = world(1).await;
    let removal = format!("/v1/customers/{}", world.customer(0));
    world.fault(
        "PATCH",
        &removal,
        Some(1),
        Fault::Throttle {
            retry_after_seconds: 1,
        },
    );
    let accepted = world.remove(world.customer(0), SUSPEND).await.unwrap();
    let ended = world.end(accepted.offboarding.id).await;
    assert_ended(&ended, State::Succeeded, EndReason::Removed);
    let removals = world.removals();
    assert_eq!(removals.len(), 2);
    let listed_between = world.simulator.control().journal(0).iter().any(|entry| {
        entry.path.ends_with("/subscriptions")
            && entry.started > removals[0].started
            && entry.started < removals[1].started
    });
    assert!(
        listed_between,
        "a fresh snapshot comes before the second try"
    );
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_colleague_who_removes_midway_makes_it_a_success_by_others() {
    let world = world(3).await;
    let id = world.half_way().await;
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
    let ended = world.end(id).await;
    assert_ended(&ended, State::Succeeded, EndReason::RemovedByOthers);
    assert!(world.removals().is_empty(), "we sent no removal");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_in_the_middle_goes_on_where_it_stood() {
    let mut world = world(4).await;
    let id = world.half_way().await;
    world.restart().await;
    let ended = world.end(id).await;
    assert_ended(&ended, State::Succeeded, EndReason::Removed);
    assert_eq!(world.removals().len(), 1);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_offboardings_at_once_share_commits() {
    let world = World::new(Scenario::seeded(24, 2, 11)).await;
    let customers: Vec<_> = (0..24).map(|n| world.customer(n)).collect();
    let accepted = customers
        .iter()
        .map(|customer| world.remove(*customer, SUSPEND));
    let accepted = futures::future::join_all(accepted).await;
    for status in accepted {
        let ended = world.end(status.unwrap().offboarding.id).await;
        assert_ended(&ended, State::Succeeded, EndReason::Removed);
    }
    assert_eq!(world.removals().len(), 24);
    let counters = world.engine.database().counters();
    assert!(counters.commits < counters.requests, "{counters:?}");
    world.stop().await;
}
