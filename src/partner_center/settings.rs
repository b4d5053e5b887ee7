//! Settings of one partner: who it is, where its Partner Center is, how to talk to it.

use std::time::Duration;

use url::{Host, Url};

use crate::domain::ids::PartnerTenantId;
use crate::http::{Credentials, Limits, StackError};

/// `resource` of Partner Center's API in every cloud but 21Vianet.
const RESOURCE: &str = "https://api.partnercenter.microsoft.com";
/// Partner Center operated by 21Vianet.
const CHINA: &str = "https://partner.partnercenterapi.microsoftonline.cn";

/// Where a partner's Partner Center is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cloud {
    /// Public cloud.
    Public,
    /// Microsoft Cloud for US Government: the public API, tokens from `login.microsoftonline.us`
    /// (documented by Microsoft).
    UsGovernment,
    /// Operated by 21Vianet.
    China21Vianet,
    /// Anywhere else, e.g. a simulator. Plain HTTP only on loopback.
    Custom {
        /// What stands before `/v1`.
        base_url: Url,
        /// The token endpoint, whole.
        token_url: Url,
        /// What tokens are for; `None`: as in the public cloud.
        resource: Option<String>,
    },
}

/// Settings of one partner.
#[derive(Debug, Clone)]
pub struct PartnerSettings {
    /// The partner's Entra tenant.
    pub tenant: PartnerTenantId,
    /// Where its Partner Center is.
    pub cloud: Cloud,
    /// What its tokens are asked for with.
    pub credentials: Credentials,
    /// The limiter's numbers.
    pub limits: Limits,
    /// For one attempt, from sending to the last byte of the answer.
    pub request_timeout: Duration,
    /// Further attempts at a read, at most.
    pub retries: u32,
    /// Upper end of the first back-off before a further attempt; it doubles.
    pub retry_pause: Duration,
    /// How long to look for the effect of a change that upstream answered with 202.
    pub slow_change_budget: Duration,
    /// First pause between two such looks; it doubles up to five seconds.
    pub slow_change_pause: Duration,
    /// `MS-PartnerCenter-Application`: the name under which Microsoft sees us.
    pub application: Option<String>,
}

impl PartnerSettings {
    /// Settings with the usual numbers.
    pub fn new(tenant: PartnerTenantId, cloud: Cloud, credentials: Credentials) -> Self {
        Self {
            tenant,
            cloud,
            credentials,
            limits: Limits::default(),
            request_timeout: Duration::from_secs(30),
            retries: 3,
            retry_pause: Duration::from_millis(400),
            slow_change_budget: Duration::from_secs(60),
            slow_change_pause: Duration::from_millis(500),
            application: Some("relationship-service".to_owned()),
        }
    }

    /// What stands before `/v1`, without a slash at its end.
    pub(super) fn base_url(&self) -> Result<Url, SettingsError> {
        let url = match &self.cloud {
            Cloud::Public | Cloud::UsGovernment => Url::parse(RESOURCE),
            Cloud::China21Vianet => Url::parse(CHINA),
            Cloud::Custom { base_url, .. } => Ok(base_url.clone()),
        };
        checked("base_url", url)
    }

    /// The token endpoint.
    pub(super) fn token_url(&self) -> Result<Url, SettingsError> {
        let path = self.credentials.endpoint.path();
        let at = |authority: &str| Url::parse(&format!("{authority}/{}/{path}", self.tenant));
        let url = match &self.cloud {
            Cloud::Public => at("https://login.microsoftonline.com"),
            Cloud::UsGovernment => at("https://login.microsoftonline.us"),
            Cloud::China21Vianet => at("https://login.chinacloudapi.cn"),
            Cloud::Custom { token_url, .. } => Ok(token_url.clone()),
        };
        checked("token_url", url)
    }

    /// What tokens are for.
    pub(super) fn resource(&self) -> String {
        match &self.cloud {
            Cloud::China21Vianet => CHINA.to_owned(),
            Cloud::Custom {
                resource: Some(resource),
                ..
            } => resource.clone(),
            _ => RESOURCE.to_owned(),
        }
    }

    /// Checks everything that can be checked without opening anything.
    ///
    /// # Errors
    /// The first thing found wrong.
    pub fn validate(&self) -> Result<(), SettingsError> {
        self.base_url()?;
        self.token_url()?;
        if self.credentials.client_id.trim().is_empty() {
            return Err(SettingsError::NoClientId);
        }
        if self.request_timeout.is_zero() {
            return Err(SettingsError::NoTimeout);
        }
        if self.limits.per_minute == 0 {
            return Err(SettingsError::NoRate);
        }
        Ok(())
    }
}

/// Whether a URL points to this machine itself.
pub(super) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name.eq_ignore_ascii_case("localhost"),
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

fn checked(name: &'static str, url: Result<Url, url::ParseError>) -> Result<Url, SettingsError> {
    let wrong = |why: &str| SettingsError::Url {
        name,
        why: why.to_owned(),
    };
    let mut url = url.map_err(|error| wrong(&error.to_string()))?;
    match url.scheme() {
        "https" => {}
        "http" if is_loopback(&url) => {}
        "http" => return Err(wrong("plain http is only allowed on loopback")),
        _ => return Err(wrong("must be an https URL")),
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong("must not hold a user name or password"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(wrong("must not hold a query or fragment"));
    }
    let path = url.path().trim_end_matches('/').to_owned();
    url.set_path(&path);
    Ok(url)
}

/// What is wrong with the settings of a partner.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// A URL that cannot be used.
    #[error("{name}: {why}")]
    Url {
        /// Which one.
        name: &'static str,
        /// Why.
        why: String,
    },
    /// No client id.
    #[error("client_id: must not be empty")]
    NoClientId,
    /// No time for a request.
    #[error("request_timeout: must be longer than zero")]
    NoTimeout,
    /// No request allowed.
    #[error("limits.per_minute: must be at least 1")]
    NoRate,
    /// The application's name fits in no header.
    #[error("application: must be printable ASCII")]
    Application,
    /// The HTTP client cannot be set up.
    #[error(transparent)]
    Stack(#[from] StackError),
}
