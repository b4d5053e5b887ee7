//! The last step of an answer: HTTP, with the damage that a fault does to it.

use std::io;

use axum::body::{Body, Bytes};
use axum::response::Response;
use futures::StreamExt;
use http::{HeaderValue, StatusCode, header};

use super::answer::Answer;
use super::faults::Fault;

/// Turns an answer into HTTP.
pub(super) fn respond(
    answer: Answer,
    ids: [(&'static str, String); 5],
    fault: Option<&Fault>,
) -> Response {
    let (mut bytes, mut content_type) = answer.bytes();
    if matches!(fault, Some(Fault::Html)) {
        bytes = b"<!DOCTYPE html><html><body><h1>Sign in</h1></body></html>".to_vec();
        content_type = Some("text/html; charset=utf-8");
    }
    let mut response = Response::new(Body::empty());
    *response.status_mut() =
        StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    if let Some(content_type) = content_type {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    }
    for (name, value) in ids.into_iter().chain(answer.headers) {
        if let (Ok(name), Ok(value)) = (
            http::HeaderName::from_bytes(name.as_bytes()),
            HeaderValue::from_str(&value),
        ) {
            headers.insert(name, value);
        }
    }
    let damaged = match fault {
        Some(Fault::CutBody) => {
            let whole = bytes.len();
            bytes.truncate(whole / 2);
            Some(whole)
        }
        Some(Fault::WrongContentLength) => Some(bytes.len() + 64),
        _ => None,
    };
    match damaged {
        Some(announced) => {
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from(announced));
            // A stream, so that the server takes the announced length for granted. It waits once
            // before it ends early, so that what there is has been sent by then.
            let sent = futures::stream::once(async move { Ok::<_, io::Error>(Bytes::from(bytes)) });
            let parts = sent.chain(futures::stream::once(async {
                tokio::task::yield_now().await;
                Err(io::ErrorKind::UnexpectedEof.into())
            }));
            *response.body_mut() = Body::from_stream(parts);
        }
        None => *response.body_mut() = Body::from(bytes),
    }
    response
}
