//! Failure: why a command did not do what was asked, and how people and scripts are told.

use std::io;

use serde_json::{Value, json};
use tonic::Status;
use tonic_types::StatusExt as _;

use super::exit::Exit;
use super::json::NoJson;
use super::screen::{Screen, Tone};
use crate::config::Problems;

/// Why a command did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The service answered with an error.
    #[error("{0}")]
    Answer(Box<Status>),
    /// The service could not be reached.
    #[error("cannot reach the service at {server}: {error}")]
    Unreachable {
        /// Its URL.
        server: String,
        /// Why not.
        error: String,
    },
    /// The arguments contradict each other or the surroundings.
    #[error("{0}")]
    Usage(String),
    /// The configuration is wrong.
    #[error("{0}")]
    Configuration(#[from] Problems),
    /// A message could not be shown.
    #[error("{0}")]
    Json(#[from] NoJson),
    /// Whoever reads our output has gone; nothing is wrong.
    #[error("the output was closed")]
    OutputClosed,
    /// Anything else.
    #[error("{0}")]
    Other(String),
}

impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        Self::Answer(Box::new(status))
    }
}

impl Failure {
    /// Writing failed.
    pub(crate) fn output(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            Self::OutputClosed
        } else {
            Self::Other(format!("cannot write: {error}"))
        }
    }

    /// How the program ends because of it.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Answer(status) => Exit::of_code(status.code()),
            Self::Unreachable { .. } => Exit::Unavailable,
            Self::Usage(_) | Self::Configuration(_) => Exit::Usage,
            Self::OutputClosed => Exit::Ok,
            Self::Json(_) | Self::Other(_) => Exit::Failure,
        }
    }

    /// Tells standard error, as JSON or as text; says nothing when nothing is wrong.
    pub(crate) fn tell(&self, screen: Screen) {
        if matches!(self, Self::OutputClosed) {
            return;
        }
        if screen.json {
            eprintln!("{}", json!({ "error": self.as_json() }));
        } else {
            eprint!("{}", self.as_text(screen));
        }
    }

    fn as_text(&self, screen: Screen) -> String {
        let mut text = match self {
            Self::Answer(status) => return answer_text(status, screen),
            Self::Unreachable { .. } => format!(
                "error: {self}\n  Is it running? `relationship-service serve` starts one; --server or \
                 RELATIONSHIP_SERVER says where it is."
            ),
            other => format!("error: {other}"),
        };
        text.push('\n');
        text
    }

    fn as_json(&self) -> Value {
        match self {
            Self::Answer(status) => answer_json(status),
            Self::Configuration(problems) => json!({
                "message": "the configuration is wrong",
                "problems": problems.0.iter().map(|problem| json!({
                    "key": problem.key,
                    "origin": problem.origin,
                    "wrong": problem.wrong,
                    "remedy": problem.remedy,
                })).collect::<Vec<_>>(),
            }),
            other => json!({ "message": other.to_string() }),
        }
    }
}

/// The name of a gRPC code as the specification writes it.
fn code_name(code: tonic::Code) -> &'static str {
    use tonic::Code;
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

