//! Log: bodies of events → numbered, hashed rows, together with the fold and its columns.

use crate::domain::event::{Event, EventBody, Writer, chain};
use crate::domain::ids::OffboardingId;
use crate::domain::offboarding::{BadLog, Offboarding, RemovalProgress, State};
use crate::domain::step::Timing;
use crate::domain::time::{Time, to_micros};

use super::service::LoggedEvent;
use super::store::{Columns, EventRow, FORMAT, OffboardingRow, StoreError};

/// An offboarding as folded from its row, ready to be appended to.
#[derive(Debug, Clone, PartialEq)]
pub struct Log {
    /// The fold.
    pub offboarding: Offboarding,
    /// Hash of the newest event.
    pub head: [u8; 32],
}

/// Events ready to be stored, and the log as it will be then.
#[derive(Debug, Clone)]
pub struct Sealed {
    /// The log afterwards.
    pub log: Log,
    /// The new rows.
    pub events: Vec<EventRow>,
}

impl Log {
    /// Reads the fold of a row.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when the fold is none.
    pub fn of(row: &OffboardingRow) -> Result<Self, StoreError> {
        let offboarding = serde_json::from_str(&row.fold)
            .map_err(|error| StoreError::Corrupt(format!("fold of {}: {error}", row.id)))?;
        Ok(Self {
            offboarding,
            head: row.head,
        })
    }

    /// Starts a log with its acceptance.
    ///
    /// # Errors
    /// [`BadLog`] when `accepted` is no acceptance.
    pub fn begin(id: OffboardingId, at: Time, accepted: EventBody) -> Result<Sealed, BadLog> {
        let event = event(id, 1, at, Writer::Control, accepted);
        let offboarding = Offboarding::begin(&event)?;
        let row = row(&event, offboarding.state, &[0; 32]);
        let head = row.hash;
        Ok(Sealed {
            log: Self { offboarding, head },
            events: vec![row],
        })
    }

    /// Adds events, in memory.
    ///
    /// # Errors
    /// [`BadLog`] when one may not follow.
    pub fn seal(&self, at: Time, by: Writer, bodies: Vec<EventBody>) -> Result<Sealed, BadLog> {
        let mut log = self.clone();
        let mut events = Vec::with_capacity(bodies.len());
        // A business clock never runs backwards within one log.
        let at = at.max(log.offboarding.updated);
        for body in bodies {
            let event = event(
                log.offboarding.id,
                log.offboarding.sequence + 1,
                at,
                by,
                body,
            );
            log.offboarding.apply(&event)?;
            let row = row(&event, log.offboarding.state, &log.head);
            log.head = row.hash;
            events.push(row);
        }
        Ok(Sealed { log, events })
    }

    /// The columns of the row, seen from `now`.
    pub fn columns(&self, now: Time, timing: &Timing) -> Columns {
        let folded = &self.offboarding;
        let mut blocker_reasons: Vec<String> = folded
            .blockers
            .iter()
            .map(|b| b.reason.as_str().to_owned())
            .collect();
        blocker_reasons.sort();
        blocker_reasons.dedup();
        Columns {
            state: folded.state.as_str().to_owned(),
            ended: folded.state.is_terminal(),
            // A fold is plain data; writing it as JSON cannot fail.
            fold: serde_json::to_string(folded).unwrap_or_default(),
            format: FORMAT,
            due: folded.due(now, timing),
            waiting_on: folded
                .waiting(now, timing)
                .map(|waiting| waiting.on.as_str().to_owned()),
            blocker_reasons,
            removal_seen: matches!(folded.removal.progress, RemovalProgress::Done { .. }),
            updated: folded.updated,
        }
    }
}

fn event(
    offboarding: OffboardingId,
    sequence: u64,
    at: Time,
    by: Writer,
    body: EventBody,
) -> Event {
    Event {
        format: FORMAT,
        offboarding,
        sequence,
        at: to_micros(at),
        by,
        body,
    }
}

fn row(event: &Event, state: State, before: &[u8; 32]) -> EventRow {
    // Events are plain data with text keys; writing them as JSON cannot fail.
    let value = serde_json::to_value(event).unwrap_or_default();
    let kind = value
        .get("type")
        .and_then(|kind| kind.as_str())
        .unwrap_or_default()
        .to_owned();
    let text = value.to_string();
    EventRow {
        sequence: event.sequence,
        at: event.at,
        format: event.format,
        kind,
        state: state.as_str().to_owned(),
        hash: chain(before, &text),
        text,
    }
}

/// Reads a stored event.
///
/// # Errors
/// [`StoreError::Corrupt`] when it is none.
pub fn read_event(row: EventRow) -> Result<LoggedEvent, StoreError> {
    let corrupt = |what: String| StoreError::Corrupt(format!("event {}: {what}", row.sequence));
    let event = serde_json::from_str(&row.text).map_err(|error| corrupt(error.to_string()))?;
    let state = State::parse(&row.state).ok_or_else(|| corrupt(format!("state {}", row.state)))?;
    Ok(LoggedEvent {
        event,
        state,
        text: row.text,
        hash: row.hash,
    })
}
