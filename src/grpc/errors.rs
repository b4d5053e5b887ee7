//! Errors: the only place that builds a `tonic::Status`, and where a failed call is logged, once.
//!
//! Follows AIP-193: always `google.rpc.ErrorInfo` with a stable [`Reason`]; where it helps also
//! `BadRequest`, `PreconditionFailure` and `RetryInfo`. Everything is cut so that the trailers of an
//! answer stay below 8 KiB: C-core clients break above it and hide the error.

use std::any::Any;
use std::collections::HashMap;
use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, PreconditionViolation, StatusExt as _};

use crate::application::error::{Earlier, Error, Violation};
use crate::application::store::StoreError;
use crate::domain::blocker::Blocker;
use crate::domain::failure::{FailureClass, UpstreamFailure};

/// The domain of every `ErrorInfo`.
pub const DOMAIN: &str = "relationship.v1";

/// At most so many blockers travel with a refusal; the preview has all of them.
const MAX_BLOCKERS: usize = 20;
/// Bytes that violations may take before base64; with the rest of a status this stays below 8 KiB.
const VIOLATIONS_BUDGET: usize = 4_000;
/// Bytes of the status message; it travels twice, once percent-encoded.
const MAX_MESSAGE: usize = 400;
/// Bytes of one value of `ErrorInfo.metadata`.
const MAX_METADATA: usize = 256;
/// Bytes of one description.
const MAX_DESCRIPTION: usize = 300;
/// Bytes of one field path or subject.
const MAX_SUBJECT: usize = 120;
/// What `RetryInfo` says when upstream names no span.
const DEFAULT_RETRY: Duration = Duration::from_secs(10);

/// The stable reason of a failed call. Callers branch on it; `docs/errors.md` explains each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The request breaks rules that need no look at anything.
    InvalidRequest,
    /// No such partner is configured, or none was named and there are several.
    UnknownPartner,
    /// The customer id is the partner's own tenant.
    CustomerIsPartner,
    /// The page token is not one of ours, or belongs to another question.
    InvalidPageToken,
    /// The request id was used for another request.
    RequestIdReused,
    /// There is no such offboarding.
    OffboardingNotFound,
    /// There is no relationship and no sign that there was one.
    CustomerNotRelated,
    /// Blockers that the policy does not clear now.
    Blocked,
    /// The plan is not the one that the caller agreed to.
    PlanChanged,
    /// Another offboarding of the customer is unfinished.
    OffboardingInProgress,
    /// Too late to cancel.
    RemovalAlreadySent,
    /// The offboarding has ended otherwise.
    OffboardingEnded,
    /// Partner Center refused our credentials.
    UpstreamCredentials,
    /// Partner Center wants a sign-in with MFA.
    UpstreamMfaRequired,
    /// Partner Center says that we lack a role.
    UpstreamForbidden,
    /// Microsoft reviews the customer.
    CustomerUnderReview,
    /// Microsoft locked the customer.
    CustomerLocked,
    /// Too many requests to Partner Center.
    UpstreamThrottled,
    /// Partner Center did not answer.
    UpstreamUnavailable,
    /// Partner Center answered something that the contract does not know.
    UpstreamNonsense,
    /// Partner Center refused.
    UpstreamRefused,
    /// The caller's deadline passed.
    DeadlineExceeded,
    /// Somebody else changed the offboarding at the same moment.
    Conflict,
    /// The database did not do it.
    StoreUnavailable,
    /// The service is about to stop.
    Stopping,
    /// A fault of the service.
    Internal,
}

