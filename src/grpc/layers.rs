//! Layers: what wraps every call. Outermost first: trace, catch-panic, deadline.

use std::any::Any;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use http::{HeaderMap, Request, Response};
use http_body_util::BodyExt as _;
use tonic::body::Body;
use tonic::codegen::{Body as HttpBody, Bytes, StdError};
use tonic::{Code, Status};
use tower::{Layer, Service};
use tracing::Instrument as _;

use super::errors;

/// Until when the caller wants the answer. Lies in the extensions of every request that has one.
#[derive(Debug, Clone, Copy)]
pub struct Deadline(pub Instant);

/// Answers DEADLINE_EXCEEDED when `grpc-timeout` passes, and tells handlers the deadline.
///
/// tonic's own timeout answers CANCELLED and wraps all layers, so this one fires slightly earlier.
#[derive(Debug, Clone, Copy, Default)]
pub struct DeadlineLayer;

impl<S> Layer<S> for DeadlineLayer {
    type Service = DeadlineService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        DeadlineService { inner }
    }
}

/// See [`DeadlineLayer`].
#[derive(Debug, Clone)]
pub struct DeadlineService<S> {
    inner: S,
}

impl<S, ReqBody> Service<Request<ReqBody>> for DeadlineService<S>
where
    S: Service<Request<ReqBody>, Response = Response<Body>>,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<ReqBody>) -> Self::Future {
        let Some(timeout) = grpc_timeout(request.headers()) else {
            return Box::pin(self.inner.call(request));
        };
        let Some(at) = Instant::now().checked_add(timeout.saturating_sub(margin(timeout))) else {
            return Box::pin(self.inner.call(request));
        };
        request.extensions_mut().insert(Deadline(at));
        let answer = self.inner.call(request);
        Box::pin(async move {
            match tokio::time::timeout_at(at.into(), answer).await {
                Ok(answer) => answer,
                Err(_) => Ok(errors::deadline_exceeded().into_http()),
            }
        })
    }
}

/// How much earlier than the caller's own clock: enough for the answer to get out first.
fn margin(timeout: Duration) -> Duration {
    (timeout / 10).min(Duration::from_millis(50))
}

/// Reads `grpc-timeout`: at most 8 digits and a unit (H, M, S, m, u, n). Anything else is no timeout,
/// as for tonic itself.
fn grpc_timeout(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get("grpc-timeout")?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let n: u64 = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(n * 3_600),
        "M" => Duration::from_secs(n * 60),
        "S" => Duration::from_secs(n),
        "m" => Duration::from_millis(n),
        "u" => Duration::from_micros(n),
        "n" => Duration::from_nanos(n),
        _ => return None,
    })
}

/// Answers gRPC INTERNAL for a panic: what [`tower_http::catch_panic::CatchPanicLayer`] is given.
///
/// Takes the panic by value because that is what the layer hands over.
pub fn answer_panic(panic: Box<dyn Any + Send + 'static>) -> Response<Body> {
    errors::panicked(panic.as_ref()).into_http()
}

/// Gives every call a span and one line in the log: method, code, duration. Never at ERROR: faults are
/// logged where their status is built, and a caller's mistake must not page anybody.
#[derive(Debug, Clone, Copy, Default)]
pub struct TraceLayer;

impl<S> Layer<S> for TraceLayer {
    type Service = TraceService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        TraceService { inner }
    }
}

/// See [`TraceLayer`].
#[derive(Debug, Clone)]
pub struct TraceService<S> {
    inner: S,
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for TraceService<S>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
    ResBody: HttpBody<Data = Bytes> + Send + 'static,
    ResBody::Error: Into<StdError>,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        let method = request.uri().path().trim_start_matches('/').to_owned();
        let span = tracing::info_span!("rpc", method);
        let mut line = Line {
            span: span.clone(),
            began: Instant::now(),
            ours: method.starts_with("relationship."),
            code: None,
        };
        // Entered for the call itself: handlers may do work before they return their future.
        let answer = span.in_scope(|| self.inner.call(request));
        Box::pin(
            async move {
                let answer = answer.await?;
                line.ends(answer.headers());
                // The closure keeps the line until the body is over or dropped.
                Ok(answer.map(|body| {
                    Body::new(body.inspect_frame(move |frame| {
                        if let Some(trailers) = frame.trailers_ref() {
                            line.ends(trailers);
                        }
                    }))
                }))
            }
            .instrument(span),
        )
    }
}

/// The code that trailers, or the headers of an answer without a body, carry.
fn code(headers: &HeaderMap) -> Option<Code> {
    Some(Code::from_bytes(
        headers.get(Status::GRPC_STATUS)?.as_bytes(),
    ))
}

/// The line in the log; written when the call is over, however it ends.
struct Line {
    span: tracing::Span,
    began: Instant,
    ours: bool,
    code: Option<Code>,
}

impl Line {
    /// Notes the code of an answer. A method, so that a closure captures the whole line.
    fn ends(&mut self, headers: &HeaderMap) {
        self.code = code(headers).or(self.code);
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        let duration_ms = self.began.elapsed().as_millis() as u64;
        // No code: the caller went away first.
        let code = self
            .code
            .map_or_else(|| "gone".to_owned(), |code| format!("{code:?}"));
        let _entered = self.span.enter();
        if self.ours {
            tracing::info!(code, duration_ms, "call");
        } else {
            tracing::debug!(code, duration_ms, "call");
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn timeout(text: &str) -> Option<Duration> {
        let mut headers = HeaderMap::new();
        headers.insert("grpc-timeout", text.parse().unwrap());
        grpc_timeout(&headers)
    }

    #[test]
    fn a_timeout_is_up_to_8_digits_and_a_unit() {
        assert_eq!(timeout("3H"), Some(Duration::from_secs(10_800)));
        assert_eq!(timeout("2M"), Some(Duration::from_secs(120)));
        assert_eq!(timeout("99999999S"), Some(Duration::from_secs(99_999_999)));
        assert_eq!(timeout("250m"), Some(Duration::from_millis(250)));
        assert_eq!(timeout("7u"), Some(Duration::from_micros(7)));
        assert_eq!(timeout("7n"), Some(Duration::from_nanos(7)));
    }

    #[test]
    fn what_is_no_timeout_is_left_alone() {
        for text in [
            "",
            "S",
            "5",
            "-1S",
            "+1S",
            "123456789S",
            "1x",
            "1 S",
            "1.5S",
        ] {
            assert_eq!(timeout(text), None, "{text}");
        }
    }

    #[test]
    fn ours_always_fires_before_tonics() {
        for timeout in [1, 2, 10, 500, 60_000].map(Duration::from_millis) {
            assert!(margin(timeout) > Duration::ZERO, "{timeout:?}");
            assert!(margin(timeout) < timeout, "{timeout:?}");
        }
    }
}
