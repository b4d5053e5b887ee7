//! Tokens of one partner: fetched, inspected, cached, refreshed early, one request in flight.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::{HeaderMap, HeaderValue, Method};
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use tokio::sync::Mutex;
use tokio::time::Instant;
use tower::ServiceExt;
use tower::util::BoxCloneSyncService;
use url::Url;

use super::answer::{Answer, CallError};
use super::grant::{ClientProof, Credentials, Grant, SecretSource, TokenEndpoint};
use super::outgoing::{Outgoing, TokenUse};
use super::retry_after::retry_after;
use super::token_health::TokenHealth;
use crate::application::upstream::Priority;
use crate::domain::failure::{FailureClass, UpstreamFailure};
use crate::domain::ids::PartnerTenantId;

/// The endpoint as it stands in logs and failures.
pub(super) const TOKEN_CALL: &str = "POST token endpoint";
/// From this much before the end on, the next caller fetches a new token.
const EARLY: Duration = Duration::from_secs(300);
/// A token that ends sooner than this is not used any more.
const LAST: Duration = Duration::from_secs(30);
/// Pause between attempts at an early refresh while the old token still holds.
const EARLY_PAUSE: Duration = Duration::from_secs(30);

/// An access token in use.
#[derive(Clone)]
pub struct AccessToken {
    secret: Arc<SecretString>,
    number: u64,
    expires: Instant,
    health: Arc<TokenHealth>,
}

impl fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessToken")
            .field("number", &self.number)
            .field("expires", &self.health.expires)
            .finish_non_exhaustive()
    }
}

impl AccessToken {
    /// The `Authorization` header, marked sensitive.
    pub(super) fn header(&self) -> Result<HeaderValue, String> {
        let mut value =
            HeaderValue::from_str(&format!("Bearer {}", self.secret.expose_secret()))
                .map_err(|_| "the token endpoint gave a token that fits in no header".to_owned())?;
        value.set_sensitive(true);
        Ok(value)
    }

    /// What its claims say.
    pub fn health(&self) -> &TokenHealth {
        &self.health
    }

    fn left(&self) -> Duration {
        self.expires.saturating_duration_since(Instant::now())
    }
}

/// Where and for whom tokens are asked.
pub(super) struct TokenSettings {
    pub(super) partner: PartnerTenantId,
    pub(super) credentials: Credentials,
    pub(super) url: Url,
    /// `resource` (v1), or what `scope` is built from (v2).
    pub(super) resource: String,
    /// Audiences that are right besides the resource.
    pub(super) audiences: Vec<String>,
}

#[derive(Default)]
struct Kept {
    /// The refresh token that came with the last answer, and what the configured source said then.
    rotated: Option<(SecretString, SecretString)>,
    last: Option<Result<AccessToken, UpstreamFailure>>,
    next_early: Option<Instant>,
}

/// The tokens of one partner.
pub struct TokenSource {
    settings: TokenSettings,
    send: BoxCloneSyncService<Outgoing, Answer, CallError>,
    kept: Mutex<Kept>,
    current: std::sync::RwLock<Option<AccessToken>>,
    /// Counts answers of the token endpoint, failures included.
    fetched: AtomicU64,
}

impl fmt::Debug for TokenSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenSource")
            .field("partner", &self.settings.partner)
            .field("client_id", &self.settings.credentials.client_id)
            .finish_non_exhaustive()
    }
}

impl TokenSource {
    pub(super) fn new(
        settings: TokenSettings,
        send: BoxCloneSyncService<Outgoing, Answer, CallError>,
    ) -> Self {
        Self {
            settings,
            send,
            kept: Mutex::default(),
            current: std::sync::RwLock::default(),
            fetched: AtomicU64::new(0),
        }
    }

    /// Whether tokens stand for a user.
    pub fn is_app_user(&self) -> bool {
        self.settings.credentials.grant.is_app_user()
    }

