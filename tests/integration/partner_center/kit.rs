//! A small upstream on loopback that answers as a test says and keeps what it was asked.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::response::Response;
use axum::{Router, http};
use relationship_service::application::clock::SystemClock;
use relationship_service::application::upstream::{Call, Priority, SendGate};
use relationship_service::domain::ids::{CorrelationId, CustomerId, PartnerTenantId};
use relationship_service::http::{ClientProof, Credentials, Grant, SecretSource, TokenEndpoint};
use relationship_service::partner_center::{Cloud, PartnerCenterClient, PartnerSettings};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

pub(crate) const PARTNER: &str = "3b33e682-00c3-41ee-9dd2-a548adf56438";
pub(crate) const CUSTOMER: &str = "0c39d6d5-c70d-4c55-bc02-f620844f3fd1";

/// One request as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) headers: http::HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }

    pub(crate) fn is(&self, method: &str, path_end: &str) -> bool {
        self.method == method && self.path.ends_with(path_end)
    }

    pub(crate) fn is_token(&self) -> bool {
        self.path == "/token"
    }
}

/// An answer.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Reply {
    pub(crate) fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            headers: vec![(
                "content-type".to_owned(),
                "application/json; charset=utf-8".to_owned(),
            )],
            body: body.into(),
        }
    }

    pub(crate) fn json(status: u16, body: &Value) -> Self {
        Self::new(status, body.to_string())
    }

    /// As Partner Center sends a success: with a BOM.
    pub(crate) fn bom(body: &Value) -> Self {
        Self::new(200, format!("\u{feff}{body}"))
    }

    pub(crate) fn html(status: u16) -> Self {
        Self::new(status, "<html><title>Sign in</title></html>").with("content-type", "text/html")
    }

    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.retain(|(known, _)| known != name);
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }
}

type Handler = dyn Fn(&Seen) -> Reply + Send + Sync;

/// An upstream of one test.
pub(crate) struct Upstream {
    pub(crate) url: String,
    seen: Arc<Mutex<Vec<Seen>>>,
    server: JoinHandle<()>,
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.server.abort();
    }
}

pub(crate) fn token_reply(number: usize) -> Reply {
    Reply::json(
        200,
        &json!({"token_type": "Bearer", "expires_in": "3600", "access_token": format!("token-{number}")}),
    )
}

impl Upstream {
    /// Serves `handler`; the token endpoint answers by itself unless `handler` gives status 0 never.
    pub(crate) async fn serve(
        handler: impl Fn(&Seen) -> Reply + Send + Sync + 'static,
    ) -> Upstream {
        let tokens = std::sync::atomic::AtomicUsize::new(1);
        Self::serve_all(move |seen| {
            if seen.is_token() {
                return token_reply(tokens.fetch_add(1, std::sync::atomic::Ordering::SeqCst));
            }
            handler(seen)
        })
        .await
    }

    /// Like [`Self::serve`], the token endpoint included.
    pub(crate) async fn serve_all(
        handler: impl Fn(&Seen) -> Reply + Send + Sync + 'static,
    ) -> Upstream {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let journal = Arc::clone(&seen);
        let handler: Arc<Handler> = Arc::new(handler);
        let app = Router::new().fallback(move |request: Request| {
            let journal = Arc::clone(&journal);
            let handler = Arc::clone(&handler);
            async move {
                let (head, body) = request.into_parts();
                let seen = Seen {
                    method: head.method.to_string(),
                    path: head.uri.path().to_owned(),
                    query: head.uri.query().unwrap_or_default().to_owned(),
                    headers: head.headers,
                    body: to_bytes(body, usize::MAX).await.unwrap().to_vec(),
                };
                journal.lock().unwrap().push(seen.clone());
                let reply = handler(&seen);
                let mut response = Response::builder().status(reply.status);
                for (name, value) in &reply.headers {
                    response = response.header(name, value);
                }
                response.body(Body::from(reply.body)).unwrap()
            }
        });
        let server = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Upstream { url, seen, server }
    }

