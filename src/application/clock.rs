//! Port to the clocks: what time it is for the rules of business.

use async_trait::async_trait;

use crate::domain::time::Time;

/// The business clock of one partner: system time, or a simulator's.
///
/// Due times, windows, the spacing of witnesses and budgets follow it. Claims, request timeouts,
/// tokens, retries and the limiter always use real time.
#[async_trait]
pub trait Clock: Send + Sync {
    /// Now, cut to microseconds.
    fn now(&self) -> Time;

    /// Returns when the clock has jumped since the call (never for the system clock), so that a
    /// waiting worker can look again.
    async fn jumped(&self);
}

/// The system's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

#[async_trait]
impl Clock for SystemClock {
    fn now(&self) -> Time {
        crate::domain::time::to_micros(jiff::Timestamp::now())
    }

    async fn jumped(&self) {
        std::future::pending().await
    }
}