    /// A token that upstream should take.
    ///
    /// # Errors
    /// Why there is none: [`FailureClass::Credentials`], [`FailureClass::MfaRequired`], or that the
    /// token endpoint could not be reached.
    pub async fn token(&self) -> Result<AccessToken, UpstreamFailure> {
        let Some(current) = self.usable() else {
            return self.fetch(None).await;
        };
        if current.left() > early(&current) {
            return Ok(current);
        }
        // Due for an early refresh: one caller does it, the others go on with the old one.
        let Ok(mut kept) = self.kept.try_lock() else {
            return Ok(current);
        };
        if kept.next_early.is_some_and(|at| Instant::now() < at) {
            return Ok(current);
        }
        match self.fetch_locked(&mut kept).await {
            Ok(token) => Ok(token),
            Err(failure) => {
                kept.next_early = Some(Instant::now() + EARLY_PAUSE);
                tracing::warn!(%failure, "cannot refresh the access token early; the old one still holds");
                Ok(current)
            }
        }
    }

    /// A token other than `refused`, which upstream did not take.
    ///
    /// # Errors
    /// As for [`Self::token`].
    pub async fn replace(&self, refused: &AccessToken) -> Result<AccessToken, UpstreamFailure> {
        self.fetch(Some(refused.number)).await
    }

    /// Makes the next caller fetch a new token, if `refused` is still the current one.
    pub(super) fn forget(&self, refused: &AccessToken) {
        let mut current = self.current.write().unwrap_or_else(|e| e.into_inner());
        if current
            .as_ref()
            .is_some_and(|token| token.number == refused.number)
        {
            *current = None;
        }
    }

    /// What the token in use says about itself; `None` before the first one.
    pub fn health(&self) -> Option<TokenHealth> {
        let current = self.current.read().unwrap_or_else(|e| e.into_inner());
        current.as_ref().map(|token| token.health().clone())
    }

    fn usable(&self) -> Option<AccessToken> {
        let current = self.current.read().unwrap_or_else(|e| e.into_inner());
        current.clone().filter(|token| token.left() > LAST)
    }

    async fn fetch(&self, refused: Option<u64>) -> Result<AccessToken, UpstreamFailure> {
        let seen = self.fetched.load(Ordering::SeqCst);
        let mut kept = self.kept.lock().await;
        // Somebody fetched while we waited: that answer is ours too, be it a failure.
        if self.fetched.load(Ordering::SeqCst) != seen
            && let Some(last) = &kept.last
        {
            return last.clone();
        }
        if let Some(token) = self.usable()
            && refused != Some(token.number)
        {
            return Ok(token);
        }
        self.fetch_locked(&mut kept).await
    }

    async fn fetch_locked(&self, kept: &mut Kept) -> Result<AccessToken, UpstreamFailure> {
        let outcome = self.request(kept).await;
        self.fetched.fetch_add(1, Ordering::SeqCst);
        kept.last = Some(outcome.clone());
        kept.next_early = None;
        if let Ok(token) = &outcome {
            let mut current = self.current.write().unwrap_or_else(|e| e.into_inner());
            *current = Some(token.clone());
        }
        outcome
    }

