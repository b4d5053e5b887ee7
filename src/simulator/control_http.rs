//! The control API over HTTP, below `/control`.

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{FromRequest, Query, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use jiff::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::act::Act;
use super::control::ControlHandle;
use super::faults::FaultRule;
use super::scenario::Scenario;

/// The longest that a reading of the clock waits for a change, in seconds.
const LONGEST_WAIT: u64 = 60;

/// The routes of the control API.
pub(super) fn routes(handle: ControlHandle) -> Router {
    Router::new()
        .route("/clock", get(read_clock).post(move_clock))
        .route("/journal", get(read_journal).delete(clear_journal))
        .route("/state", get(read_state))
        .route(
            "/faults",
            get(list_faults).post(add_faults).delete(clear_faults),
        )
        .route("/act", post(act))
        .route("/scenario", post(replace_scenario))
        .with_state(handle)
}

/// A JSON body, whatever `Content-Type` says: `curl -d` calls everything a form.
struct Wanted<T>(T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Wanted<T> {
    type Rejection = Response;

    async fn from_request(request: Request, state: &S) -> Result<Self, Self::Rejection> {
        let body = Bytes::from_request(request, state)
            .await
            .map_err(IntoResponse::into_response)?;
        serde_json::from_slice(&body)
            .map(Self)
            .map_err(|error| refuse(&format!("the body is not as it must be: {error}")))
    }
}

#[derive(Deserialize)]
struct Follow {
    changed_from: Option<i64>,
    wait_seconds: Option<u64>,
}

async fn read_clock(State(handle): State<ControlHandle>, Query(follow): Query<Follow>) -> Response {
    let reading = match follow.changed_from {
        Some(from) => {
            let wait = follow.wait_seconds.unwrap_or(20).min(LONGEST_WAIT);
            handle.clock_changed(from, Duration::from_secs(wait)).await
        }
        None => handle.clock(),
    };
    Json(reading).into_response()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Move {
    #[serde(default)]
    advance_seconds: Option<u64>,
    #[serde(default)]
    set: Option<Timestamp>,
}

async fn move_clock(State(handle): State<ControlHandle>, Wanted(wanted): Wanted<Move>) -> Response {
    match (wanted.advance_seconds, wanted.set) {
        (Some(seconds), None) => Json(handle.advance(Duration::from_secs(seconds))).into_response(),
        (None, Some(to)) => handle.set_clock(to).map_or_else(
            || refuse("the clock cannot be set back"),
            |reading| Json(reading).into_response(),
        ),
        _ => refuse("give either advance_seconds or set"),
    }
}

#[derive(Deserialize)]
struct After {
    #[serde(default)]
    after: u64,
}

async fn read_journal(State(handle): State<ControlHandle>, Query(after): Query<After>) -> Response {
    Json(json!({ "entries": handle.journal(after.after) })).into_response()
}

async fn clear_journal(State(handle): State<ControlHandle>) -> StatusCode {
    handle.clear_journal();
    StatusCode::NO_CONTENT
}

async fn read_state(State(handle): State<ControlHandle>) -> Json<Value> {
    Json(handle.state())
}

async fn list_faults(State(handle): State<ControlHandle>) -> Json<Value> {
    let rules: Vec<Value> = handle
        .faults()
        .into_iter()
        .map(|(rule, matched)| json!({ "rule": rule, "matched": matched }))
        .collect();
    Json(json!({ "rules": rules }))
}

async fn add_faults(
    State(handle): State<ControlHandle>,
    Wanted(rules): Wanted<Vec<FaultRule>>,
) -> StatusCode {
    handle.add_faults(rules);
    StatusCode::NO_CONTENT
}

async fn clear_faults(State(handle): State<ControlHandle>) -> StatusCode {
    handle.clear_faults();
    StatusCode::NO_CONTENT
}

async fn act(State(handle): State<ControlHandle>, Wanted(act): Wanted<Act>) -> Response {
    match handle.act(&act) {
        Ok(told) => Json(told).into_response(),
        Err(why) => (StatusCode::CONFLICT, Json(json!({ "error": why }))).into_response(),
    }
}

async fn replace_scenario(
    State(handle): State<ControlHandle>,
    Wanted(scenario): Wanted<Scenario>,
) -> Response {
    match handle.replace_scenario(&scenario) {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(error) => refuse(&error.to_string()),
    }
}

fn refuse(why: &str) -> Response {
    (StatusCode::BAD_REQUEST, Json(json!({ "error": why }))).into_response()
}
