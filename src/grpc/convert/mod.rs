//! Convert: protobuf ↔ domain. Requests are checked as a whole, so that a caller hears of everything
//! that is wrong at once; answers are filled from the domain without deciding anything.

mod enums;
mod offboarding;
mod preview;
mod requests;

use crate::domain::time::Time;

pub(super) use offboarding::{event, offboarding};
pub(super) use preview::preview;
pub(super) use requests::{
    cancel, events, list, partner_only, preview_request, removal, selector, watch,
};

/// A moment as protobuf writes it.
pub(super) fn timestamp(at: Time) -> prost_types::Timestamp {
    let mut seconds = at.as_second();
    let mut nanos = at.subsec_nanosecond();
    // Before 1970 the parts of a jiff timestamp are both negative; protobuf wants nanos from 0 on.
    if nanos < 0 {
        seconds -= 1;
        nanos += 1_000_000_000;
    }
    prost_types::Timestamp { seconds, nanos }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