    async fn request(&self, kept: &mut Kept) -> Result<AccessToken, UpstreamFailure> {
        let form = self.form(kept).await.map_err(credentials)?;
        let began = Instant::now();
        let obtained = Timestamp::now();
        let mut request = Outgoing::new(Method::POST, self.settings.url.clone(), TOKEN_CALL);
        request.token = TokenUse::None;
        request.priority = Priority::Interactive;
        request.headers = HeaderMap::from_iter([
            (
                http::header::CONTENT_TYPE,
                HeaderValue::from_static("application/x-www-form-urlencoded"),
            ),
            (
                http::header::ACCEPT,
                HeaderValue::from_static("application/json"),
            ),
        ]);
        request.body = Some(form.into_bytes().into());
        let answer = self
            .send
            .clone()
            .oneshot(request)
            .await
            .map_err(|error| *error.failure)?;
        let body = json(&answer.body);
        if !answer.status.is_success() {
            return Err(refusal(&answer, body.as_ref()));
        }
        let body = body.ok_or_else(|| {
            failure(
                &answer,
                FailureClass::Nonsense,
                "the token endpoint's answer is not JSON",
            )
        })?;
        let secret = body
            .get("access_token")
            .and_then(Value::as_str)
            .filter(|token| !token.is_empty())
            .ok_or_else(|| {
                failure(
                    &answer,
                    FailureClass::Nonsense,
                    "the token endpoint's answer holds no access_token",
                )
            })?;
        let lifetime = seconds(body.get("expires_in")).ok_or_else(|| {
            failure(
                &answer,
                FailureClass::Nonsense,
                "the token endpoint's answer holds no usable expires_in",
            )
        })?;
        if let Some(rotated) = body.get("refresh_token").and_then(Value::as_str)
            && let Some(configured) = self.configured_refresh_token().await
        {
            kept.rotated = Some((SecretString::from(rotated.to_owned()), configured));
        }
        let expires_at = obtained
            .checked_add(jiff::SignedDuration::from_secs(
                i64::try_from(lifetime.as_secs()).unwrap_or(i64::MAX),
            ))
            .unwrap_or(Timestamp::MAX);
        let health = TokenHealth::read(secret, self.is_app_user(), obtained, expires_at);
        let mut audiences = self.settings.audiences.clone();
        audiences.push(self.settings.resource.clone());
        if let Some((class, text)) =
            health.objection(&audiences, &self.settings.partner.to_string())
        {
            return Err(UpstreamFailure::new(class, TOKEN_CALL, text));
        }
        Ok(AccessToken {
            secret: Arc::new(SecretString::from(secret.to_owned())),
            number: self.fetched.load(Ordering::SeqCst) + 1,
            expires: began + lifetime,
            health: Arc::new(health),
        })
    }

    async fn configured_refresh_token(&self) -> Option<SecretString> {
        match &self.settings.credentials.grant {
            Grant::AppUser { refresh_token } => refresh_token.read().await.ok(),
            Grant::AppOnly => None,
        }
    }

    /// The rotated refresh token, unless the configured one was changed since.
    async fn refresh_token(
        &self,
        source: &SecretSource,
        kept: &Kept,
    ) -> Result<SecretString, String> {
        let configured = source.read().await;
        match (&kept.rotated, configured) {
            (Some((rotated, then)), Ok(now)) if then.expose_secret() == now.expose_secret() => {
                Ok(rotated.clone())
            }
            (Some((rotated, _)), Err(_)) => Ok(rotated.clone()),
            (_, configured) => configured.map_err(|why| format!("refresh token: {why}")),
        }
    }

    async fn form(&self, kept: &Kept) -> Result<String, String> {
        let credentials = &self.settings.credentials;
        let resource = self.settings.resource.trim_end_matches('/');
        let mut form: Vec<(&str, String)> = Vec::new();
        form.push(("client_id", credentials.client_id.clone()));
        match &credentials.grant {
            Grant::AppUser { refresh_token } => {
                let token = self.refresh_token(refresh_token, kept).await?;
                form.push(("grant_type", "refresh_token".to_owned()));
                form.push(("refresh_token", token.expose_secret().to_owned()));
            }
            Grant::AppOnly => {
                form.push(("grant_type", "client_credentials".to_owned()));
            }
        }
        match (credentials.endpoint, &credentials.grant) {
            (TokenEndpoint::V1, _) => form.push(("resource", resource.to_owned())),
            (TokenEndpoint::V2, Grant::AppUser { .. }) => {
                // offline_access: without it no new refresh token comes back.
                form.push((
                    "scope",
                    format!("{resource}/user_impersonation offline_access"),
                ))
            }
            (TokenEndpoint::V2, Grant::AppOnly) => {
                form.push(("scope", format!("{resource}/.default")))
            }
        };
        match &credentials.proof {
            ClientProof::Secret(source) => {
                let secret = source
                    .read()
                    .await
                    .map_err(|why| format!("client secret: {why}"))?;
                form.push(("client_secret", secret.expose_secret().to_owned()));
            }
            ClientProof::Certificate(certificate) => {
                let assertion = certificate.assertion(
                    &credentials.client_id,
                    self.settings.url.as_str(),
                    Timestamp::now().as_second(),
                )?;
                form.push((
                    "client_assertion_type",
                    "urn:ietf:params:oauth:client-assertion-type:jwt-bearer".to_owned(),
                ));
                form.push(("client_assertion", assertion.expose_secret().to_owned()));
            }
        }
        Ok(url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(form)
            .finish())
    }
}

