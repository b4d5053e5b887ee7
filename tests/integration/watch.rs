//! Watches: from wherever they begin, however fast the log grows, every event once and in order.

use futures::future::join_all;
use relationship_service::simulator::Scenario;

use crate::harness::{SUSPEND, World, caller};

const SUBSCRIPTIONS: usize = 12;

#[tokio::test(flavor = "multi_thread")]
async fn from_every_sequence_the_rest_arrives_without_a_gap() {
    let world = World::new(Scenario::seeded(1, SUBSCRIPTIONS, 7)).await;
    let id = world
        .remove(world.customer(0), SUSPEND)
        .await
        .unwrap()
        .offboarding
        .id;
    let service = world.engine.service().clone();
    // Begun while the log grows; those far ahead wait for events that do not exist yet.
    let watching: Vec<_> = (0..30)
        .map(|after| {
            let service = service.clone();
            tokio::spawn(async move {
                let mut watch = service.watch(&caller(), id, after).await.unwrap();
                let mut seen = Vec::new();
                while let Some(event) = watch.next().await.unwrap() {
                    seen.push(event.event.sequence);
                }
                (after, seen)
            })
        })
        .collect();
    let last = world.end(id).await.offboarding.sequence;
    for watched in join_all(watching).await {
        let (after, seen) = watched.unwrap();
        assert_eq!(seen, (after + 1..=last).collect::<Vec<_>>(), "{after}");
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_from_beyond_the_end_ends_with_the_offboarding() {
    let world = World::new(Scenario::seeded(1, 1, 7)).await;
    let id = world
        .remove(world.customer(0), SUSPEND)
        .await
        .unwrap()
        .offboarding
        .id;
    let mut watch = world
        .engine
        .service()
        .watch(&caller(), id, 1_000_000)
        .await
        .unwrap();
    world.end(id).await;
    assert!(watch.next().await.unwrap().is_none());
    world.stop().await;
}
