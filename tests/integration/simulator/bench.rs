//! A running simulator with a client that talks plain JSON to it; shared by the tests below.

use relationship_service::simulator::{
    ControlHandle, CustomerSpec, Scenario, Simulator, SimulatorConfig,
};
use reqwest::{Method, Response};
use serde_json::{Value, json};
use uuid::Uuid;

/// A simulator and an app+user token for its first partner.
pub(super) struct Bench {
    pub(super) simulator: Simulator,
    pub(super) scenario: Scenario,
    pub(super) http: reqwest::Client,
    pub(super) token: String,
}

/// An answer taken apart.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) status: u16,
    pub(super) headers: reqwest::header::HeaderMap,
    pub(super) bytes: Vec<u8>,
    pub(super) body: Value,
}

impl Seen {
    async fn of(response: Response) -> Self {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let bytes = response.bytes().await.unwrap().to_vec();
        let text = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&bytes);
        let body = serde_json::from_slice(text).unwrap_or(Value::Null);
        Self {
            status,
            headers,
            bytes,
            body,
        }
    }

    /// Status and error code, the code as text whichever way it travelled.
    pub(super) fn refusal(&self) -> (u16, String) {
        (
            self.status,
            self.body["code"].to_string().trim_matches('"').to_owned(),
        )
    }
}

impl Bench {
    pub(super) async fn start(scenario: Scenario) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let simulator = Simulator::start(SimulatorConfig::new(scenario.clone()), listener)
            .await
            .unwrap();
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .unwrap();
        let mut bench = Self {
            simulator,
            scenario,
            http,
            token: String::new(),
        };
        let answer = bench.token_for(&[("grant_type", "refresh_token")]).await;
        bench.token = answer.body["access_token"].as_str().unwrap().to_owned();
        bench
    }

    /// Asks the older token endpoint of the first partner; `fields` win over the defaults.
    pub(super) async fn token_for(&self, fields: &[(&str, &str)]) -> Seen {
        let tenant = self.scenario.partners[0].tenant_id;
        self.token_at(&format!("{tenant}/oauth2/token"), fields)
            .await
    }

    pub(super) async fn token_at(&self, path: &str, fields: &[(&str, &str)]) -> Seen {
        let partner = &self.scenario.partners[0];
        let client = partner.client_id.to_string();
        let mut form = vec![
            ("client_id", client.as_str()),
            ("client_secret", partner.client_secret.as_deref().unwrap()),
            ("refresh_token", partner.refresh_token.as_str()),
            ("resource", "https://api.partnercenter.microsoft.com"),
        ];
        form.retain(|(name, _)| !fields.iter().any(|(n, _)| n == name));
        form.extend(fields);
        let url = self.simulator.base_url().join(path).unwrap();
        Seen::of(self.http.post(url).form(&form).send().await.unwrap()).await
    }

    /// The same bench with another bearer.
    pub(super) async fn app_only(mut self) -> Self {
        let answer = self
            .token_for(&[("grant_type", "client_credentials")])
            .await;
        self.token = answer.body["access_token"].as_str().unwrap().to_owned();
        self
    }

    pub(super) fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let url = self.simulator.base_url().join(path).unwrap();
        self.http.request(method, url).bearer_auth(&self.token)
    }

    pub(super) async fn get(&self, path: &str) -> Seen {
        Seen::of(self.request(Method::GET, path).send().await.unwrap()).await
    }

    pub(super) async fn patch(&self, path: &str, body: &Value) -> Seen {
        Seen::of(
            self.request(Method::PATCH, path)
                .json(body)
                .send()
                .await
                .unwrap(),
        )
        .await
    }

    pub(super) async fn send(&self, request: reqwest::RequestBuilder) -> Seen {
        Seen::of(request.send().await.unwrap()).await
    }

    pub(super) fn control(&self) -> &ControlHandle {
        self.simulator.control()
    }

    pub(super) fn partner(&self) -> Uuid {
        self.scenario.partners[0].tenant_id
    }

    pub(super) fn customer(&self) -> &CustomerSpec {
        &self.scenario.partners[0].customers[0]
    }

    /// Path of the first customer.
    pub(super) fn path(&self) -> String {
        format!("v1/customers/{}", self.customer().id)
    }

    /// Sends the documented removal for the first customer.
    pub(super) async fn remove(&self) -> Seen {
        let body =
            json!({ "relationshipToPartner": "none", "attributes": { "objectType": "Customer" } });
        self.patch(&self.path(), &body).await
    }

    /// Reads a subscription, sets its status in the full body and sends it back.
    pub(super) async fn set_status(&self, subscription: &str, status: &str) -> Seen {
        let path = format!("{}/subscriptions/{subscription}", self.path());
        let mut body = self.get(&path).await.body;
        body["status"] = json!(status);
        self.patch(&path, &body).await
    }
}