/// Who has to hear of a failed call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Concern {
    /// The caller only.
    Caller,
    /// Whoever looks at the log later.
    Passing,
    /// Whoever runs the service.
    Operator,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Self; 26] = [
        Self::InvalidRequest,
        Self::UnknownPartner,
        Self::CustomerIsPartner,
        Self::InvalidPageToken,
        Self::RequestIdReused,
        Self::OffboardingNotFound,
        Self::CustomerNotRelated,
        Self::Blocked,
        Self::PlanChanged,
        Self::OffboardingInProgress,
        Self::RemovalAlreadySent,
        Self::OffboardingEnded,
        Self::UpstreamCredentials,
        Self::UpstreamMfaRequired,
        Self::UpstreamForbidden,
        Self::CustomerUnderReview,
        Self::CustomerLocked,
        Self::UpstreamThrottled,
        Self::UpstreamUnavailable,
        Self::UpstreamNonsense,
        Self::UpstreamRefused,
        Self::DeadlineExceeded,
        Self::Conflict,
        Self::StoreUnavailable,
        Self::Stopping,
        Self::Internal,
    ];

    /// The stable name.
    pub fn as_str(self) -> &'static str {
        self.row().0
    }

    /// The gRPC code that goes with it.
    pub fn code(self) -> Code {
        self.row().1
    }

    fn concern(self) -> Concern {
        self.row().2
    }

    fn row(self) -> (&'static str, Code, Concern) {
        use Concern::{Caller, Operator, Passing};
        match self {
            Self::InvalidRequest => ("INVALID_REQUEST", Code::InvalidArgument, Caller),
            Self::UnknownPartner => ("UNKNOWN_PARTNER", Code::InvalidArgument, Caller),
            Self::CustomerIsPartner => ("CUSTOMER_IS_PARTNER", Code::InvalidArgument, Caller),
            Self::InvalidPageToken => ("INVALID_PAGE_TOKEN", Code::InvalidArgument, Caller),
            Self::RequestIdReused => ("REQUEST_ID_REUSED", Code::InvalidArgument, Caller),
            Self::OffboardingNotFound => ("OFFBOARDING_NOT_FOUND", Code::NotFound, Caller),
            Self::CustomerNotRelated => ("CUSTOMER_NOT_RELATED", Code::NotFound, Caller),
            Self::Blocked => ("BLOCKED", Code::FailedPrecondition, Caller),
            Self::PlanChanged => ("PLAN_CHANGED", Code::Aborted, Caller),
            Self::OffboardingInProgress => ("OFFBOARDING_IN_PROGRESS", Code::AlreadyExists, Caller),
            Self::RemovalAlreadySent => ("REMOVAL_ALREADY_SENT", Code::FailedPrecondition, Caller),
            Self::OffboardingEnded => ("OFFBOARDING_ENDED", Code::FailedPrecondition, Caller),
            Self::UpstreamCredentials => {
                ("UPSTREAM_CREDENTIALS", Code::FailedPrecondition, Operator)
            }
            Self::UpstreamMfaRequired => {
                ("UPSTREAM_MFA_REQUIRED", Code::FailedPrecondition, Operator)
            }
            Self::UpstreamForbidden => ("UPSTREAM_FORBIDDEN", Code::FailedPrecondition, Operator),
            Self::CustomerUnderReview => {
                ("CUSTOMER_UNDER_REVIEW", Code::FailedPrecondition, Passing)
            }
            Self::CustomerLocked => ("CUSTOMER_LOCKED", Code::FailedPrecondition, Passing),
            Self::UpstreamThrottled => ("UPSTREAM_THROTTLED", Code::ResourceExhausted, Passing),
            Self::UpstreamUnavailable => ("UPSTREAM_UNAVAILABLE", Code::Unavailable, Passing),
            Self::UpstreamNonsense => ("UPSTREAM_NONSENSE", Code::Unavailable, Passing),
            Self::UpstreamRefused => ("UPSTREAM_REFUSED", Code::FailedPrecondition, Passing),
            Self::DeadlineExceeded => ("DEADLINE_EXCEEDED", Code::DeadlineExceeded, Caller),
            Self::Conflict => ("CONFLICT", Code::Aborted, Passing),
            Self::StoreUnavailable => ("STORE_UNAVAILABLE", Code::Unavailable, Operator),
            Self::Stopping => ("STOPPING", Code::Unavailable, Caller),
            Self::Internal => ("INTERNAL", Code::Internal, Operator),
        }
    }
}

impl From<FailureClass> for Reason {
    fn from(class: FailureClass) -> Self {
        match class {
            FailureClass::Credentials => Self::UpstreamCredentials,
            FailureClass::MfaRequired => Self::UpstreamMfaRequired,
            FailureClass::Forbidden => Self::UpstreamForbidden,
            FailureClass::CustomerUnderReview => Self::CustomerUnderReview,
            FailureClass::CustomerLocked => Self::CustomerLocked,
            FailureClass::Throttled => Self::UpstreamThrottled,
            FailureClass::Unavailable => Self::UpstreamUnavailable,
            FailureClass::Nonsense => Self::UpstreamNonsense,
            FailureClass::NotRelated
            | FailureClass::ResourceNotFound
            | FailureClass::StaleEtag
            | FailureClass::Pending
            | FailureClass::Refused => Self::UpstreamRefused,
        }
    }
}

/// A status in the making.
struct Answer {
    reason: Reason,
    message: String,
    metadata: HashMap<String, String>,
    details: ErrorDetails,
}

