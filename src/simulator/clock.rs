//! The simulator's clock: system time plus an offset that only grows.

use jiff::{Timestamp, ToSpan};
use tokio::sync::watch;

/// A clock that can be moved forward, and followed.
#[derive(Debug)]
pub(super) struct Clock {
    offset: watch::Sender<i64>,
}

impl Clock {
    pub(super) fn new() -> Self {
        Self {
            offset: watch::Sender::new(0),
        }
    }

    /// System time plus the offset.
    pub(super) fn now(&self) -> Timestamp {
        Timestamp::now()
            .checked_add(self.offset_micros().microseconds())
            .unwrap_or(Timestamp::MAX)
    }

    /// Microseconds by which this clock is ahead of system time.
    pub(super) fn offset_micros(&self) -> i64 {
        *self.offset.borrow()
    }

    /// Moves forward by so many microseconds; negative amounts change nothing.
    pub(super) fn advance_micros(&self, micros: i64) {
        if micros > 0 {
            self.offset
                .send_modify(|offset| *offset = offset.saturating_add(micros));
        }
    }

    /// Moves forward to `to`; says whether that lies ahead.
    pub(super) fn set(&self, to: Timestamp) -> bool {
        let ahead = to.as_microsecond() - self.now().as_microsecond();
        self.advance_micros(ahead);
        ahead >= 0
    }

    /// Follows the offset.
    pub(super) fn subscribe(&self) -> watch::Receiver<i64> {
        self.offset.subscribe()
    }
}
