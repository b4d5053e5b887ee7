//! The HTTP side: journal, faults, token check, endpoint, and the answer on the wire.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use http_body_util::{BodyExt, Limited};
use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use super::answer::Answer;
use super::clock::Clock;
use super::connection::Breaker;
use super::faults::{Fault, Faults, Verdict};
use super::journal::{Authorization, Journal, JournalEntry};
use super::model::World;
use super::replays::Replays;
use super::request::{ApiRequest, Endpoint};
use super::respond::respond;
use super::token::{self, Grant, Tokens};
use super::{api, seed};

const BODY_LIMIT: usize = 1 << 20;

/// What all requests share. The one lock is never held across an await.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) clock: Clock,
    /// Constant delay of every answer.
    pub(super) latency: Option<Duration>,
    inner: Mutex<Inner>,
}

/// The state behind the lock.
#[derive(Debug)]
pub(super) struct Inner {
    pub(super) world: World,
    pub(super) tokens: Tokens,
    pub(super) journal: Journal,
    pub(super) faults: Faults,
    replays: Replays,
    counter: u64,
}

impl Shared {
    pub(super) fn new(world: World, clock: Clock, latency: Option<Duration>) -> Self {
        Self {
            clock,
            latency,
            inner: Mutex::new(Inner {
                world,
                tokens: Tokens::default(),
                journal: Journal::default(),
                faults: Faults::default(),
                replays: Replays::default(),
                counter: 0,
            }),
        }
    }

    /// The state. A panic while it was held leaves it usable: changes are single assignments.
    pub(super) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Replaces the state; tokens of partners that exist no longer are refused by themselves.
    pub(super) fn replace_world(&mut self, world: World) {
        self.world = world;
        self.replays = Replays::default();
    }
}

/// A request with its body read.
struct Received {
    method: String,
    path: String,
    query: Option<String>,
    headers: HeaderMap,
    body: Bytes,
}

impl Received {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|v| v.to_str().ok())
    }

    fn bearer(&self) -> Option<&str> {
        let value = self.header("authorization")?;
        let (scheme, token) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    }

    fn endpoint(&self) -> Endpoint {
        let path = self.path.to_lowercase();
        if self.method == "POST"
            && (path.ends_with("/oauth2/token") || path.ends_with("/oauth2/v2.0/token"))
        {
            return Endpoint::Token;
        }
        if self.method == "POST" && matches!(path.as_str(), "/generatetoken" | "/v3/generatetoken")
        {
            return Endpoint::GenerateToken;
        }
        match self.segments() {
            Some(segments) => Endpoint::of(&self.method, &segments),
            None => Endpoint::Unknown,
        }
    }

    /// Path below `/v1`.
    fn segments(&self) -> Option<Vec<&str>> {
        // Microsoft's Java SDK joins links so that a slash is doubled.
        let mut segments = self.path.split('/').filter(|s| !s.is_empty());
        segments
            .next()
            .filter(|v| v.eq_ignore_ascii_case("v1"))
            .map(|_| segments.collect())
    }
}

/// Serves every path that is not the control API.
pub(super) async fn serve(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(breaker): ConnectInfo<Breaker>,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let body = match Limited::new(body, BODY_LIMIT).collect().await {
        Ok(body) => body.to_bytes(),
        // The caller went away, or sends more than any resource holds.
        Err(_) => return plain(StatusCode::PAYLOAD_TOO_LARGE),
    };
    let received = Received {
        method: parts.method.to_string(),
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().map(str::to_owned),
        headers: parts.headers,
        body,
    };
    let endpoint = received.endpoint();
    let json: Option<Value> = (received.method != "GET" && endpoint != Endpoint::Token)
        .then(|| serde_json::from_slice(strip_mark(&received.body)).ok())
        .flatten();
    let (seq, verdict) = arrive(&shared, &received, endpoint, json.as_ref());
    let delay = verdict.latency + shared.latency.unwrap_or_default();
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
    finish(
        &shared,
        &breaker,
        &received,
        endpoint,
        json.as_ref(),
        seq,
        verdict,
    )
}

