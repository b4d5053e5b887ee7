//! Deadline: the outermost layer, after which nobody waits any more.

use std::task::{Context, Poll};
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::time::{Instant, timeout_at};
use tower::{Layer, Service, ServiceExt};

use super::answer::{Answer, CallError};
use super::outgoing::Outgoing;
use crate::domain::failure::FailureClass;

/// Gives every request a deadline and enforces it around all that is below.
#[derive(Clone)]
pub(super) struct DeadlineLayer {
    /// For requests that bring none.
    pub(super) longest: Duration,
}

impl<S> Layer<S> for DeadlineLayer {
    type Service = Deadline<S>;

    fn layer(&self, inner: S) -> Deadline<S> {
        Deadline {
            inner,
            longest: self.longest,
        }
    }
}

/// See [`DeadlineLayer`].
#[derive(Clone)]
pub(super) struct Deadline<S> {
    inner: S,
    longest: Duration,
}

impl<S> Service<Outgoing> for Deadline<S>
where
    S: Service<Outgoing, Response = Answer, Error = CallError> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Answer;
    type Error = CallError;
    type Future = BoxFuture<'static, Result<Answer, CallError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), CallError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Outgoing) -> Self::Future {
        let inner = self.inner.clone();
        let deadline = *request
            .deadline
            .get_or_insert_with(|| Instant::now() + self.longest);
        Box::pin(async move {
            // Kept for what the failure has to say; shares the note "sent" with what goes down.
            let kept = request.clone();
            match timeout_at(deadline, inner.oneshot(request)).await {
                Ok(outcome) => outcome,
                Err(_) if kept.was_sent() => Err(CallError::no_answer(
                    &kept,
                    FailureClass::Unavailable,
                    "no answer before the deadline",
                )),
                Err(_) => Err(CallError::not_sent(
                    &kept,
                    FailureClass::Unavailable,
                    "the deadline passed before the request could be sent",
                )),
            }
        })
    }
}
