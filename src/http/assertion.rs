//! Client assertion: proving who the client is with a certificate instead of a secret.

use std::fmt;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use secrecy::SecretString;
use serde::Serialize;
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// How long an assertion holds, in seconds. Documented by Microsoft: 5 to 10 minutes at most.
const LIFETIME: i64 = 300;

/// Signature of an assertion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AssertionAlgorithm {
    /// RSA-PSS with SHA-256: what Microsoft recommends.
    #[default]
    Ps256,
    /// RSA PKCS#1 v1.5 with SHA-256.
    Rs256,
}

/// A certificate with its private RSA key.
pub struct ClientCertificate {
    key: EncodingKey,
    /// SHA-256 over the certificate's DER, base64url: Entra finds the registered certificate by it.
    thumbprint: String,
    certificate: String,
    algorithm: AssertionAlgorithm,
}

impl fmt::Debug for ClientCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientCertificate")
            .field("thumbprint", &self.thumbprint)
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}

#[derive(Serialize)]
struct Claims<'a> {
    aud: &'a str,
    iss: &'a str,
    sub: &'a str,
    jti: String,
    iat: i64,
    nbf: i64,
    exp: i64,
}

impl ClientCertificate {
    /// Reads certificate and RSA key from PEM text (one file may hold both, in any order).
    ///
    /// # Errors
    /// A sentence without the key: no certificate, no key, or a key that is no RSA key.
    pub fn from_pem(pem: &str, algorithm: AssertionAlgorithm) -> Result<Self, String> {
        let certificate = block(pem, |label| label == "CERTIFICATE")
            .ok_or("the PEM text holds no CERTIFICATE")?;
        let der = STANDARD
            .decode(&certificate.1)
            .map_err(|_| "the CERTIFICATE is not valid base64")?;
        let (label, body) = block(pem, |label| label.ends_with("PRIVATE KEY"))
            .ok_or("the PEM text holds no PRIVATE KEY")?;
        let key_pem = format!(
            "-----BEGIN {label}-----\n{}\n-----END {label}-----\n",
            wrapped(&body)
        );
        let key = EncodingKey::from_rsa_pem(key_pem.as_bytes())
            .map_err(|_| "the PRIVATE KEY is no unencrypted RSA key")?;
        Ok(Self {
            key,
            thumbprint: URL_SAFE_NO_PAD.encode(Sha256::digest(&der)),
            certificate: certificate.1,
            algorithm,
        })
    }

    /// Like [`Self::from_pem`], from a file.
    ///
    /// # Errors
    /// Also when the file cannot be read.
    pub fn from_file(path: &Path, algorithm: AssertionAlgorithm) -> Result<Self, String> {
        let pem = std::fs::read_to_string(path)
            .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
        Self::from_pem(&pem, algorithm).map_err(|why| format!("{}: {why}", path.display()))
    }

    /// A fresh assertion of `client_id` for `token_url`; `now` in seconds since the epoch.
    ///
    /// # Errors
    /// A sentence: the key cannot sign.
    pub(super) fn assertion(
        &self,
        client_id: &str,
        token_url: &str,
        now: i64,
    ) -> Result<SecretString, String> {
        let mut header = Header::new(match self.algorithm {
            AssertionAlgorithm::Ps256 => Algorithm::PS256,
            AssertionAlgorithm::Rs256 => Algorithm::RS256,
        });
        header.x5t_s256 = Some(self.thumbprint.clone());
        // The certificate itself too: registrations by subject name and issuer need it.
        header.x5c = Some(vec![self.certificate.clone()]);
        let claims = Claims {
            aud: token_url,
            iss: client_id,
            sub: client_id,
            jti: Uuid::new_v4().to_string(),
            iat: now,
            // Clocks differ by a little.
            nbf: now - 30,
            exp: now + LIFETIME,
        };
        jsonwebtoken::encode(&header, &claims, &self.key)
            .map(SecretString::from)
            .map_err(|error| format!("the client assertion cannot be signed: {error}"))
    }
}

/// The first PEM block whose label is wanted: label and base64 text without line breaks.
fn block(pem: &str, wanted: impl Fn(&str) -> bool) -> Option<(String, String)> {
    let mut lines = pem.lines().map(str::trim);
    while let Some(line) = lines.next() {
        let Some(label) = line
            .strip_prefix("-----BEGIN ")
            .and_then(|rest| rest.strip_suffix("-----"))
        else {
            continue;
        };
        let end = format!("-----END {label}-----");
        let body: String = lines.by_ref().take_while(|line| *line != end).collect();
        if wanted(label) {
            return Some((label.to_owned(), body));
        }
    }
    None
}

fn wrapped(base64: &str) -> String {
    base64
        .as_bytes()
        .chunks(64)
        .map(|line| String::from_utf8_lossy(line).into_owned())
        .collect::<Vec<_>>()
        .join("\n")
}
