//! Retry: reads and token calls only, with a budget, back-off and jitter.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use tower::retry::Policy;
use tower::retry::budget::{Budget, TpsBudget};
use uuid::Uuid;

use super::answer::{Answer, CallError};
use super::outgoing::Outgoing;
use super::retry_after::retry_after;

/// Longest pause between two attempts that upstream did not ask for.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Decides about further attempts. One clone per request; the budget is shared by all of a partner.
#[derive(Clone)]
pub(super) struct Again {
    budget: Arc<TpsBudget>,
    left: u32,
    pause: Duration,
}

impl Again {
    /// At most `retries` further attempts; `pause` is the upper end of the first back-off.
    pub(super) fn new(retries: u32, pause: Duration) -> Self {
        Self {
            // Retries may add a fifth to the load, plus five a second for the quiet hours.
            budget: Arc::new(TpsBudget::new(Duration::from_secs(10), 5, 0.2)),
            left: retries,
            pause,
        }
    }

    fn jittered(&mut self) -> Duration {
        let pause = self.pause.mul_f64(rand::random_range(0.5..1.0));
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        pause
    }
}

/// Statuses after which the same read may well succeed.
fn may_pass(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 429 | 500 | 502 | 503 | 504)
}

impl Policy<Outgoing, Answer, CallError> for Again {
    type Future = Pin<Box<dyn Future<Output = ()> + Send>>;

    fn retry(
        &mut self,
        request: &mut Outgoing,
        outcome: &mut Result<Answer, CallError>,
    ) -> Option<Self::Future> {
        if !request.effect.is_read() {
            return None;
        }
        let asked = match outcome {
            Ok(answer) if may_pass(answer.status) => {
                // After a 429 the limiter holds the next attempt back for as long as asked.
                let throttled = answer.status == StatusCode::TOO_MANY_REQUESTS;
                retry_after(&answer.headers, jiff::Timestamp::now())
                    .filter(|_| !throttled)
                    .unwrap_or_default()
            }
            Ok(_) => {
                self.budget.deposit();
                return None;
            }
            Err(error) if error.again => Duration::ZERO,
            Err(_) => return None,
        };
        let pause = asked.max(self.jittered());
        let pointless = request.time_left().is_some_and(|left| left <= pause);
        if self.left == 0 || pointless || !self.budget.withdraw() {
            return None;
        }
        self.left -= 1;
        // Documented by Microsoft: the same id after a time-out, a new one after any response.
        if outcome.is_ok() {
            request.request_id = Uuid::new_v4();
        }
        Some(Box::pin(tokio::time::sleep(pause)))
    }

    fn clone_request(&mut self, request: &Outgoing) -> Option<Outgoing> {
        request.effect.is_read().then(|| request.clone())
    }
}