impl Answer {
    fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: cut(message.into(), MAX_MESSAGE),
            metadata: HashMap::new(),
            details: ErrorDetails::new(),
        }
    }

    /// Adds to the metadata; an empty value is left out.
    fn with(mut self, key: &str, value: impl ToString) -> Self {
        let value = value.to_string();
        if !value.is_empty() {
            self.metadata
                .insert(key.to_owned(), cut(value, MAX_METADATA));
        }
        self
    }

    /// Adds everything that a support engineer asks for.
    fn with_failure(self, failure: &UpstreamFailure) -> Self {
        let text = |member: &Option<String>| member.clone().unwrap_or_default();
        self.with("upstream_class", failure.class.as_str())
            .with("upstream_call", &failure.call)
            .with(
                "upstream_status",
                failure.status.map(|s| s.to_string()).unwrap_or_default(),
            )
            .with("upstream_code", text(&failure.code))
            .with("ms_request_id", text(&failure.request_id))
            .with("ms_correlation_id", text(&failure.correlation_id))
            .with("ms_cv", text(&failure.ms_cv))
    }

    /// The status; not logged yet.
    fn build(mut self) -> Status {
        self.details
            .set_error_info(self.reason.as_str(), DOMAIN, self.metadata);
        Status::with_error_details(self.reason.code(), self.message, self.details)
    }

    /// Logs the failed call and gives its status. `cause` is for the log alone.
    fn finish(self, cause: &dyn std::fmt::Display) -> Status {
        let reason = self.reason.as_str();
        match self.reason.concern() {
            Concern::Caller => tracing::debug!(reason, %cause, "call refused"),
            Concern::Passing => tracing::warn!(reason, %cause, "call failed"),
            Concern::Operator => {
                tracing::error!(reason, incident = self.metadata.get("incident"), %cause, "call failed");
            }
        }
        self.build()
    }
}

/// The status that tells a caller why a use case did not do what was asked. Logs it.
pub fn status(error: &Error) -> Status {
    answer(error).finish(error)
}

fn answer(error: &Error) -> Answer {
    match error {
        Error::Invalid(violations) => invalid(violations),
        Error::UnknownPartner { named, known } => {
            let known: Vec<&str> = known.iter().map(|alias| alias.as_str()).collect();
            let known = if known.is_empty() {
                "none".to_owned()
            } else {
                known.join(", ")
            };
            let message = if named.is_empty() {
                format!("Name a partner: exactly one would have to be configured. Configured: {known}.")
            } else {
                format!(
                    "No partner \"{}\" is configured. Configured: {known}.",
                    cut(named.clone(), MAX_SUBJECT)
                )
            };
            Answer::new(Reason::UnknownPartner, message)
                .with("partner", named)
                .with("configured", known)
        }
        Error::OwnTenant => Answer::new(
            Reason::CustomerIsPartner,
            "customer_id is the partner's own tenant.",
        ),
        Error::InvalidPageToken => Answer::new(
            Reason::InvalidPageToken,
            "The page token is damaged, or belongs to another filter or caller. Start with an empty one.",
        ),
        Error::RequestIdReused { existing } => Answer::new(
            Reason::RequestIdReused,
            "This request_id was used for another request. Use a new one for a new request.",
        )
        .with("offboarding_id", existing),
        Error::OffboardingNotFound => {
            Answer::new(Reason::OffboardingNotFound, "There is no such offboarding.")
        }
        Error::CustomerNotRelated {
            customer,
            earlier,
            answer,
        } => Answer::new(
            Reason::CustomerNotRelated,
            match earlier {
                Earlier::Nothing => format!(
                    "Customer {customer} has no relationship with this partner, and nothing shows that \
                     it had one. Is the id right?"
                ),
                Earlier::Removed => format!(
                    "Customer {customer} has no relationship with this partner any more: its removal is \
                     on record. RemoveRelationship verifies that it is gone and changes nothing."
                ),
                Earlier::Unknown => format!(
                    "Customer {customer} has no relationship with this partner. Whether it had one could \
                     not be read."
                ),
            },
        )
        .with("customer_id", customer)
        .with_failure(answer),
        Error::Blocked(blockers) => blocked(blockers),
        Error::PlanChanged { expected, actual } => Answer::new(
            Reason::PlanChanged,
            "The plan is not the one that was agreed to. Preview again.",
        )
        .with("expected_plan_hash", expected)
        .with("plan_hash", actual),
        Error::OffboardingInProgress { existing } => Answer::new(
            Reason::OffboardingInProgress,
            format!("Offboarding {existing} of this customer is unfinished."),
        )
        .with("offboarding_id", existing),
        Error::RemovalAlreadySent { id } => Answer::new(
            Reason::RemovalAlreadySent,
            "The removal was sent and has not been refused: too late to cancel.",
        )
        .with("offboarding_id", id),
        Error::OffboardingEnded { id, state } => Answer::new(
            Reason::OffboardingEnded,
            format!("The offboarding has ended: {state}."),
        )
        .with("offboarding_id", id)
        .with("state", state),
        Error::Upstream(failure) => upstream(failure),
        Error::DeadlineExceeded => late(),
        Error::Store(error) => store(error),
    }
}

