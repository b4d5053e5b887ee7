//! Trace: one event per attempt, with everything a support engineer asks for and no secret.

use std::task::{Context, Poll};
use std::time::Instant;

use futures::future::BoxFuture;
use tower::{Layer, Service, ServiceExt};
use tracing::Instrument;

use super::answer::{Answer, CallError};
use super::outgoing::Outgoing;
use crate::domain::ids::PartnerTenantId;

/// Wraps every attempt in a span and logs how it ended. URLs, bodies and headers stay out.
#[derive(Clone)]
pub(super) struct TraceLayer {
    /// Whose calls these are.
    pub(super) partner: PartnerTenantId,
}

impl<S> Layer<S> for TraceLayer {
    type Service = Trace<S>;

    fn layer(&self, inner: S) -> Trace<S> {
        Trace {
            inner,
            partner: self.partner,
        }
    }
}

/// See [`TraceLayer`].
#[derive(Clone)]
pub(super) struct Trace<S> {
    inner: S,
    partner: PartnerTenantId,
}

impl<S> Service<Outgoing> for Trace<S>
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
        let span = tracing::debug_span!(
            "upstream",
            endpoint = request.endpoint,
            partner = %self.partner,
            customer = request.customer.map(tracing::field::display),
            request_id = %request.request_id,
            correlation_id = request.correlation.map(tracing::field::display),
        );
        Box::pin(
            async move {
                let began = Instant::now();
                let outcome = inner.oneshot(request).await;
                let duration_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
                match &outcome {
                    Ok(answer) if answer.status.is_success() => tracing::debug!(
                        status = answer.status.as_u16(),
                        ms_cv = answer.header("ms-cv"),
                        bytes = answer.body.len(),
                        duration_ms,
                        "answered"
                    ),
                    Ok(answer) => tracing::info!(
                        status = answer.status.as_u16(),
                        code = error_code(&answer.body),
                        ms_cv = answer.header("ms-cv"),
                        duration_ms,
                        "refused"
                    ),
                    Err(error) => tracing::info!(
                        sent = error.sent,
                        class = error.failure.class.as_str(),
                        error = %error.failure.text,
                        duration_ms,
                        "no answer"
                    ),
                }
                outcome
            }
            .instrument(span),
        )
    }
}

/// `code` (or OAuth's `error`) of an error body, for the log only.
fn error_code(body: &[u8]) -> Option<String> {
    let body = body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body);
    let value: serde_json::Value = serde_json::from_slice(body).ok()?;
    let (_, code) = value.as_object()?.iter().find(|(name, _)| {
        ["code", "error", "statuscode"].contains(&name.to_ascii_lowercase().as_str())
    })?;
    match code {
        serde_json::Value::String(text) => Some(text.chars().take(64).collect()),
        serde_json::Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}