    /// What came, token calls left out.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        let all = self.seen.lock().unwrap();
        all.iter()
            .filter(|seen| !seen.is_token())
            .cloned()
            .collect()
    }

    /// The token calls.
    pub(crate) fn token_calls(&self) -> Vec<Seen> {
        let all = self.seen.lock().unwrap();
        all.iter().filter(|seen| seen.is_token()).cloned().collect()
    }

    pub(crate) fn settings(&self) -> PartnerSettings {
        settings(&self.url)
    }

    pub(crate) fn client(&self) -> PartnerCenterClient {
        client(self.settings())
    }
}

pub(crate) fn settings(url: &str) -> PartnerSettings {
    let mut settings = PartnerSettings::new(
        PARTNER.parse::<PartnerTenantId>().unwrap(),
        Cloud::Custom {
            base_url: url.parse().unwrap(),
            token_url: format!("{url}/token").parse().unwrap(),
            resource: None,
        },
        Credentials {
            client_id: "client".to_owned(),
            proof: ClientProof::Secret(SecretSource::Value("sesame".to_owned().into())),
            grant: Grant::AppUser {
                refresh_token: SecretSource::Value("refresh-me".to_owned().into()),
            },
            endpoint: TokenEndpoint::V1,
        },
    );
    settings.request_timeout = Duration::from_secs(5);
    settings.retry_pause = Duration::from_millis(1);
    settings.slow_change_pause = Duration::from_millis(1);
    settings.slow_change_budget = Duration::from_millis(50);
    settings
}

pub(crate) fn client(settings: PartnerSettings) -> PartnerCenterClient {
    PartnerCenterClient::new(settings, Arc::new(SystemClock)).unwrap()
}

pub(crate) fn customer() -> CustomerId {
    CUSTOMER.parse().unwrap()
}

pub(crate) fn call() -> Call {
    Call {
        correlation: "dec58181-67b5-4831-82c9-2fa099122f5d"
            .parse::<CorrelationId>()
            .unwrap(),
        priority: Priority::Interactive,
        deadline: None,
    }
}

/// A gate that always says the same, and counts how often it was asked.
pub(crate) struct Gate {
    answer: Result<(), String>,
    pub(crate) asked: std::sync::atomic::AtomicUsize,
}

impl Gate {
    pub(crate) fn open() -> Arc<Self> {
        Arc::new(Self {
            answer: Ok(()),
            asked: Default::default(),
        })
    }

    pub(crate) fn closed(why: &str) -> Arc<Self> {
        Arc::new(Self {
            answer: Err(why.to_owned()),
            asked: Default::default(),
        })
    }
}

#[async_trait]
impl SendGate for Gate {
    async fn may_send(&self) -> Result<(), String> {
        self.asked.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        self.answer.clone()
    }
}

pub(crate) fn customer_body() -> Value {
    json!({
        "id": CUSTOMER,
        "companyProfile": {"companyName": "Relecloud", "domain": "relecloud.onmicrosoft.com"},
        "relationshipToPartner": "reseller",
        "allowDelegatedAccess": true,
    })
}

pub(crate) fn subscription_body(id: &str) -> Value {
    json!({
        "id": id,
        "offerId": "2828BE95-46BA-4F91-B2FD-0BEF192ECF60",
        "friendlyName": "Exchange",
        "quantity": 3,
        "status": "active",
        "autoRenewEnabled": true,
        "billingType": "license",
        "somethingNew": {"Kept": [1, null, "x"]},
        "attributes": {"etag": "abc", "objectType": "Subscription"},
    })
}

pub(crate) fn gone() -> Reply {
    Reply::json(
        403,
        &json!({"code": 20002, "description": "No relationship between caller and account.", "data": [], "source": "PartnerFD"}),
    )
}

/// Answers that make a customer with these subscriptions and nothing else.
pub(crate) fn plain_customer(seen: &Seen, subscriptions: &[Value]) -> Reply {
    let path = seen.path.as_str();
    if path.ends_with("/subscriptions") {
        Reply::bom(&json!({"totalCount": 1, "items": subscriptions}))
    } else if path.ends_with("/transfers") {
        Reply::bom(&json!([]))
    } else if path.ends_with(CUSTOMER) {
        Reply::bom(&customer_body())
    } else {
        Reply::bom(&json!({"totalCount": 0, "items": []}))
    }
}
