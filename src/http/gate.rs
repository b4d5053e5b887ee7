//! Gate: asks whether a changing call may still be sent, directly before it is.

use std::task::{Context, Poll};

use futures::future::BoxFuture;
use tower::{Layer, Service, ServiceExt};

use super::answer::{Answer, CallError};
use super::outgoing::{Effect, Outgoing};
use crate::domain::failure::FailureClass;

/// Asks the gate of a changing call; reads pass.
#[derive(Clone)]
pub(super) struct GateLayer;

impl<S> Layer<S> for GateLayer {
    type Service = Gate<S>;

    fn layer(&self, inner: S) -> Gate<S> {
        Gate { inner }
    }
}

/// See [`GateLayer`].
#[derive(Clone)]
pub(super) struct Gate<S> {
    inner: S,
}

impl<S> Service<Outgoing> for Gate<S>
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

    fn call(&mut self, request: Outgoing) -> Self::Future {
        let inner = self.inner.clone();
        Box::pin(async move {
            if let Effect::Change(gate) = &request.effect
                && let Err(why) = gate.may_send().await
            {
                return Err(CallError::not_sent(
                    &request,
                    FailureClass::Unavailable,
                    why,
                ));
            }
            inner.oneshot(request).await
        })
    }
}
