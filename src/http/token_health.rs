//! Token health: what a token's claims say about whether upstream will take it.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde_json::Value;

use crate::domain::failure::FailureClass;

/// Application id of Partner Center's API: the audience of v2 tokens.
const PARTNER_CENTER_APP: &str = "fa3d9a0c-3fb0-42cc-9193-47c7ecd2edbd";

/// What is known about the token in use. Claims are read, not verified: the token is for upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenHealth {
    /// Whether it stands for a user.
    pub app_user: bool,
    /// When it was obtained.
    pub obtained: Timestamp,
    /// When it ends.
    pub expires: Timestamp,
    /// `aud`; `None` when the token cannot be read.
    pub audience: Option<String>,
    /// `tid`.
    pub tenant: Option<String>,
    /// Whether `amr` contains `mfa`; `None` when there is no such claim.
    pub mfa: Option<bool>,
    /// `roles`.
    pub roles: Vec<String>,
}

/// The claims of a JWT, unverified; `None` when the token is none.
fn claims(token: &str) -> Option<Value> {
    let payload = token.split('.').nth(1)?;
    let bytes = URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok()?;
    serde_json::from_slice(&bytes).ok()
}

fn texts(value: Option<&Value>) -> Option<Vec<String>> {
    match value? {
        Value::String(text) => Some(vec![text.clone()]),
        Value::Array(items) => Some(
            items
                .iter()
                .filter_map(|item| item.as_str().map(str::to_owned))
                .collect(),
        ),
        _ => None,
    }
}

impl TokenHealth {
    /// Reads the claims of `token`.
    pub(super) fn read(
        token: &str,
        app_user: bool,
        obtained: Timestamp,
        expires: Timestamp,
    ) -> Self {
        let claims = claims(token).unwrap_or(Value::Null);
        let text = |name: &str| claims.get(name).and_then(Value::as_str).map(str::to_owned);
        Self {
            app_user,
            obtained,
            expires,
            audience: text("aud"),
            tenant: text("tid"),
            mfa: texts(claims.get("amr"))
                .map(|methods| methods.iter().any(|method| method == "mfa")),
            roles: texts(claims.get("roles")).unwrap_or_default(),
        }
    }

    /// Why upstream would refuse the token, if the claims show it.
    ///
    /// Documented by Microsoft: the audience has to be Partner Center's (401/900420 otherwise), and
    /// `amr` of an app+user token has to contain `mfa` (401/900421 otherwise). What the claims do not
    /// say is left to upstream.
    pub(super) fn objection(
        &self,
        audiences: &[String],
        tenant: &str,
    ) -> Option<(FailureClass, String)> {
        let same = |a: &str, b: &str| {
            a.trim_end_matches('/')
                .eq_ignore_ascii_case(b.trim_end_matches('/'))
        };
        if let Some(audience) = &self.audience
            && !same(audience, PARTNER_CENTER_APP)
            && !audiences.iter().any(|known| same(known, audience))
        {
            return Some((
                FailureClass::Credentials,
                format!("the access token is for {audience}, not for Partner Center"),
            ));
        }
        if let Some(issued_for) = &self.tenant
            && !same(issued_for, tenant)
        {
            return Some((
                FailureClass::Credentials,
                format!("the access token is of tenant {issued_for}, the partner is {tenant}"),
            ));
        }
        if self.app_user && self.mfa == Some(false) {
            return Some((
                FailureClass::MfaRequired,
                "the access token shows no multi-factor authentication (amr lacks mfa): \
                 consent again with MFA and replace the refresh token"
                    .to_owned(),
            ));
        }
        None
    }
}
