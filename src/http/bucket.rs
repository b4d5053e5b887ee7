//! Bucket: a rate that adapts, closed by Retry-After and opened by one probe.

use std::time::Duration;

use tokio::time::Instant;

use super::limiter::Limits;

/// Slowest rate that cuts lead to, in requests per minute.
const FLOOR: f64 = 6.0;
/// What a minute of full use without a 429 adds, in requests per minute: from the floor back to the
/// documented 500 in less than ten minutes.
const INCREASE: f64 = 60.0;

#[derive(Debug, Clone, Copy, PartialEq)]
enum State {
    Open,
    Closed { until: Instant },
    Probing,
}

/// One bucket.
#[derive(Debug)]
pub(super) struct Bucket {
    /// Per second.
    rate: f64,
    tokens: f64,
    refilled: Instant,
    state: State,
    /// End of the Retry-After window that was already paid for with a cut.
    cut_until: Option<Instant>,
    limits: Limits,
}

impl Bucket {
    /// The rate, in requests per minute.
    pub(super) fn per_minute(&self) -> f64 {
        self.rate * 60.0
    }

    pub(super) fn new(limits: Limits, now: Instant) -> Self {
        Self {
            rate: f64::from(limits.per_minute.max(1)) / 60.0,
            tokens: f64::from(limits.per_minute.max(1)),
            refilled: now,
            state: State::Open,
            cut_until: None,
            limits,
        }
    }

    fn refill(&mut self, now: Instant) {
        let burst = (self.rate * 60.0).min(f64::from(self.limits.per_minute.max(1)));
        let elapsed = now.saturating_duration_since(self.refilled).as_secs_f64();
        self.tokens = (self.tokens + elapsed * self.rate).min(burst.max(1.0));
        self.refilled = now;
    }

    /// From when on a request may go; `None`: when the probe is back.
    pub(super) fn ready_at(&mut self, now: Instant) -> Option<Instant> {
        match self.state {
            State::Open => {
                self.refill(now);
                let missing = 1.0 - self.tokens;
                if missing <= 1e-9 {
                    return Some(now);
                }
                // Rounded up, so that the timer does not fire a hair too early.
                let wait = Duration::from_secs_f64(missing / self.rate);
                Some(now + wait + Duration::from_micros(10))
            }
            State::Closed { until } => Some(until.max(now)),
            State::Probing => None,
        }
    }

    /// Takes one request; whether it is a probe.
    pub(super) fn take(&mut self, now: Instant) -> bool {
        match self.state {
            State::Open => {
                self.refill(now);
                self.tokens -= 1.0;
                false
            }
            State::Closed { .. } | State::Probing => {
                self.state = State::Probing;
                true
            }
        }
    }

    pub(super) fn answered(&mut self, probe: bool, now: Instant) {
        if probe && self.state == State::Probing {
            self.state = State::Open;
            self.tokens = 0.0;
            self.refilled = now;
        }
        let per_minute = self.rate * 60.0;
        let ceiling = f64::from(self.limits.ceiling.max(self.limits.per_minute));
        self.rate = (per_minute + INCREASE / per_minute).min(ceiling) / 60.0;
    }

    pub(super) fn throttled(&mut self, wait: Duration, now: Instant) {
        // A probe that is turned away says that the window is still shut, nothing about the rate.
        let probing = self.state == State::Probing;
        if !probing && self.cut_until.is_none_or(|until| now >= until) {
            self.rate = (self.rate * 60.0 / 2.0).max(FLOOR) / 60.0;
            self.cut_until = Some(now + wait);
        }
        let until = match self.state {
            State::Closed { until } => until.max(now + wait),
            _ => now + wait,
        };
        self.state = State::Closed { until };
        self.tokens = 0.0;
    }

    pub(super) fn abandoned(&mut self, probe: bool, now: Instant) {
        if probe && self.state == State::Probing {
            self.state = State::Closed { until: now };
        }
    }

    /// How long it stays closed; `None` when it is open.
    pub(super) fn closed_for(&self, now: Instant) -> Option<Duration> {
        match self.state {
            State::Open => None,
            State::Closed { until } => Some(until.saturating_duration_since(now)),
            State::Probing => Some(Duration::ZERO),
        }
    }

    pub(super) fn recovered(&self) -> bool {
        self.state == State::Open && self.rate * 60.0 >= f64::from(self.limits.per_minute)
    }
}
