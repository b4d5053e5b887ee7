//! Tokens: who gets one, what it is good for.

use base64::Engine;
use relationship_service::simulator::Scenario;
use serde_json::{Value, json};

use super::bench::Bench;

fn claims(token: &str) -> Value {
    let part = token.split('.').nth(1).unwrap();
    let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD
        .decode(part)
        .unwrap();
    serde_json::from_slice(&bytes).unwrap()
}

#[tokio::test]
async fn the_older_endpoint_writes_its_numbers_as_strings_and_the_newer_does_not() {
    let bench = Bench::start(Scenario::seeded(1, 1, 1)).await;
    let v1 = bench
        .token_for(&[("grant_type", "client_credentials")])
        .await;
    assert!(v1.body["expires_in"].is_string(), "{v1:?}");
    let path = format!("{}/oauth2/v2.0/token", bench.partner());
    let v2 = bench
        .token_at(
            &path,
            &[
                ("grant_type", "client_credentials"),
                ("scope", "https://api.partnercenter.microsoft.com/.default"),
            ],
        )
        .await;
    assert!(v2.body["expires_in"].is_number(), "{v2:?}");
}

#[tokio::test]
async fn an_app_and_user_token_names_the_tenant_and_multi_factor_authentication() {
    let bench = Bench::start(Scenario::seeded(1, 1, 1)).await;
    let claims = claims(&bench.token);
    assert_eq!(claims["tid"], json!(bench.partner()));
    assert_eq!(claims["amr"], json!(["pwd", "mfa"]));
    assert_eq!(claims["aud"], "https://api.partnercenter.microsoft.com");
}

#[tokio::test]
async fn an_app_only_token_reads_customers_but_ends_no_relationship() {
    let bench = Bench::start(Scenario::seeded(1, 0, 1))
        .await
        .app_only()
        .await;
    assert_eq!(bench.get("v1/customers").await.status, 200);
    assert_eq!(bench.remove().await.refusal(), (403, "900329".to_owned()));
}

#[tokio::test]
async fn a_bearer_from_elsewhere_is_refused_unless_it_was_announced() {
    let mut scenario = Scenario::seeded(1, 0, 1);
    scenario.behaviour.accept_tokens = vec!["brought along".to_owned()];
    let mut bench = Bench::start(scenario).await;
    bench.token = "forged".to_owned();
    assert_eq!(
        bench.get("v1/customers").await.refusal(),
        (401, "800001".to_owned())
    );
    bench.token = "brought along".to_owned();
    assert_eq!(bench.get("v1/customers").await.status, 200);
}

#[tokio::test]
async fn wrong_credentials_are_refused_as_entra_refuses_them() {
    let bench = Bench::start(Scenario::seeded(1, 0, 1)).await;
    let secret = bench
        .token_for(&[
            ("grant_type", "client_credentials"),
            ("client_secret", "wrong"),
        ])
        .await;
    assert_eq!(
        (secret.status, &secret.body["error"]),
        (401, &json!("invalid_client"))
    );
    let refresh = bench
        .token_for(&[("grant_type", "refresh_token"), ("refresh_token", "wrong")])
        .await;
    assert_eq!(
        (refresh.status, &refresh.body["error"]),
        (400, &json!("invalid_grant"))
    );
}

#[tokio::test]
async fn a_token_for_another_audience_is_refused() {
    let mut bench = Bench::start(Scenario::seeded(1, 0, 1)).await;
    let answer = bench
        .token_for(&[
            ("grant_type", "client_credentials"),
            ("resource", "https://graph.windows.net"),
        ])
        .await;
    bench.token = answer.body["access_token"].as_str().unwrap().to_owned();
    assert_eq!(
        bench.get("v1/customers").await.refusal(),
        (401, "900420".to_owned())
    );
}

/// An assertion without a real signature; the scenario names no public key, so claims decide.
fn assertion(claims: &Value) -> String {
    let part = |v: &Value| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(v.to_string());
    let header = json!({ "alg": "PS256", "typ": "JWT", "x5t#S256": "thumbprint" });
    format!("{}.{}.c2ln", part(&header), part(claims))
}

#[tokio::test]
async fn a_client_assertion_serves_instead_of_a_secret_if_its_claims_are_sane() {
    let bench = Bench::start(Scenario::seeded(1, 0, 1)).await;
    let client = bench.scenario.partners[0].client_id;
    let endpoint = bench
        .simulator
        .base_url()
        .join(&format!("{}/oauth2/token", bench.partner()))
        .unwrap();
    let sane = json!({
        "aud": endpoint, "iss": client, "sub": client, "jti": "1",
        "exp": jiff::Timestamp::now().as_second() + 300,
    });
    let ask = async |claims: &Value| {
        let assertion = assertion(claims);
        bench
            .token_for(&[
                ("grant_type", "client_credentials"),
                (
                    "client_assertion_type",
                    "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
                ),
                ("client_assertion", &assertion),
            ])
            .await
            .status
    };
    assert_eq!(ask(&sane).await, 200);
    for (claim, wrong) in [
        ("aud", json!("https://login.example/other/oauth2/token")),
        ("iss", json!("someone else")),
        ("exp", json!(1)),
        ("jti", json!("")),
    ] {
        let mut claims = sane.clone();
        claims[claim] = wrong;
        assert_eq!(ask(&claims).await, 401, "{claim}");
    }
}

#[tokio::test]
async fn a_rotated_refresh_token_differs_and_is_good_for_another_token() {
    let mut scenario = Scenario::seeded(1, 0, 1);
    scenario.behaviour.rotate_refresh_tokens = true;
    let bench = Bench::start(scenario).await;
    let first = bench
        .token_for(&[("grant_type", "refresh_token")])
        .await
        .body;
    let rotated = first["refresh_token"].as_str().unwrap();
    assert_ne!(rotated, bench.scenario.partners[0].refresh_token);
    let fields = [("grant_type", "refresh_token"), ("refresh_token", rotated)];
    assert_eq!(bench.token_for(&fields).await.status, 200);
}