/// Writes the arrival down and asks the fault rules.
fn arrive(
    shared: &Shared,
    received: &Received,
    endpoint: Endpoint,
    body: Option<&Value>,
) -> (u64, Verdict) {
    let now = shared.clock.now();
    let mut inner = shared.lock();
    let inner = &mut *inner;
    let grant = received
        .bearer()
        .map(|token| inner.tokens.check(&inner.world, token));
    let partner = match &grant {
        Some(Some(grant)) => Some(grant.partner),
        _ if endpoint == Endpoint::Token => received
            .path
            .trim_start_matches('/')
            .split('/')
            .next()
            .and_then(|t| Uuid::try_parse(t).ok()),
        _ => None,
    };
    let verdict = inner.faults.judge(
        inner.world.seed,
        &received.method,
        &received.path,
        endpoint.name(),
        partner,
    );
    let header = |name: &str| received.header(name).map(str::to_owned);
    let seq = inner.journal.start(JournalEntry {
        seq: 0,
        started: 0,
        finished: None,
        real_time: Timestamp::now(),
        simulator_time: now,
        method: received.method.clone(),
        path: received.path.clone(),
        query: received.query.clone(),
        endpoint: endpoint.name(),
        request_id: header("ms-requestid"),
        correlation_id: header("ms-correlationid"),
        if_match: header("if-match"),
        authorization: match grant {
            None => Authorization::None,
            Some(None) => Authorization::Unknown,
            Some(Some(grant)) => grant.kind,
        },
        body: if endpoint == Endpoint::Token {
            form(&received.body)
                .get("grant_type")
                .map(|grant| json!({ "grant_type": grant }))
        } else {
            body.cloned()
        },
        status: None,
        code: None,
        applied: false,
        effect: None,
        note: None,
        fault: verdict.fault.as_ref().map(Fault::name),
    });
    (seq, verdict)
}

/// Does what the request asks for (unless a fault forbids), writes the outcome down, and answers.
fn finish(
    shared: &Shared,
    breaker: &Breaker,
    received: &Received,
    endpoint: Endpoint,
    body: Option<&Value>,
    seq: u64,
    verdict: Verdict,
) -> Response {
    let mut inner = shared.lock();
    let inner = &mut *inner;
    inner.counter += 1;
    let (seed, count) = (inner.world.seed, inner.counter);
    let fallback = |salt: &str| seed::id(seed, &format!("{salt}/{count}"));
    let request_id = received
        .header("ms-requestid")
        .map_or_else(|| fallback("request").to_string(), str::to_owned);
    let correlation_id = received
        .header("ms-correlationid")
        .map_or_else(|| fallback("correlation").to_string(), str::to_owned);
    let fault = verdict.fault;
    let instead = match &fault {
        Some(fault) => replace(inner, fault, verdict.quota_closed),
        None => None,
    };
    let lost = matches!(fault, Some(Fault::ResetBefore | Fault::AnswerLost));
    let answer = match (&fault, instead) {
        (Some(Fault::ResetBefore), _) => Answer::empty(503),
        (_, Some(answer)) => answer,
        _ => execute(
            inner,
            shared.clock.now(),
            received,
            endpoint,
            body,
            &correlation_id,
            fault.as_ref(),
        ),
    };
    let finished = inner.journal.mark();
    if let Some(entry) = inner.journal.entry(seq) {
        entry.finished = Some(finished);
        entry.status = (!lost).then_some(answer.status);
        entry.code.clone_from(&answer.code);
        entry.applied = answer.effect.is_some();
        entry.effect.clone_from(&answer.effect);
        entry.note.clone_from(&answer.note);
    }
    if lost {
        breaker.trip();
    }
    let ids = [
        ("MS-RequestId", request_id),
        ("MS-CorrelationId", correlation_id),
        ("MS-CV", format!("{}.0", short(fallback("vector")))),
        ("MS-ServerId", "0000112E".to_owned()),
        (
            "Request-Context",
            format!("appId=cid-v1:{}", seed::id(seed, "server")),
        ),
    ];
    respond(answer, ids, fault.as_ref())
}

/// The answer of a fault that forbids the request from being served.
fn replace(inner: &mut Inner, fault: &Fault, quota_closed: Option<u64>) -> Option<Answer> {
    let answer = match fault {
        Fault::Status {
            status,
            code,
            description,
            body,
            retry_after_seconds,
        } => {
            let text = description
                .as_deref()
                .unwrap_or("Injected by a fault rule.");
            let mut answer = match (code, body) {
                (_, Some(body)) => Answer::plain(*status, body.clone()),
                (Some(code), None) => Answer::error(*status, *code, text),
                (None, None) => Answer::empty(*status),
            };
            if let Some(seconds) = retry_after_seconds {
                answer.headers.push(("Retry-After", seconds.to_string()));
            }
            answer
        }
        Fault::Throttle {
            retry_after_seconds,
        } => Answer::throttled(*retry_after_seconds),
        Fault::Quota { .. } => Answer::throttled(quota_closed.unwrap_or(60)),
        Fault::Html => Answer::empty(200),
        Fault::Redirect { location } => {
            let mut answer = Answer::empty(302);
            answer.headers.push(("Location", location.clone()));
            answer
        }
        Fault::InvalidToken => unauthorized(800_001, "The token is missing or not valid."),
        Fault::ExpireTokens => {
            inner.tokens.revoke_all();
            unauthorized(800_001, "The token has expired.")
        }
        Fault::MfaRefused => unauthorized(900_421, "Multi-factor authentication is required."),
        _ => return None,
    };
    Some(answer.with_note("fault"))
}

