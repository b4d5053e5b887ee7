//! What comes back up the stack: an answer, or why there is none.

use http::{HeaderMap, StatusCode};
use uuid::Uuid;

use super::outgoing::Outgoing;
use crate::domain::failure::{FailureClass, UpstreamFailure};

/// An answer, read whole.
#[derive(Debug, Clone)]
pub struct Answer {
    /// HTTP status.
    pub status: StatusCode,
    /// Headers.
    pub headers: HeaderMap,
    /// Body as it came (a BOM included).
    pub body: Vec<u8>,
    /// `MS-RequestId` under which it was sent.
    pub request_id: Uuid,
}

impl Answer {
    /// A header as text, if it is there and readable.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// Why there is no answer.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{failure}")]
pub struct CallError {
    /// Whether the request was handed to the network: if not, it changed nothing.
    pub sent: bool,
    /// Whether the transport failed in a way that another attempt at a read may not.
    pub(super) again: bool,
    /// What happened, with the ids of the call.
    pub failure: Box<UpstreamFailure>,
}

impl CallError {
    /// A failure of `request` before it was sent.
    pub fn not_sent(request: &Outgoing, class: FailureClass, text: impl Into<String>) -> Self {
        Self::of(request, false, class, text)
    }

    /// A failure of `request` after it was sent.
    pub fn no_answer(request: &Outgoing, class: FailureClass, text: impl Into<String>) -> Self {
        Self::of(request, true, class, text)
    }

    fn of(request: &Outgoing, sent: bool, class: FailureClass, text: impl Into<String>) -> Self {
        let mut failure = UpstreamFailure::new(class, request.endpoint, text);
        failure.request_id = Some(request.request_id.to_string());
        failure.correlation_id = request.correlation.map(|id| id.to_string());
        Self {
            sent,
            again: false,
            failure: Box::new(failure),
        }
    }

    /// Says that another attempt at a read may go better.
    pub(super) fn passing(mut self) -> Self {
        self.again = true;
        self
    }

    /// Adds how long upstream asked us to wait.
    #[must_use]
    pub fn retry_after(mut self, wait: std::time::Duration) -> Self {
        self.failure.retry_after_ms = Some(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX));
        self
    }
}