/// How long before its end a token is refreshed: short-lived ones not before half their life.
fn early(token: &AccessToken) -> Duration {
    let life = token
        .health
        .expires
        .duration_since(token.health.obtained)
        .unsigned_abs();
    EARLY.min(life / 2)
}

fn json(body: &[u8]) -> Option<Value> {
    let body = body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body);
    serde_json::from_slice(body).ok().filter(Value::is_object)
}

/// `expires_in`: a string on the v1 endpoint, a number on v2.
fn seconds(value: Option<&Value>) -> Option<Duration> {
    let seconds = match value? {
        Value::String(text) => text.trim().parse::<u64>().ok()?,
        Value::Number(number) => number.as_u64()?,
        _ => return None,
    };
    // More than a day is no token lifetime, and would overflow clocks if absurd.
    Some(Duration::from_secs(seconds.min(86_400)))
}

fn credentials(why: String) -> UpstreamFailure {
    UpstreamFailure::new(FailureClass::Credentials, TOKEN_CALL, why)
}

fn failure(answer: &Answer, class: FailureClass, text: impl Into<String>) -> UpstreamFailure {
    let mut failure = UpstreamFailure::new(class, TOKEN_CALL, text);
    failure.status = Some(answer.status.as_u16());
    failure.request_id = Some(answer.request_id.to_string());
    failure
}

/// What a refusal of the token endpoint means. AADSTS numbers as documented by Microsoft:
/// 50074, 50076, 50078, 50079 and 50158 ask for (more) authentication by the user.
fn refusal(answer: &Answer, body: Option<&Value>) -> UpstreamFailure {
    let text = |name: &str| {
        body.and_then(|body| body.get(name))
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    let description: String = text("error_description")
        .lines()
        .next()
        .unwrap_or_default()
        .chars()
        .take(900)
        .collect();
    let wants_mfa = [
        "AADSTS50074",
        "AADSTS50076",
        "AADSTS50078",
        "AADSTS50079",
        "AADSTS50158",
    ]
    .iter()
    .any(|code| description.contains(code));
    let class = match answer.status.as_u16() {
        429 => FailureClass::Throttled,
        408 | 500.. => FailureClass::Unavailable,
        300..400 => FailureClass::Nonsense,
        _ if wants_mfa => FailureClass::MfaRequired,
        400 | 401 | 403 => FailureClass::Credentials,
        _ => FailureClass::Nonsense,
    };
    let said = match (text("error"), description.as_str()) {
        ("", "") => "without a reason".to_owned(),
        (error, "") => error.to_owned(),
        (error, description) => format!("{error}: {description}"),
    };
    let mut failure = failure(answer, class, format!("the token endpoint refused: {said}"));
    failure.code = Some(text("error").to_owned()).filter(|code| !code.is_empty());
    failure.retry_after_ms = retry_after(&answer.headers, Timestamp::now())
        .and_then(|wait| u64::try_from(wait.as_millis()).ok());
    failure
}