fn unauthorized(code: u32, text: &str) -> Answer {
    let mut answer = Answer::error(401, code, text);
    answer.headers.push((
        "WWW-Authenticate",
        "Bearer error=\"invalid_token\"".to_owned(),
    ));
    answer
}

/// Serves a request: token endpoints first, then everything that wants a bearer.
fn execute(
    inner: &mut Inner,
    now: Timestamp,
    received: &Received,
    endpoint: Endpoint,
    body: Option<&Value>,
    correlation_id: &str,
    fault: Option<&Fault>,
) -> Answer {
    if endpoint == Endpoint::Token {
        let form = form(&received.body);
        return token::token(&mut inner.world, &mut inner.tokens, &received.path, &form);
    }
    let (bearer, grant) = match authorize(inner, received, endpoint) {
        Ok(authorized) => authorized,
        Err(refusal) => return *refusal,
    };
    if endpoint == Endpoint::GenerateToken {
        return token::generate(&inner.world, bearer);
    }
    let changes = received.method != "GET";
    let replay = received
        .header("ms-requestid")
        .filter(|_| changes)
        .map(|id| {
            // The body too: some clients send one id with everything they do.
            let body = String::from_utf8_lossy(&received.body);
            (
                id.to_lowercase(),
                format!("{} {} {body}", received.method, received.path),
            )
        });
    if let Some(key) = &replay
        && let Some(mut answer) = inner.replays.recall(key)
    {
        answer.effect = None;
        return answer.with_note("same MS-RequestId: the first answer again");
    }
    let segments = received.segments().unwrap_or_default();
    let mut path_and_query = format!("/{}", segments.join("/"));
    if let Some(query) = &received.query {
        path_and_query.push('?');
        path_and_query.push_str(query);
    }
    let request = ApiRequest {
        endpoint,
        segments,
        path_and_query: &path_and_query,
        query: url::form_urlencoded::parse(received.query.as_deref().unwrap_or("").as_bytes())
            .map(|(k, v)| (k.to_lowercase(), v.into_owned()))
            .collect(),
        if_match: received.header("if-match"),
        continuation: received.header("ms-continuationtoken"),
        correlation_id,
        body,
        partner: grant.partner,
        authorization: grant.kind,
        now,
        delay_effect: match fault {
            Some(Fault::DelayedEffect { seconds }) => Some(*seconds),
            _ => None,
        },
        propagation: match fault {
            Some(Fault::SlowPropagation { seconds }) => Some(*seconds),
            _ => None,
        },
    };
    let answer = api::answer(&mut inner.world, &request);
    if let Some(key) = replay
        && answer.status < 500
    {
        inner.replays.remember(key, answer.clone());
    }
    answer
}

/// The bearer and what it stands for, or the refusal.
fn authorize<'a>(
    inner: &Inner,
    received: &'a Received,
    endpoint: Endpoint,
) -> Result<(&'a str, Grant), Box<Answer>> {
    let Some(bearer) = received.bearer() else {
        return Err(Box::new(unauthorized(800_001, "The token is missing.")));
    };
    let Some(grant) = inner.tokens.check(&inner.world, bearer) else {
        return Err(Box::new(unauthorized(
            800_001,
            "The token was not issued here or has expired.",
        )));
    };
    if !token::is_for_partner_center(bearer) {
        return Err(Box::new(unauthorized(
            900_420,
            "The audience is not supported.",
        )));
    }
    if grant.kind == Authorization::App && endpoint.needs_user() {
        return Err(Box::new(Answer::error(
            403,
            900_329,
            "This resource does not support application-only authentication.",
        )));
    }
    Ok((bearer, grant))
}

fn plain(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

fn form(body: &[u8]) -> BTreeMap<String, String> {
    url::form_urlencoded::parse(body).into_owned().collect()
}

fn strip_mark(body: &[u8]) -> &[u8] {
    body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body)
}

fn short(id: Uuid) -> String {
    use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};
    STANDARD_NO_PAD.encode(id.as_bytes())[..16].to_owned()
}
