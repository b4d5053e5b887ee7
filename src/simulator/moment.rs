//! Instants in a scenario: absolute, or relative to the start of the simulator so that scenarios never age.

use jiff::{Span, Timestamp, tz::TimeZone};
use serde::{Deserialize, Serialize};

use super::error::SimulatorError;

/// An instant as a scenario writes it: RFC 3339 (`2030-01-31T00:00:00Z`), an ISO 8601 duration with
/// a sign (`+P3D`, `-P1Y`), or a number of seconds relative to the start of the simulator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Moment {
    /// Seconds after (or, negative, before) the start of the simulator.
    Seconds(i64),
    /// RFC 3339, or a signed ISO 8601 duration.
    Text(String),
}

impl Moment {
    /// The instant this means for a simulator that started at `start`.
    ///
    /// # Errors
    /// [`SimulatorError::Scenario`] where the text is neither an instant nor a duration, or the
    /// result lies outside the years that a timestamp can hold.
    pub fn resolve(&self, start: Timestamp) -> Result<Timestamp, SimulatorError> {
        let unclear = |why: String| SimulatorError::Scenario(format!("moment {self:?}: {why}"));
        match self {
            Self::Seconds(seconds) => start
                .checked_add(
                    Span::new()
                        .try_seconds(*seconds)
                        .map_err(|e| unclear(e.to_string()))?,
                )
                .map_err(|e| unclear(e.to_string())),
            Self::Text(text) if text.trim_start_matches(['+', '-']).starts_with('P') => {
                let span: Span = text
                    .parse()
                    .map_err(|e: jiff::Error| unclear(e.to_string()))?;
                add(start, span).map_err(|e| unclear(e.to_string()))
            }
            Self::Text(text) => text
                .parse()
                .map_err(|e: jiff::Error| unclear(e.to_string())),
        }
    }
}

impl From<&str> for Moment {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

/// `instant` moved by a calendar span in UTC (a timestamp alone knows no months).
///
/// # Errors
/// Where the result is out of range.
pub(super) fn add(instant: Timestamp, span: Span) -> Result<Timestamp, jiff::Error> {
    Ok(instant
        .to_zoned(TimeZone::UTC)
        .checked_add(span)?
        .timestamp())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn relative_and_absolute_moments_resolve() {
        let start: Timestamp = "2030-01-31T12:00:00Z".parse().unwrap();
        let at = |m: Moment| m.resolve(start).unwrap().to_string();
        assert_eq!(at("+P1M".into()), "2030-02-28T12:00:00Z");
        assert_eq!(at("-P3D".into()), "2030-01-28T12:00:00Z");
        assert_eq!(at("PT1H".into()), "2030-01-31T13:00:00Z");
        assert_eq!(at(Moment::Seconds(-60)), "2030-01-31T11:59:00Z");
        assert_eq!(at("2031-05-01T00:00:00Z".into()), "2031-05-01T00:00:00Z");
        assert!(Moment::from("soon").resolve(start).is_err());
    }
}
