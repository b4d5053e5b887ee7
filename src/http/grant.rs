//! What a partner's tokens are asked for with: grant, client, proof, endpoint.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};

use super::assertion::ClientCertificate;

/// A secret given as a value, or a file that holds it (read at every use, so that it can be replaced).
#[derive(Clone)]
pub enum SecretSource {
    /// The secret itself.
    Value(SecretString),
    /// A file; white space around the secret is ignored.
    File(PathBuf),
}

impl SecretSource {
    /// The secret as it is now.
    ///
    /// # Errors
    /// A sentence without the secret: the file cannot be read or is empty.
    pub async fn read(&self) -> Result<SecretString, String> {
        let secret = match self {
            Self::Value(secret) => secret.clone(),
            Self::File(path) => {
                let text = tokio::fs::read_to_string(path)
                    .await
                    .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
                SecretString::from(text.trim().to_owned())
            }
        };
        if secret.expose_secret().is_empty() {
            return Err(match self {
                Self::Value(_) => "the secret is empty".to_owned(),
                Self::File(path) => format!("{} is empty", path.display()),
            });
        }
        Ok(secret)
    }
}

impl fmt::Debug for SecretSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value(_) => f.write_str("Value(…)"),
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
        }
    }
}

/// On whose behalf tokens are issued.
#[derive(Debug, Clone)]
pub enum Grant {
    /// App+user (Secure Application Model): the refresh token of a person who consented with MFA.
    /// Removal, links, entitlements and support contacts need it (documented by Microsoft).
    AppUser {
        /// The refresh token. A rotated one is kept in memory; a changed file wins over it.
        refresh_token: SecretSource,
    },
    /// Application alone (client credentials): enough for reading customers and subscriptions.
    AppOnly,
}

impl Grant {
    /// Whether tokens stand for a user.
    pub fn is_app_user(&self) -> bool {
        matches!(self, Self::AppUser { .. })
    }
}

/// How the client proves who it is.
#[derive(Debug, Clone)]
pub enum ClientProof {
    /// Client secret.
    Secret(SecretSource),
    /// Certificate: a signed assertion.
    Certificate(Arc<ClientCertificate>),
}

/// Which token endpoint of Entra is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TokenEndpoint {
    /// `/oauth2/token` with `resource`: what Partner Center's documentation shows.
    #[default]
    V1,
    /// `/oauth2/v2.0/token` with `scope`.
    V2,
}

impl TokenEndpoint {
    /// Path below the tenant.
    pub fn path(self) -> &'static str {
        match self {
            Self::V1 => "oauth2/token",
            Self::V2 => "oauth2/v2.0/token",
        }
    }
}

/// Everything a partner's tokens are asked for with.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// Application (client) id.
    pub client_id: String,
    /// How the client proves who it is.
    pub proof: ClientProof,
    /// On whose behalf.
    pub grant: Grant,
    /// Which endpoint.
    pub endpoint: TokenEndpoint,
}
