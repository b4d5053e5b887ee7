//! What upstream answered instead of what was asked, kept verbatim, and what it means.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a failed upstream call means for us. One table in the Partner Center client maps every
/// (status, code) pair to one of these; nothing else decides on statuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureClass {
    /// Upstream says there is no relationship with this customer.
    NotRelated,
    /// The resource (not the customer) is unknown upstream.
    ResourceNotFound,
    /// The access token was refused (audience, expiry, signature) or could not be obtained.
    Credentials,
    /// The token lacks the MFA claim.
    MfaRequired,
    /// The user or application lacks a role, or the resource wants app+user.
    Forbidden,
    /// The customer is under review by Microsoft.
    CustomerUnderReview,
    /// The customer is locked for transactions.
    CustomerLocked,
    /// The body's etag is stale: read again.
    StaleEtag,
    /// The resource is busy upstream; the same request may succeed later.
    Pending,
    /// Too many requests. Nothing was done.
    Throttled,
    /// No answer, or an answer that does not say whether the request took effect.
    Unavailable,
    /// The answer is not what the contract says (HTML, cut body, wrong type, foreign redirect).
    Nonsense,
    /// Any other refusal: Microsoft said no, in words kept verbatim.
    Refused,
}

impl FailureClass {
    /// Whether a *changing* call that failed like this may all the same have taken effect.
    pub fn leaves_outcome_unknown(self) -> bool {
        matches!(self, Self::Unavailable | Self::Nonsense)
    }

    /// Whether the same call may succeed later without anybody acting.
    pub fn may_pass(self) -> bool {
        matches!(
            self,
            Self::Unavailable | Self::Nonsense | Self::Throttled | Self::Pending | Self::StaleEtag
        )
    }

    /// Whether the operator of this service has to act: our own standing upstream is the problem.
    pub fn is_ours(self) -> bool {
        matches!(
            self,
            Self::Credentials | Self::MfaRequired | Self::Forbidden
        )
    }

    /// Stable name in logs and records.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotRelated => "not_related",
            Self::ResourceNotFound => "resource_not_found",
            Self::Credentials => "credentials",
            Self::MfaRequired => "mfa_required",
            Self::Forbidden => "forbidden",
            Self::CustomerUnderReview => "customer_under_review",
            Self::CustomerLocked => "customer_locked",
            Self::StaleEtag => "stale_etag",
            Self::Pending => "pending",
            Self::Throttled => "throttled",
            Self::Unavailable => "unavailable",
            Self::Nonsense => "nonsense",
            Self::Refused => "refused",
        }
    }
}

/// A failed upstream call: its meaning and everything a support engineer asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpstreamFailure {
    /// What it means.
    pub class: FailureClass,
    /// Which call, e.g. `GET /v1/customers/{customer}`.
    pub call: String,
    /// HTTP status; `None` when no answer came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Partner Center's error code as text; `None` when the answer had none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// Upstream's text verbatim (at most 1,024 characters), or ours when there was no answer.
    pub text: String,
    /// `MS-RequestId` of the call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// `MS-CorrelationId` of the call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<String>,
    /// `MS-CV` of the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ms_cv: Option<String>,
    /// How long upstream asked us to wait, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
}

impl UpstreamFailure {
    /// A failure that has only a meaning and our own words for it.
    pub fn new(class: FailureClass, call: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            class,
            call: call.into(),
            status: None,
            code: None,
            text: text.into(),
            request_id: None,
            correlation_id: None,
            ms_cv: None,
            retry_after_ms: None,
        }
    }
}

impl fmt::Display for UpstreamFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.call)?;
        match (self.status, &self.code) {
            (Some(status), Some(code)) => write!(f, "{status}/{code} ")?,
            (Some(status), None) => write!(f, "{status} ")?,
            _ => {}
        }
        f.write_str(&self.text)
    }
}

impl std::error::Error for UpstreamFailure {}