fn answer_text(status: &Status, screen: Screen) -> String {
    let details = status.get_error_details();
    let reason = details.error_info().map(|info| info.reason.clone());
    let title = reason
        .clone()
        .unwrap_or_else(|| code_name(status.code()).to_owned());
    let mut text = format!(
        "{} {}\n",
        screen.paint(Tone::Bad, &format!("{title}:")),
        status.message()
    );
    if let Some(bad) = details.bad_request() {
        for violation in &bad.field_violations {
            text.push_str(&screen.paragraph(
                &format!("{}: {}", violation.field, violation.description),
                2,
            ));
        }
    }
    if let Some(preconditions) = details.precondition_failure() {
        for violation in &preconditions.violations {
            text.push_str(&format!(
                "\n  {}  {}\n",
                screen.paint(Tone::Warn, &violation.r#type),
                violation.subject
            ));
            text.push_str(&screen.paragraph(&violation.description, 4));
        }
    }
    if let Some(info) = details.error_info() {
        let mut members: Vec<_> = info.metadata.iter().collect();
        members.sort();
        if !members.is_empty() {
            text.push('\n');
            let members: Vec<_> = members
                .into_iter()
                .map(|(key, value)| (key.as_str(), value.clone()))
                .collect();
            text.push_str(&screen.fields(&members));
        }
    }
    let advice = advice(status, retry_seconds(status));
    if !advice.is_empty() {
        text.push('\n');
        text.push_str(&screen.paragraph(&advice, 2));
    }
    if reason.is_some() {
        text.push_str(&screen.paint(
            Tone::Faint,
            &format!("  docs/errors.md explains {title}.\n"),
        ));
    }
    text
}

/// What to do about it, for the codes where that does not stand in the answer.
fn advice(status: &Status, retry: Option<u64>) -> String {
    match (status.code(), retry) {
        (_, Some(seconds)) => format!("Try again in {seconds} s."),
        (tonic::Code::Unavailable | tonic::Code::DeadlineExceeded, None) => {
            "Try again later; repeating a removal is safe with the same --request-id.".to_owned()
        }
        (tonic::Code::Aborted, None) => {
            "Preview again, look at what changed, then repeat with the new plan hash.".to_owned()
        }
        _ => String::new(),
    }
}

fn retry_seconds(status: &Status) -> Option<u64> {
    let delay = status.get_details_retry_info()?.retry_delay?;
    Some(delay.as_secs() + u64::from(delay.subsec_nanos() > 0))
}

fn answer_json(status: &Status) -> Value {
    let details = status.get_error_details();
    let info = details.error_info();
    json!({
        "code": code_name(status.code()),
        "message": status.message(),
        "reason": info.map(|info| info.reason.clone()),
        "domain": info.map(|info| info.domain.clone()),
        "metadata": info.map(|info| {
            info.metadata.iter().collect::<std::collections::BTreeMap<_, _>>()
        }),
        "field_violations": details.bad_request().map(|bad| {
            bad.field_violations.iter().map(|violation| json!({
                "field": violation.field,
                "description": violation.description,
            })).collect::<Vec<_>>()
        }).unwrap_or_default(),
        "precondition_violations": details.precondition_failure().map(|failure| {
            failure.violations.iter().map(|violation| json!({
                "type": violation.r#type,
                "subject": violation.subject,
                "description": violation.description,
            })).collect::<Vec<_>>()
        }).unwrap_or_default(),
        "retry_after_seconds": retry_seconds(status),
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::time::Duration;

    use tonic_types::ErrorDetails;

    use super::*;

    fn blocked() -> Failure {
        let mut details = ErrorDetails::new();
        details
            .set_error_info(
                "BLOCKED",
                "relationship.v1",
                [("total", "2"), ("customer_id", "c")].map(|(k, v)| (k.to_owned(), v.to_owned())),
            )
            .add_precondition_failure_violation("TRIAL_ACTIVE", "subscription/1", "Wait for it.")
            .add_precondition_failure_violation("TRANSFER_PENDING", "transfer/2", "Decline it.");
        Status::with_error_details(tonic::Code::FailedPrecondition, "2 blockers stand", details)
            .into()
    }

    #[test]
    fn every_violation_is_told_to_people() {
        let text = blocked().as_text(Screen::plain());
        for part in [
            "BLOCKED: 2 blockers stand",
            "TRIAL_ACTIVE  subscription/1",
            "Wait for it.",
            "TRANSFER_PENDING  transfer/2",
            "Decline it.",
            "customer_id  c",
        ] {
            assert!(text.contains(part), "{part} is missing in\n{text}");
        }
    }

    #[test]
    fn every_violation_is_told_to_scripts() {
        let value = blocked().as_json();
        assert_eq!(value["code"], "FAILED_PRECONDITION");
        assert_eq!(value["reason"], "BLOCKED");
        assert_eq!(value["metadata"]["total"], "2");
        assert_eq!(
            value["precondition_violations"][1]["type"],
            "TRANSFER_PENDING"
        );
        assert_eq!(value["field_violations"], json!([]));
        assert_eq!(blocked().exit(), Exit::Blocked);
    }

    #[test]
    fn when_to_try_again_is_told_in_whole_seconds() {
        let details = ErrorDetails::with_retry_info(Some(Duration::from_millis(1_500)));
        let failure: Failure =
            Status::with_error_details(tonic::Code::ResourceExhausted, "slow down", details).into();
        assert!(
            failure
                .as_text(Screen::plain())
                .contains("Try again in 2 s.")
        );
        assert_eq!(failure.as_json()["retry_after_seconds"], 2);
        assert_eq!(failure.exit(), Exit::Unavailable);
    }
}
