//! The log for people: one line per event.

use crate::cli::screen::{Screen, Tone, wrap};
use crate::cli::words;
use crate::grpc::proto::OffboardingEvent;

/// Columns before the message: sequence, time, state.
const BEFORE: usize = 4 + 2 + 19 + 2 + 11 + 2;

/// One event, wrapped below itself where the message is long; without a line end.
pub(crate) fn line(event: &OffboardingEvent, screen: Screen) -> String {
    let state = event.state();
    let at = words::moment(event.time.as_ref());
    let at = at.strip_suffix(" UTC").unwrap_or(&at);
    let message = if event.message.is_empty() {
        &event.r#type
    } else {
        &event.message
    };
    let mut lines = wrap(message, screen.room(BEFORE)).into_iter();
    let mut text = format!(
        "{}  {}  {}  {}",
        screen.paint(Tone::Faint, &format!("{:>4}", event.sequence)),
        screen.paint(Tone::Faint, &format!("{at:19}")),
        screen.paint(
            super::offboarding::tone(state),
            &format!("{:11}", words::state(state))
        ),
        lines.next().unwrap_or_default(),
    );
    for more in lines {
        text.push_str(&format!("\n{:BEFORE$}{more}", ""));
    }
    text
}

/// Many events with a header; times are in UTC.
pub(crate) fn log(events: &[OffboardingEvent], screen: Screen) -> String {
    if events.is_empty() {
        return "No events.\n".to_owned();
    }
    let header = format!(
        "{:>4}  {:19}  {:11}  {}",
        "seq", "time (UTC)", "state", "what"
    );
    let mut out = format!("{}\n", screen.paint(Tone::Faint, &header));
    for event in events {
        out.push_str(&line(event, screen));
        out.push('\n');
    }
    out
}
