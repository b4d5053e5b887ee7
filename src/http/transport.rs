//! Transport: one attempt over the network, its answer read whole.

use std::error::Error as _;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::future::BoxFuture;
use http::HeaderValue;
use tokio::time::timeout;
use tower::{Layer, Service, ServiceExt};

use super::answer::{Answer, CallError};
use super::outgoing::Outgoing;
use crate::domain::failure::FailureClass;

/// Largest answer read; Partner Center's own pages stay far below.
const LARGEST_BODY: usize = 32 * 1024 * 1024;

/// Turns a `Service<reqwest::Request>` into one of [`Outgoing`].
#[derive(Clone)]
pub(super) struct TransportLayer {
    /// For one attempt, from sending to the last byte.
    pub(super) request_timeout: Duration,
}

impl<S> Layer<S> for TransportLayer {
    type Service = Transport<S>;

    fn layer(&self, inner: S) -> Transport<S> {
        Transport {
            inner,
            request_timeout: self.request_timeout,
        }
    }
}

/// See [`TransportLayer`].
#[derive(Clone)]
pub(super) struct Transport<S> {
    inner: S,
    request_timeout: Duration,
}

impl<S> Service<Outgoing> for Transport<S>
where
    S: Service<reqwest::Request, Response = reqwest::Response, Error = reqwest::Error>
        + Clone
        + Send
        + 'static,
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
        let limit = request
            .time_left()
            .map_or(self.request_timeout, |left| left.min(self.request_timeout));
        Box::pin(async move {
            let wire = to_reqwest(&request);
            request.mark_sent();
            match timeout(limit, exchange(inner, wire, &request)).await {
                Ok(outcome) => outcome.map_err(CallError::passing),
                Err(_) => Err(CallError::no_answer(
                    &request,
                    FailureClass::Unavailable,
                    format!("no answer within {} s", limit.as_secs_f32()),
                )
                .passing()),
            }
        })
    }
}

fn to_reqwest(request: &Outgoing) -> reqwest::Request {
    let mut wire = reqwest::Request::new(request.method.clone(), request.url.clone());
    *wire.headers_mut() = request.headers.clone();
    if let Ok(id) = HeaderValue::from_str(&request.request_id.to_string()) {
        wire.headers_mut().insert("ms-requestid", id);
    }
    if let Some(body) = &request.body {
        *wire.body_mut() = Some(body.to_vec().into());
    }
    wire
}

async fn exchange<S>(
    inner: S,
    wire: reqwest::Request,
    request: &Outgoing,
) -> Result<Answer, CallError>
where
    S: Service<reqwest::Request, Response = reqwest::Response, Error = reqwest::Error> + Send,
    S::Future: Send,
{
    let mut response = match inner.oneshot(wire).await {
        Ok(response) => response,
        Err(error) => {
            let text = format!("no answer: {}", causes(&error));
            // Without a connection nothing left this process.
            return Err(if error.is_connect() {
                request.mark_not_sent();
                CallError::not_sent(request, FailureClass::Unavailable, text)
            } else {
                CallError::no_answer(request, FailureClass::Unavailable, text)
            });
        }
    };
    let status = response.status();
    let headers = response.headers().clone();
    let nonsense = |text: String| {
        let mut error = CallError::no_answer(request, FailureClass::Nonsense, text);
        error.failure.status = Some(status.as_u16());
        error.failure.ms_cv = headers
            .get("ms-cv")
            .and_then(|cv| cv.to_str().ok())
            .map(str::to_owned);
        error
    };
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) => {
                if body.len() + chunk.len() > LARGEST_BODY {
                    return Err(nonsense(format!(
                        "the answer is larger than {} MiB",
                        LARGEST_BODY / 1024 / 1024
                    )));
                }
                body.extend_from_slice(&chunk);
            }
            Ok(None) => break,
            Err(error) => {
                return Err(nonsense(format!(
                    "the answer was cut off after {} bytes: {}",
                    body.len(),
                    causes(&error)
                )));
            }
        }
    }
    Ok(Answer {
        status,
        headers,
        body,
        request_id: request.request_id,
    })
}

/// An error with its causes, without the URL: it names customers and may hold a filter.
fn causes(error: &reqwest::Error) -> String {
    let mut text = String::new();
    let mut cause = error.source();
    while let Some(inner) = cause {
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    if text.is_empty() {
        text.push_str("the request failed");
    }
    text
}
