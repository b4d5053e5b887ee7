//! Authorize: puts the token on a request, and replaces one that upstream refused (reads only).

use std::sync::Arc;
use std::task::{Context, Poll};

use futures::future::BoxFuture;
use http::StatusCode;
use http::header::AUTHORIZATION;
use tower::{Layer, Service, ServiceExt};

use super::answer::{Answer, CallError};
use super::outgoing::{Outgoing, TokenUse};
use super::token::{AccessToken, TokenSource};
use crate::domain::failure::{FailureClass, UpstreamFailure};

/// Puts the partner's token on every request.
#[derive(Clone)]
pub(super) struct AuthorizeLayer {
    pub(super) tokens: Arc<TokenSource>,
}

impl<S> Layer<S> for AuthorizeLayer {
    type Service = Authorize<S>;

    fn layer(&self, inner: S) -> Authorize<S> {
        Authorize {
            inner,
            tokens: Arc::clone(&self.tokens),
        }
    }
}

/// See [`AuthorizeLayer`].
#[derive(Clone)]
pub(super) struct Authorize<S> {
    inner: S,
    tokens: Arc<TokenSource>,
}

impl<S> Service<Outgoing> for Authorize<S>
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
        let tokens = Arc::clone(&self.tokens);
        Box::pin(async move {
            let token = match &request.token {
                TokenUse::None => return inner.oneshot(request).await,
                TokenUse::Pinned(token) => token.clone(),
                TokenUse::AppUser if !tokens.is_app_user() => {
                    return Err(CallError::not_sent(
                        &request,
                        FailureClass::Forbidden,
                        "needs app+user credentials; this partner is configured with the \
                         application's alone (client credentials)",
                    ));
                }
                TokenUse::Current | TokenUse::AppUser => tokens
                    .token()
                    .await
                    .map_err(|failure| no_token(&request, failure))?,
            };
            let answer = inner.clone().oneshot(with(&request, &token)?).await?;
            if answer.status != StatusCode::UNAUTHORIZED {
                return Ok(answer);
            }
            if matches!(request.token, TokenUse::Pinned(_)) || !request.effect.is_read() {
                tokens.forget(&token);
                return Ok(answer);
            }
            // Once: a new token that is refused too is not the token's age.
            match tokens.replace(&token).await {
                Ok(newer) => {
                    let mut again = request.clone();
                    again.request_id = uuid::Uuid::new_v4();
                    inner.oneshot(with(&again, &newer)?).await
                }
                Err(failure) => {
                    tracing::warn!(%failure, "upstream refused the access token and there is no newer one");
                    Ok(answer)
                }
            }
        })
    }
}

fn with(request: &Outgoing, token: &AccessToken) -> Result<Outgoing, CallError> {
    let header = token
        .header()
        .map_err(|why| CallError::not_sent(request, FailureClass::Nonsense, why))?;
    let mut request = request.clone();
    request.headers.insert(AUTHORIZATION, header);
    Ok(request)
}

/// A failed token call as the failure of the request that wanted the token.
fn no_token(request: &Outgoing, failure: UpstreamFailure) -> CallError {
    let mut error = CallError::not_sent(
        request,
        failure.class,
        format!("no access token: {}", failure.text),
    );
    error.failure.status = failure.status;
    error.failure.code = failure.code;
    error.failure.retry_after_ms = failure.retry_after_ms;
    error
}
