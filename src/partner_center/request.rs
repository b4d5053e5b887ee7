//! One call: builds the request with the headers of the contract, sends it, and tells an answer from a
//! refusal from nonsense.

use std::sync::Arc;

use http::{HeaderMap, HeaderValue, Method};
use serde_json::Value;
use tokio::time::Instant;
use url::Url;

use super::body::{self, Body};
use super::classify::{Addressee, Refusal, classify};
use super::fields::{Fields, WrongShape};
use super::links;
use super::settings::{PartnerSettings, SettingsError, is_loopback};
use crate::application::clock::Clock;
use crate::application::upstream::{Call, SendGate};
use crate::domain::failure::{FailureClass, UpstreamFailure};
use crate::domain::ids::CustomerId;
use crate::domain::time::Time;
use crate::http::{
    Answer, CallError, Effect, Outgoing, Stack, StackSettings, TokenUse, retry_after,
};

/// Longest text of a failure, in characters.
const LONGEST_TEXT: usize = 1_024;

/// The way to one partner's Partner Center.
pub(super) struct Api {
    pub(super) settings: PartnerSettings,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) stack: Stack,
    base: Url,
    headers: HeaderMap,
}

/// Which call, for whom.
#[derive(Clone)]
pub(super) struct Target<'a> {
    pub(super) endpoint: &'static str,
    pub(super) addressee: Addressee,
    pub(super) customer: Option<CustomerId>,
    pub(super) token: TokenUse,
    pub(super) call: &'a Call,
}

/// What a changing call brought.
pub(super) enum Changed {
    /// A success, with its answer.
    Answer(Answer),
    /// It never left.
    NotSent(UpstreamFailure),
    /// It was sent and refused, or has no answer.
    Failed(UpstreamFailure),
}

impl Api {
    pub(super) fn new(
        settings: PartnerSettings,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, SettingsError> {
        settings.validate()?;
        let base = settings.base_url()?;
        let token_url = settings.token_url()?;
        let mut headers = HeaderMap::from_iter(
            [
                ("accept", "application/json"),
                ("x-locale", "en-US"),
                ("ms-contract-version", "v1"),
            ]
            .map(|(name, value)| {
                (
                    http::HeaderName::from_static(name),
                    HeaderValue::from_static(value),
                )
            }),
        );
        if let Some(name) = &settings.application {
            let name = HeaderValue::from_str(name).map_err(|_| SettingsError::Application)?;
            headers.insert("ms-partnercenter-application", name);
        }
        let stack = Stack::new(StackSettings {
            partner: settings.tenant,
            credentials: settings.credentials.clone(),
            loopback: is_loopback(&base) && is_loopback(&token_url),
            token_url,
            resource: settings.resource(),
            // A simulator may issue tokens for itself.
            audiences: vec![base.as_str().to_owned()],
            limits: settings.limits,
            request_timeout: settings.request_timeout,
            retries: settings.retries,
            retry_pause: settings.retry_pause,
        })?;
        Ok(Self {
            settings,
            clock,
            stack,
            base,
            headers,
        })
    }

    pub(super) fn now(&self) -> Time {
        self.clock.now()
    }

    /// The URL of a path below `/v1`; segments are encoded.
    pub(super) fn url(&self, segments: &[&str]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().push("v1").extend(segments);
        }
        url
    }

    /// Where a link of an answer leads; a sentence when that is not below our base URL.
    pub(super) fn follow(&self, link: &str) -> Result<Url, String> {
        links::resolve(&self.base, link)
    }

    fn outgoing(&self, target: &Target<'_>, method: Method, url: Url) -> Outgoing {
        let mut request = Outgoing::new(method, url, target.endpoint);
        request.headers = self.headers.clone();
        if let Ok(id) = HeaderValue::from_str(&target.call.correlation.to_string()) {
            request.headers.insert("ms-correlationid", id);
        }
        request.token = target.token.clone();
        request.customer = target.customer;
        request.priority = target.call.priority;
        request.deadline = target.call.deadline.map(Instant::from_std);
        request.correlation = Some(target.call.correlation);
        request
    }

    /// Reads a resource: a 200 with JSON.
    pub(super) async fn get(
        &self,
        target: &Target<'_>,
        url: Url,
    ) -> Result<Value, UpstreamFailure> {
        self.get_with(target, url, HeaderMap::new()).await
    }

    /// Like [`Self::get`], with further headers.
    pub(super) async fn get_with(
        &self,
        target: &Target<'_>,
        url: Url,
        headers: HeaderMap,
    ) -> Result<Value, UpstreamFailure> {
        let mut request = self.outgoing(target, Method::GET, url);
        request.headers.extend(headers);
        let answer = self
            .stack
            .send(request)
            .await
            .map_err(|error| *error.failure)?;
        if !answer.status.is_success() {
            return Err(self.refused(target, &answer));
        }
        let wrong = |why: String| self.about(target, &answer, FailureClass::Nonsense, why);
        if answer.status != http::StatusCode::OK {
            return Err(wrong(format!("a read answered with {}", answer.status)));
        }
        match body::read(&answer) {
            Body::Json(value) => Ok(value),
            Body::Empty => Err(wrong("the answer is empty".to_owned())),
            Body::Nonsense(why) => Err(wrong(why)),
        }
    }

