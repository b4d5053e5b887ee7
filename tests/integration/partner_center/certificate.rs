//! A certificate instead of a client secret: the assertion verifies and names the certificate.

use std::process::Command;
use std::sync::Arc;

use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use relationship_service::http::{AssertionAlgorithm, ClientCertificate, ClientProof, Grant};
use serde_json::Value;

use super::kit::*;

#[tokio::test]
async fn the_assertion_is_signed_and_meant_for_the_token_endpoint() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let made = Command::new("openssl")
        .args([
            "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=test",
        ])
        .args(["-keyout", &path("key.pem"), "-out", &path("cert.pem")])
        .output();
    if !made.is_ok_and(|output| output.status.success()) {
        assert!(
            std::env::var_os("CI").is_none(),
            "CI skips nothing: install openssl"
        );
        eprintln!("SKIPPED the_assertion_is_signed: no openssl to make a certificate with");
        return;
    }
    let public = Command::new("openssl")
        .args(["x509", "-in", &path("cert.pem"), "-pubkey", "-noout"])
        .output()
        .unwrap();
    let key = DecodingKey::from_rsa_pem(&public.stdout).unwrap();
    let read = |name: &str| std::fs::read_to_string(path(name)).unwrap();
    let pem = format!("{}{}", read("cert.pem"), read("key.pem"));

    for (algorithm, wanted) in [
        (AssertionAlgorithm::Ps256, Algorithm::PS256),
        (AssertionAlgorithm::Rs256, Algorithm::RS256),
    ] {
        let upstream = Upstream::serve(|seen| plain_customer(seen, &[])).await;
        let mut settings = upstream.settings();
        settings.credentials.grant = Grant::AppOnly;
        let certificate = ClientCertificate::from_pem(&pem, algorithm).unwrap();
        settings.credentials.proof = ClientProof::Certificate(Arc::new(certificate));
        client(settings).check_token().await.unwrap();
        let calls = upstream.token_calls();
        let form: std::collections::HashMap<_, _> =
            url::form_urlencoded::parse(&calls[0].body).collect();
        assert_eq!(form["grant_type"], "client_credentials");
        assert!(!form.contains_key("client_secret"));
        let mut validation = Validation::new(wanted);
        validation.set_audience(&[format!("{}/token", upstream.url)]);
        validation.set_issuer(&["client"]);
        let token =
            jsonwebtoken::decode::<Value>(&*form["client_assertion"], &key, &validation).unwrap();
        assert_eq!(token.claims["sub"], "client");
        assert_eq!(token.header.x5t_s256.unwrap().len(), 43);
    }
}

#[test]
fn what_is_no_certificate_with_key_is_refused_without_being_shown() {
    for pem in [
        "",
        "secret words",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    ] {
        let why = ClientCertificate::from_pem(pem, AssertionAlgorithm::Ps256).unwrap_err();
        assert!(!why.contains("secret"), "{why}");
    }
}
