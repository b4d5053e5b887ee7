//! The business clock follows a simulator's.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use relationship_service::application::clock::Clock;
use relationship_service::partner_center::{BusinessClock, BusinessClockError};
use serde_json::json;

use super::kit::*;

const DAY: i64 = 86_400_000_000;

#[tokio::test]
async fn it_starts_where_the_simulator_is_and_wakes_when_it_jumps() {
    let offset = Arc::new(AtomicI64::new(DAY));
    let served = Arc::clone(&offset);
    let upstream = Upstream::serve(move |_| {
        Reply::json(
            200,
            &json!({"now": "2026-01-01T00:00:00Z", "offset_micros": served.load(Ordering::SeqCst)}),
        )
    })
    .await;
    let clock = BusinessClock::connect(format!("{}/clock", upstream.url).parse().unwrap())
        .await
        .unwrap();
    let ahead = |clock: &BusinessClock| {
        clock
            .now()
            .duration_since(jiff::Timestamp::now())
            .as_hours()
    };
    // A hair below a whole number of hours: the second reading is later than the first.
    assert_eq!(ahead(&clock), 23);
    let jumped = clock.jumped();
    offset.store(3 * DAY, Ordering::SeqCst);
    jumped.await;
    assert_eq!(ahead(&clock), 71);
    assert!(
        upstream.seen()[1]
            .query
            .contains(&format!("changed_from={DAY}"))
    );
}

#[tokio::test]
async fn only_this_machines_own_clock_is_followed() {
    let refused = BusinessClock::connect("http://example.com/clock".parse().unwrap()).await;
    assert!(matches!(refused, Err(BusinessClockError::NotLoopback(_))));
    let upstream = Upstream::serve(|_| Reply::html(200)).await;
    let refused = BusinessClock::connect(upstream.url.parse().unwrap()).await;
    assert!(matches!(
        refused,
        Err(BusinessClockError::Unreadable { .. })
    ));
}
