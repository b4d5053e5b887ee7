//! The stack: retries, tokens, throttling, deadlines, broken bodies.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use relationship_service::application::upstream::{NotChanged, PartnerCenter};
use relationship_service::domain::failure::FailureClass;
use relationship_service::http::SecretSource;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::kit::*;

fn link_or(status_first: u16, times: usize) -> impl Fn(&Seen) -> Reply {
    let calls = AtomicUsize::new(0);
    move |_| {
        if calls.fetch_add(1, Ordering::SeqCst) < times {
            Reply::new(status_first, "")
        } else {
            Reply::bom(&json!({"url": "https://x"}))
        }
    }
}

#[tokio::test]
async fn a_read_is_repeated_with_a_new_request_id_after_an_answer() {
    let upstream = Upstream::serve(link_or(503, 2)).await;
    upstream
        .client()
        .relationship_request_link(&call())
        .await
        .unwrap();
    let ids: std::collections::HashSet<String> = upstream
        .seen()
        .iter()
        .map(|seen| seen.header("ms-requestid").to_owned())
        .collect();
    assert_eq!(ids.len(), 3);
}

#[tokio::test]
async fn a_read_gives_up_after_the_configured_attempts() {
    let upstream = Upstream::serve(|_| Reply::new(500, "")).await;
    let failure = upstream
        .client()
        .relationship_request_link(&call())
        .await
        .unwrap_err();
    assert_eq!(failure.class, FailureClass::Unavailable);
    assert_eq!(failure.status, Some(500));
    assert!(failure.to_string().ends_with(": 500 no text"), "{failure}");
    assert_eq!(upstream.seen().len(), 4);
}

#[tokio::test]
async fn a_refusal_is_not_repeated() {
    let upstream = Upstream::serve(|_| Reply::json(403, &json!({"code": 900150}))).await;
    upstream
        .client()
        .relationship_request_link(&call())
        .await
        .unwrap_err();
    assert_eq!(upstream.seen().len(), 1);
}

/// A server that answers the token call, and everything else with these bytes and a closed connection.
async fn raw(answer: &'static [u8]) -> (String, std::sync::Arc<std::sync::Mutex<Vec<String>>>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let heads: std::sync::Arc<std::sync::Mutex<Vec<String>>> = Default::default();
    let kept = std::sync::Arc::clone(&heads);
    tokio::spawn(async move {
        loop {
            let Ok((mut stream, _)) = listener.accept().await else {
                return;
            };
            let mut head = vec![0; 64 * 1024];
            let mut length = 0;
            while !head[..length].windows(4).any(|w| w == b"\r\n\r\n") {
                match stream.read(&mut head[length..]).await {
                    Ok(0) | Err(_) => break,
                    Ok(more) => length += more,
                }
            }
            let head = String::from_utf8_lossy(&head[..length]).into_owned();
            if head.starts_with("POST /token") {
                let body = r#"{"expires_in": 3600, "access_token": "t"}"#;
                let answer = format!(
                    "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
                    body.len()
                );
                let _ = stream.write_all(answer.as_bytes()).await;
            } else {
                kept.lock().unwrap().push(head);
                let _ = stream.write_all(answer).await;
            }
            let _ = stream.shutdown().await;
        }
    });
    (url, heads)
}

fn request_ids(heads: &std::sync::Mutex<Vec<String>>) -> Vec<String> {
    heads
        .lock()
        .unwrap()
        .iter()
        .filter_map(|head| {
            head.lines()
                .find_map(|line| line.strip_prefix("ms-requestid: ").map(str::to_owned))
        })
        .collect()
}

#[tokio::test]
async fn without_an_answer_a_read_keeps_its_request_id() {
    let (url, heads) = raw(b"").await;
    let failure = client(settings(&url))
        .relationship_request_link(&call())
        .await
        .unwrap_err();
    assert_eq!(failure.class, FailureClass::Unavailable);
    let ids = request_ids(&heads);
    assert_eq!(ids.len(), 4);
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
}