    /// Sends a PATCH, once, if `gate` says so.
    pub(super) async fn patch(
        &self,
        target: &Target<'_>,
        url: Url,
        body: &Value,
        if_match: Option<HeaderValue>,
        gate: Arc<dyn SendGate>,
    ) -> Changed {
        let mut request = self.outgoing(target, Method::PATCH, url);
        request.headers.insert(
            http::header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        );
        if let Some(etag) = if_match {
            request.headers.insert(http::header::IF_MATCH, etag);
        }
        request.body = Some(body.to_string().into_bytes().into());
        request.effect = Effect::Change(gate);
        match self.stack.send(request).await {
            Ok(answer) if answer.status.is_success() => Changed::Answer(answer),
            Ok(answer) => Changed::Failed(self.refused(target, &answer)),
            Err(CallError {
                sent: true,
                failure,
                ..
            }) => Changed::Failed(*failure),
            Err(CallError { failure, .. }) => Changed::NotSent(*failure),
        }
    }

    /// What a refusal means, with everything it said.
    pub(super) fn refused(&self, target: &Target<'_>, answer: &Answer) -> UpstreamFailure {
        let body = body::read(answer);
        let (code, text) = match &body {
            Body::Json(value) => error_fields(value),
            Body::Empty => (None, None),
            Body::Nonsense(_) => (None, body::plain_text(answer)),
        };
        let text_of_theirs = text.unwrap_or_default();
        let class = classify(&Refusal {
            addressee: target.addressee,
            status: answer.status.as_u16(),
            code: code.as_deref(),
            text: &text_of_theirs,
            challenge: answer.header("www-authenticate").unwrap_or_default(),
            empty: body == Body::Empty,
            no_json: matches!(body, Body::Nonsense(_)),
        });
        let text = match (&body, text_of_theirs.is_empty()) {
            _ if answer.status.is_redirection() => format!(
                "redirected to {}; redirects are not followed",
                answer.header("location").unwrap_or("nowhere")
            ),
            (_, false) => text_of_theirs,
            (Body::Nonsense(why), true) => why.clone(),
            (_, true) => "no text".to_owned(),
        };
        let mut failure = self.about(target, answer, class, text);
        failure.code = code;
        failure.retry_after_ms = retry_after(&answer.headers, jiff::Timestamp::now())
            .and_then(|wait| u64::try_from(wait.as_millis()).ok());
        failure
    }

    /// A failure of ours to make sense of an answer.
    pub(super) fn about(
        &self,
        target: &Target<'_>,
        answer: &Answer,
        class: FailureClass,
        text: impl Into<String>,
    ) -> UpstreamFailure {
        let mut failure = self.own(target, class, text);
        failure.status = Some(answer.status.as_u16());
        failure.request_id = Some(
            answer
                .header("ms-requestid")
                .map_or_else(|| answer.request_id.to_string(), str::to_owned),
        );
        failure.ms_cv = answer.header("ms-cv").map(str::to_owned);
        failure
    }

    /// A failure without an answer at hand.
    pub(super) fn own(
        &self,
        target: &Target<'_>,
        class: FailureClass,
        text: impl Into<String>,
    ) -> UpstreamFailure {
        let text: String = text.into().chars().take(LONGEST_TEXT).collect();
        let mut failure = UpstreamFailure::new(class, target.endpoint, text);
        failure.correlation_id = Some(target.call.correlation.to_string());
        failure
    }

    /// An answer that is JSON but not what the contract says.
    pub(super) fn nonsense(
        &self,
        target: &Target<'_>,
        why: impl std::fmt::Display,
    ) -> UpstreamFailure {
        self.own(
            target,
            FailureClass::Nonsense,
            format!("unexpected answer: {why}"),
        )
    }

    /// Like [`Self::nonsense`], for a field.
    pub(super) fn shape<'s>(
        &'s self,
        target: &'s Target<'s>,
    ) -> impl Fn(WrongShape) -> UpstreamFailure + 's {
        move |wrong| self.nonsense(target, wrong)
    }
}

/// Code and text of an error body: Partner Center's own shape, or the gateway's.
fn error_fields(body: &Value) -> (Option<String>, Option<String>) {
    let Ok(fields) = Fields::of(body) else {
        return (None, Some(body.to_string()));
    };
    let code = fields.word("code").ok().flatten();
    let gateway = fields.word("statusCode").ok().flatten();
    let text = ["description", "message", "error_description"]
        .iter()
        .find_map(|name| fields.text(name).ok().flatten())
        .filter(|text| !text.is_empty());
    (code.or(gateway), text.or_else(|| Some(body.to_string())))
}
