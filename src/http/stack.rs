//! The stack of one partner, put together.

use std::sync::Arc;
use std::time::Duration;

use reqwest::redirect;
use tower::util::BoxCloneSyncService;
use tower::{ServiceBuilder, ServiceExt};
use url::Url;

use super::answer::{Answer, CallError};
use super::authorize::AuthorizeLayer;
use super::deadline::DeadlineLayer;
use super::gate::GateLayer;
use super::grant::Credentials;
use super::limit::{LimitLayer, Limiter};
use super::limiter::{Limits, Rates};
use super::outgoing::Outgoing;
use super::retry::Again;
use super::token::{TokenSettings, TokenSource};
use super::trace::TraceLayer;
use super::transport::TransportLayer;
use crate::domain::ids::PartnerTenantId;

/// How long a request without a deadline of its own may take with everything: waiting its turn,
/// retries, Retry-After.
const LONGEST: Duration = Duration::from_secs(300);

/// What a stack is built from.
pub struct StackSettings {
    /// Whose calls these are.
    pub partner: PartnerTenantId,
    /// What tokens are asked for with.
    pub credentials: Credentials,
    /// Where tokens come from.
    pub token_url: Url,
    /// What tokens are for.
    pub resource: String,
    /// Audiences that are right besides the resource.
    pub audiences: Vec<String>,
    /// The limiter's numbers.
    pub limits: Limits,
    /// For one attempt, from sending to the last byte of the answer.
    pub request_timeout: Duration,
    /// Further attempts at a read, at most.
    pub retries: u32,
    /// Upper end of the first back-off; it doubles.
    pub retry_pause: Duration,
    /// Whether to talk to loopback: then plain HTTP is allowed and no proxy is asked.
    pub loopback: bool,
}

/// Why no stack can be built.
#[derive(Debug, thiserror::Error)]
#[error("cannot set up the HTTP client: {0}")]
pub struct StackError(String);

/// The stack of one partner. Cloning shares it.
#[derive(Clone)]
pub struct Stack {
    service: BoxCloneSyncService<Outgoing, Answer, CallError>,
    tokens: Arc<TokenSource>,
    limiter: Limiter,
}

impl std::fmt::Debug for Stack {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stack")
            .field("tokens", &self.tokens)
            .field("rates", &self.limiter.rates())
            .finish_non_exhaustive()
    }
}

impl Stack {
    /// Puts the stack together. Opens no connection.
    ///
    /// # Errors
    /// [`StackError`] when TLS cannot be set up.
    pub fn new(settings: StackSettings) -> Result<Self, StackError> {
        let mut client = reqwest::Client::builder()
            // A redirect could carry the token to another host.
            .redirect(redirect::Policy::none())
            // reqwest would repeat what HTTP/2 says was not processed; only our layer repeats.
            .retry(reqwest::retry::never())
            .https_only(!settings.loopback)
            .connect_timeout(settings.request_timeout.min(Duration::from_secs(10)))
            .pool_idle_timeout(Duration::from_secs(60))
            .tcp_keepalive(Duration::from_secs(30))
            .user_agent(concat!(
                env!("CARGO_PKG_NAME"),
                "/",
                env!("CARGO_PKG_VERSION")
            ));
        if settings.loopback {
            client = client.no_proxy();
        }
        let client = client
            .build()
            .map_err(|error| StackError(error.to_string()))?;

        let trace = TraceLayer {
            partner: settings.partner,
        };
        let transport = TransportLayer {
            request_timeout: settings.request_timeout,
        };
        let deadline = DeadlineLayer { longest: LONGEST };
        let again = Again::new(settings.retries, settings.retry_pause);
        let limiter = Limiter::new(settings.limits);

        let token_calls = ServiceBuilder::new()
            .layer(deadline.clone())
            .retry(again.clone())
            .layer(trace.clone())
            .layer(transport.clone())
            .service(client.clone());
        let tokens = Arc::new(TokenSource::new(
            TokenSettings {
                partner: settings.partner,
                credentials: settings.credentials,
                url: settings.token_url,
                resource: settings.resource,
                audiences: settings.audiences,
            },
            BoxCloneSyncService::new(token_calls),
        ));
        let service = ServiceBuilder::new()
            .layer(deadline)
            .retry(again)
            .layer(LimitLayer {
                limiter: limiter.clone(),
            })
            .layer(AuthorizeLayer {
                tokens: Arc::clone(&tokens),
            })
            .layer(GateLayer)
            .layer(trace)
            .layer(transport)
            .service(client);
        Ok(Self {
            service: BoxCloneSyncService::new(service),
            tokens,
            limiter,
        })
    }

    /// Sends a request through the stack.
    ///
    /// # Errors
    /// [`CallError`] when no answer came; an answer of any status is `Ok`.
    pub async fn send(&self, request: Outgoing) -> Result<Answer, CallError> {
        self.service.clone().oneshot(request).await
    }

    /// The partner's tokens.
    pub fn tokens(&self) -> &TokenSource {
        &self.tokens
    }

    /// Rates in force, for metrics.
    pub fn rates(&self) -> Rates {
        self.limiter.rates()
    }
}