#[tokio::test]
async fn bodies_that_are_cut_or_of_the_wrong_length_are_nonsense() {
    for answer in [
        // Longer announced than sent.
        &b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 500\r\n\r\n{\"url\": \"https"[..],
        // Shorter announced than sent.
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 10\r\nconnection: close\r\n\r\n{\"url\": \"https://x\"}",
        // A chunk that never ends.
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n50\r\n{\"url\"",
    ] {
        let (url, _) = raw(answer).await;
        let failure = client(settings(&url)).relationship_request_link(&call()).await.unwrap_err();
        assert_eq!(failure.class, FailureClass::Nonsense, "{failure}");
        assert_eq!(failure.status, Some(200));
    }
}

#[tokio::test]
async fn a_lost_answer_to_a_change_leaves_its_outcome_unknown() {
    let (url, heads) = raw(b"").await;
    let outcome = client(settings(&url))
        .remove_relationship(customer(), &call(), Gate::open())
        .await;
    assert!(
        matches!(&outcome, Err(NotChanged::Failed(f)) if f.class.leaves_outcome_unknown()),
        "{outcome:?}"
    );
    assert_eq!(request_ids(&heads).len(), 1);
}

#[tokio::test]
async fn a_change_that_finds_no_upstream_was_not_sent() {
    let upstream = Upstream::serve(|_| Reply::new(200, "")).await;
    let mut settings = upstream.settings();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let nobody = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    if let relationship_service::partner_center::Cloud::Custom { base_url, .. } =
        &mut settings.cloud
    {
        *base_url = nobody.parse().unwrap();
    }
    let outcome = client(settings)
        .remove_relationship(customer(), &call(), Gate::open())
        .await;
    assert!(
        matches!(&outcome, Err(NotChanged::NotSent(_))),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn a_pause_that_outlasts_the_deadline_is_said_at_once() {
    let upstream = Upstream::serve(|_| {
        Reply::json(429, &json!({"statusCode": 429, "message": "Rate limit is exceeded. Try again in 57 seconds."}))
            .with("retry-after", "57")
    })
    .await;
    let client = upstream.client();
    let mut call = call();
    call.deadline = Some(Instant::now() + Duration::from_secs(20));
    let failure = client
        .subscription(customer(), &"s".into(), &call)
        .await
        .unwrap_err();
    assert_eq!(failure.class, FailureClass::Throttled);
    assert!(failure.retry_after_ms.unwrap() > 50_000, "{failure:?}");
    // And the next one does not even ask.
    client
        .subscription(customer(), &"s".into(), &call)
        .await
        .unwrap_err();
    assert_eq!(upstream.seen().len(), 1);
}

#[tokio::test]
async fn a_short_pause_is_waited_for_and_then_one_probe_goes() {
    let calls = AtomicUsize::new(0);
    let upstream = Upstream::serve(move |_| {
        if calls.fetch_add(1, Ordering::SeqCst) == 0 {
            Reply::new(429, "").with("retry-after", "1")
        } else {
            Reply::bom(&subscription_body("s"))
        }
    })
    .await;
    let client = upstream.client();
    let before = client.rates().reads_per_minute;
    client
        .subscription(customer(), &"s".into(), &call())
        .await
        .unwrap();
    assert_eq!(upstream.seen().len(), 2);
    // One customer's 429 is not the partner's.
    assert!(client.rates().reads_per_minute >= before);
}

#[tokio::test]
async fn parallel_callers_share_one_token_call() {
    let upstream = Upstream::serve(|seen| plain_customer(seen, &[])).await;
    let client = upstream.client();
    client.snapshot(customer(), &call()).await;
    client.snapshot(customer(), &call()).await;
    let calls = upstream.token_calls();
    assert_eq!(calls.len(), 1);
    let form = String::from_utf8(calls[0].body.clone()).unwrap();
    assert!(form.contains("grant_type=refresh_token") && form.contains("refresh_token=refresh-me"));
    assert!(form.contains("resource=https%3A%2F%2Fapi.partnercenter.microsoft.com"));
    assert!(form.contains("client_secret=sesame"));
}

#[tokio::test]
async fn a_refused_token_call_fails_all_waiting_parts_at_once_and_shows_no_secret() {
    let upstream = Upstream::serve_all(|_| {
        Reply::json(400, &json!({"error": "invalid_grant", "error_description": "AADSTS70008: The refresh token has expired.\r\nTrace ID: 1"}))
    })
    .await;
    let client = upstream.client();
    let snapshot = client.snapshot(customer(), &call()).await;
    assert_eq!(snapshot.failures().len(), 5);
    for (_, failure) in snapshot.failures() {
        assert_eq!(failure.class, FailureClass::Credentials);
        assert!(failure.text.contains("AADSTS70008"), "{failure}");
    }
    assert_eq!(upstream.token_calls().len(), 1);
    assert!(upstream.seen().is_empty());
    let shown = format!("{client:?} {:?}", snapshot);
    for secret in ["sesame", "refresh-me"] {
        assert!(!shown.contains(secret));
    }
}

fn jwt(claims: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}.sig", part(&json!({"alg": "none"})), part(claims))
}

#[tokio::test]
async fn a_token_that_upstream_would_refuse_is_refused_before_any_work() {
    for (claims, class) in [
        (
            json!({"aud": "https://graph.windows.net"}),
            FailureClass::Credentials,
        ),
        (
            json!({"aud": "https://api.partnercenter.microsoft.com", "amr": ["pwd"]}),
            FailureClass::MfaRequired,
        ),
        (
            json!({"tid": "11111111-1111-1111-1111-111111111111"}),
            FailureClass::Credentials,
        ),
    ] {
        let token = jwt(&claims);
        let upstream = Upstream::serve_all(move |_| {
            Reply::json(200, &json!({"expires_in": "3600", "access_token": token}))
        })
        .await;
        let failure = upstream.client().check_token().await.unwrap_err();
        assert_eq!(failure.class, class, "{failure}");
        assert!(upstream.seen().is_empty());
    }
    let token = jwt(
        &json!({"aud": "https://api.partnercenter.microsoft.com/", "amr": ["pwd", "mfa"], "tid": PARTNER}),
    );
    let upstream = Upstream::serve_all(move |_| {
        Reply::json(200, &json!({"expires_in": "3600", "access_token": token}))
    })
    .await;
    let health = upstream.client().check_token().await.unwrap();
    assert_eq!(health.mfa, Some(true));
}

#[tokio::test]
async fn a_read_refused_with_an_old_token_gets_one_new_one() {
    let upstream = Upstream::serve(|seen| {
        if seen.header("authorization") == "Bearer token-1" {
            Reply::new(401, "")
        } else {
            Reply::bom(&json!({"url": "https://x"}))
        }
    })
    .await;
    upstream
        .client()
        .relationship_request_link(&call())
        .await
        .unwrap();
    assert_eq!(upstream.seen().len(), 2);

    let upstream = Upstream::serve(|_| Reply::new(401, "")).await;
    let failure = upstream
        .client()
        .relationship_request_link(&call())
        .await
        .unwrap_err();
    assert_eq!(failure.class, FailureClass::Credentials);
    assert_eq!(upstream.seen().len(), 2);
}

#[tokio::test]
async fn a_rotated_refresh_token_is_used_until_the_file_changes() {
    let calls = AtomicUsize::new(1);
    let upstream = Upstream::serve_all(move |seen| {
        if seen.is_token() {
            let n = calls.fetch_add(1, Ordering::SeqCst);
            return Reply::json(200, &json!({"expires_in": 3600, "access_token": format!("a{n}"), "refresh_token": format!("rotated{n}")}));
        }
        Reply::new(401, "")
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("refresh");
    std::fs::write(&file, "first\n").unwrap();
    let mut settings = upstream.settings();
    settings.credentials.grant = relationship_service::http::Grant::AppUser {
        refresh_token: SecretSource::File(file.clone()),
    };
    let client = client(settings);
    // Every refused read fetches a further token.
    let _ = client.relationship_request_link(&call()).await;
    std::fs::write(&file, "second").unwrap();
    let _ = client.relationship_request_link(&call()).await;
    let sent: Vec<String> = upstream
        .token_calls()
        .iter()
        .map(|seen| {
            url::form_urlencoded::parse(&seen.body)
                .find(|(name, _)| name == "refresh_token")
                .unwrap()
                .1
                .into_owned()
        })
        .collect();
    assert_eq!(sent, ["first", "rotated1", "second"]);
}