fn invalid(violations: &[Violation]) -> Answer {
    let message = match violations {
        [only] => format!("{}: {}", only.field, only.description),
        _ => format!("{} fields are not as they must be.", violations.len()),
    };
    let mut spent = 0;
    let listed: Vec<FieldViolation> = violations
        .iter()
        .map(|violation| {
            FieldViolation::new(
                cut(violation.field.clone(), MAX_SUBJECT),
                cut(violation.description.clone(), MAX_DESCRIPTION),
            )
        })
        .take_while(|v| fits(&mut spent, &[&v.field, &v.description]))
        .collect();
    let mut answer = Answer::new(Reason::InvalidRequest, message)
        .with("violations", violations.len())
        .with("violations_listed", listed.len());
    answer.details.set_bad_request(listed);
    answer
}

fn blocked(blockers: &[Blocker]) -> Answer {
    let mut spent = 0;
    let listed: Vec<PreconditionViolation> = blockers
        .iter()
        .take(MAX_BLOCKERS)
        .map(|blocker| {
            let resource = &blocker.resource;
            let subject = format!("{}/{}", resource.kind.as_str(), resource.id);
            // The remedy is what the caller needs; a long name must not push it out.
            let message = cut(blocker.message.clone(), MAX_DESCRIPTION / 2);
            PreconditionViolation::new(
                blocker.reason.as_str(),
                cut(subject, MAX_SUBJECT),
                cut(format!("{message} {}", blocker.remedy), MAX_DESCRIPTION),
            )
        })
        .take_while(|v| fits(&mut spent, &[&v.r#type, &v.subject, &v.description]))
        .collect();
    let total = blockers.len();
    let mut message = match total {
        1 => "1 blocker stands in the way of the removal.".to_owned(),
        _ => format!("{total} blockers stand in the way of the removal."),
    };
    if listed.len() < total {
        message.push_str(&format!(
            " The first {} are listed; PreviewRemoval shows all of them.",
            listed.len()
        ));
    }
    let mut answer = Answer::new(Reason::Blocked, message)
        .with("blockers", total)
        .with("blockers_listed", listed.len());
    answer.details.set_precondition_failure(listed);
    answer
}

fn upstream(failure: &UpstreamFailure) -> Answer {
    let reason = Reason::from(failure.class);
    let mut answer =
        Answer::new(reason, format!("Partner Center: {failure}")).with_failure(failure);
    if reason == Reason::UpstreamThrottled {
        let after = failure
            .retry_after_ms
            .map_or(DEFAULT_RETRY, Duration::from_millis);
        answer.details.set_retry_info(Some(after));
    }
    answer
}

fn store(error: &StoreError) -> Answer {
    match error {
        StoreError::NotFound => {
            Answer::new(Reason::OffboardingNotFound, "There is no such offboarding.")
        }
        StoreError::Conflict => Answer::new(
            Reason::Conflict,
            "The offboarding changed at the same moment. Ask again.",
        ),
        StoreError::Unavailable(_) => Answer::new(
            Reason::StoreUnavailable,
            "The database of the service does not answer. Nothing was changed.",
        ),
        StoreError::Corrupt(_) | StoreError::ClaimLost => internal(),
    }
}

fn internal() -> Answer {
    // The log has the cause, under this id; the caller gets nothing but the id.
    Answer::new(
        Reason::Internal,
        "The service has a fault. Its log says more under the incident of this answer.",
    )
    .with("incident", uuid::Uuid::new_v4())
}

fn late() -> Answer {
    Answer::new(
        Reason::DeadlineExceeded,
        "The caller's deadline passed. What was asked may have been done all the same.",
    )
}

/// The status of a call whose deadline passed.
pub fn deadline_exceeded() -> Status {
    late().finish(&"the caller's deadline passed")
}

/// The status of a call that panicked. The panic's text goes to the log alone.
pub fn panicked(panic: &(dyn Any + Send)) -> Status {
    let text = panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without a text".to_owned());
    internal().finish(&format_args!("panic: {text}"))
}

/// The status that ends a watch because the service stops.
pub fn stopping() -> Status {
    Answer::new(
        Reason::Stopping,
        "The service stops. Watch again with the sequence that was seen last.",
    )
    .finish(&"the service stops")
}

/// Whether these texts still fit into the budget for violations; spends it.
fn fits(spent: &mut usize, texts: &[&str]) -> bool {
    // A tag and a length for each text and for the message around them.
    *spent += texts.iter().map(|text| text.len() + 4).sum::<usize>() + 4;
    *spent <= VIOLATIONS_BUDGET
}

/// Cuts a text to `max` bytes, at a character.
fn cut(mut text: String, max: usize) -> String {
    if text.len() > max {
        let mut end = max - '…'.len_utf8();
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        text.push('…');
    }
    text
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
