//! The main job against the simulated Partner Center, judged by its journal.

use relationship_service::domain::event::EndReason;
use relationship_service::domain::offboarding::State;
use relationship_service::simulator::Scenario;

use crate::harness::{SUSPEND, World};

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_with_legacy_subscriptions_is_removed_and_witnessed() {
    let world = World::new(Scenario::seeded(1, 5, 1)).await;
    let accepted = world.remove(world.customer(0), SUSPEND).await.unwrap();
    let ended = world.end(accepted.offboarding.id).await;
    let outcome = ended.offboarding.outcome.as_ref().unwrap();
    assert_eq!(ended.offboarding.state, State::Succeeded, "{ended:#?}");
    assert_eq!(outcome.reason, EndReason::Removed);
    world.stop().await;
}
