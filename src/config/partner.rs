//! Partners: which Partner Center accounts there are, in which cloud, and with which credentials.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use super::layers::Origin;
use super::problem::Reported;
use super::section::{Read, Section};
use crate::domain::ids::{PartnerAlias, PartnerTenantId};
use crate::http::{
    AssertionAlgorithm, ClientCertificate, ClientProof, Credentials, Grant, Limits, SecretSource,
    TokenEndpoint,
};
use crate::partner_center::{Cloud, PartnerSettings};

/// One Partner Center account.
#[derive(Debug, Clone)]
pub struct PartnerConfig {
    /// The name by which callers know it.
    pub alias: PartnerAlias,
    /// Who it is, where its Partner Center is, and how to talk to it; valid.
    pub settings: PartnerSettings,
    /// URL that serves what time it is for the rules of business; `None`: the system's clock. Only ever
    /// set together with a custom cloud on loopback.
    pub business_clock: Option<Url>,
}

/// Reads every `[partners.<alias>]`.
pub(super) fn partners(all: Section<'_>) -> Result<Vec<PartnerConfig>, Reported> {
    let mut read = Vec::new();
    for (alias, mut section) in all.into_sections() {
        read.push(partner(&alias, &mut section));
        section.close();
    }
    read.into_iter().collect()
}

fn partner(alias: &str, section: &mut Section<'_>) -> Result<PartnerConfig, Reported> {
    let alias = alias.parse::<PartnerAlias>().map_err(|error| {
        section.problem(
            "",
            None,
            format!("the alias {alias:?} {error}"),
            "Rename the section.",
        )
    });
    let tenant = section.parsed::<PartnerTenantId>(
        "tenant",
        "Use the Entra tenant GUID of the partner account.",
    );
    let tenant = section.required(
        "tenant",
        tenant,
        "Set it to the Entra tenant GUID of the partner account.",
    );
    let cloud = cloud(section, tenant.as_ref().ok());
    let business_clock = business_clock(section, cloud.as_ref().ok());
    let credentials = credentials(section);
    let limits = limits(section);
    let request_timeout = section.duration(
        "request_timeout",
        Duration::from_secs(1)..=Duration::from_secs(600),
    );

    let (limits, request_timeout) = (limits?, request_timeout?);
    let mut settings = PartnerSettings::new(tenant?, cloud?, credentials?);
    settings.limits = limits;
    if let Some(timeout) = request_timeout {
        settings.request_timeout = timeout;
    }
    // The rules of the client itself come last; what they say has no key of its own.
    settings.validate().map_err(|error| {
        section.problem(
            "",
            None,
            error.to_string(),
            "Correct that key of this section.",
        )
    })?;
    Ok(PartnerConfig {
        alias: alias?,
        settings,
        business_clock: business_clock?,
    })
}

fn limits(section: &mut Section<'_>) -> Result<Limits, Reported> {
    let defaults = Limits::default();
    let begin = section.integer("requests_per_minute", 1..=1_000_000);
    let ceiling = section.integer("requests_per_minute_at_most", 1..=1_000_000);
    let per_minute = begin?.unwrap_or(defaults.per_minute);
    let ceiling = ceiling?;
    if ceiling.is_some_and(|ceiling| ceiling < per_minute) {
        return Err(section.problem(
            "requests_per_minute_at_most",
            None,
            format!("is less than requests_per_minute ({per_minute})"),
            "Raise it, or lower requests_per_minute.",
        ));
    }
    Ok(Limits {
        per_minute,
        ceiling: ceiling.unwrap_or(defaults.ceiling.max(per_minute)),
    })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum CloudName {
    Public,
    UsGovernment,
    China,
    Custom,
}

fn cloud(section: &mut Section<'_>, tenant: Option<&PartnerTenantId>) -> Result<Cloud, Reported> {
    let name = section.word(
        "cloud",
        &[
            ("public", CloudName::Public),
            ("us_government", CloudName::UsGovernment),
            ("china", CloudName::China),
            ("custom", CloudName::Custom),
        ],
    );
    let base_url = upstream_url(section, "base_url");
    let token_url = upstream_url(section, "token_url");
    let name = name?.unwrap_or(CloudName::Public);
    if name != CloudName::Custom {
        let mut refused = None;
        for (key, read) in [("base_url", &base_url), ("token_url", &token_url)] {
            if !matches!(read, Ok(None)) {
                refused = Some(section.problem(
                    key,
                    None,
                    "has no effect in this cloud",
                    "Remove it, or set cloud = \"custom\".",
                ));
            }
        }
        return match (refused, name) {
            (Some(reported), _) => Err(reported),
            (None, CloudName::UsGovernment) => Ok(Cloud::UsGovernment),
            (None, CloudName::China) => Ok(Cloud::China21Vianet),
            (None, _) => Ok(Cloud::Public),
        };
    }
    let base_url = section.required(
        "base_url",
        base_url,
        "Set it to the URL of Partner Center without /v1, e.g. the one that `simulate` prints.",
    )?;
    let token_url = match token_url? {
        Some(url) => url,
        None => {
            let tenant = tenant.ok_or(Reported)?;
            let base = base_url.as_str().trim_end_matches('/');
            Url::parse(&format!("{base}/{tenant}/oauth2/token")).map_err(|error| {
                section.problem(
                    "token_url",
                    None,
                    format!("cannot be made from base_url: {error}"),
                    "Set it.",
                )
            })?
        }
    };
    Ok(Cloud::Custom {
        base_url,
        token_url,
        resource: None,
    })
}

/// An http or https URL; http only on loopback, as tokens and secrets travel over it.
fn upstream_url(section: &mut Section<'_>, key: &'static str) -> Read<Url> {
    let Some((text, origin)) = section.text(key)? else {
        return Ok(None);
    };
    let wrong = match Url::parse(&text) {
        Err(error) => format!("{text:?}: {error}"),
        Ok(url) if !matches!(url.scheme(), "http" | "https") || url.host().is_none() => {
            format!("{text:?} is no http or https URL")
        }
        Ok(url) if !url.username().is_empty() || url.password().is_some() => {
            "must not hold a user name or a password".to_owned()
        }
        Ok(url) if url.query().is_some() || url.fragment().is_some() => {
            format!("{text:?} must not hold a query or a fragment")
        }
        Ok(url) if url.scheme() == "http" && !is_loopback(&url) => {
            format!("{text:?} would send secrets in the clear")
        }
        Ok(url) => return Ok(Some(url)),
    };
    Err(section.problem(
        key,
        Some(&origin),
        wrong,
        "Use an https URL; http is allowed on loopback only.",
    ))
}

fn business_clock(section: &mut Section<'_>, cloud: Option<&Cloud>) -> Read<Url> {
    let Some((text, origin)) = section.text("business_clock")? else {
        return Ok(None);
    };
    let url = Url::parse(&text)
        .ok()
        .filter(|url| url.scheme() == "http" && is_loopback(url))
        .ok_or_else(|| {
            section.problem(
                "business_clock",
                Some(&origin),
                format!("{text:?} is no http URL on loopback"),
                "Use the clock URL that `simulate` prints, or remove the key.",
            )
        })?;
    match cloud {
        Some(Cloud::Custom { base_url, .. }) if is_loopback(base_url) => Ok(Some(url)),
        Some(_) => Err(section.problem(
            "business_clock",
            Some(&origin),
            "is for a custom cloud on loopback only: a clock that can be moved must not decide about \
             real customers",
            "Remove it.",
        )),
        // The cloud itself was reported; whether the clock fits cannot be said.
        None => Err(Reported),
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Ipv4(ip)) => IpAddr::V4(ip).is_loopback(),
        Some(url::Host::Ipv6(ip)) => IpAddr::V6(ip).is_loopback(),
        Some(url::Host::Domain(name)) => name.eq_ignore_ascii_case("localhost"),
        None => false,
    }
}

#[derive(Clone, Copy)]
enum GrantName {
    RefreshToken,
    ClientCredentials,
}

fn credentials(section: &mut Section<'_>) -> Result<Credentials, Reported> {
    let client_id = section.text("client_id");
    let client_id = section.required(
        "client_id",
        client_id,
        "Set it to the application id of the app registration.",
    );
    let grant_name = section.word(
        "grant",
        &[
            ("refresh_token", GrantName::RefreshToken),
            ("client_credentials", GrantName::ClientCredentials),
        ],
    );
    let grant_name = section.required(
        "grant",
        grant_name,
        "Set it to \"refresh_token\" (app + user) or \"client_credentials\" (app only).",
    );
    let refresh_token = secret(section, "refresh_token", "refresh_token_file");
    let client_secret = secret(section, "client_secret", "client_secret_file");
    let certificate = secret(section, "certificate", "certificate_file");
    let algorithm = section.word(
        "assertion_algorithm",
        &[
            ("rs256", AssertionAlgorithm::Rs256),
            ("ps256", AssertionAlgorithm::Ps256),
        ],
    );

    let grant = match grant_name {
        Err(reported) => Err(reported),
        Ok(GrantName::RefreshToken) => section
            .required(
                "refresh_token_file",
                refresh_token,
                "Name the file that holds the refresh token, or set it in the environment.",
            )
            .map(|refresh_token| Grant::AppUser {
                refresh_token: refresh_token.source,
            }),
        Ok(GrantName::ClientCredentials) => match refresh_token {
            Ok(None) => Ok(Grant::AppOnly),
            Ok(Some(_)) => Err(section.problem(
                "refresh_token",
                None,
                "has no effect with grant = \"client_credentials\"",
                "Remove it, or set grant = \"refresh_token\".",
            )),
            Err(reported) => Err(reported),
        },
    };
    let proof = proof(section, client_secret, certificate, algorithm);
    let (client_id, _) = client_id?;
    Ok(Credentials {
        client_id,
        proof: proof?,
        grant: grant?,
        endpoint: TokenEndpoint::V1,
    })
}

fn proof(
    section: &Section<'_>,
    client_secret: Read<Secret>,
    certificate: Read<Secret>,
    algorithm: Read<AssertionAlgorithm>,
) -> Result<ClientProof, Reported> {
    match (client_secret?, certificate?, algorithm?) {
        (Some(secret), None, None) => Ok(ClientProof::Secret(secret.source)),
        (None, Some(pem), algorithm) => {
            ClientCertificate::from_pem(pem.text(), algorithm.unwrap_or_default())
                .map(|certificate| ClientProof::Certificate(Arc::new(certificate)))
                .map_err(|error| {
                    section.problem(
                        "certificate_file",
                        None,
                        error,
                        "Name a PEM file that holds the certificate and its private key.",
                    )
                })
        }
        (None, None, _) => Err(section.problem(
            "client_secret_file",
            None,
            "is missing: nothing shows that the service is this application",
            "Name the file that holds the client secret, or set certificate_file.",
        )),
        (Some(_), Some(_), _) => Err(section.problem(
            "client_secret",
            None,
            "is given together with a certificate",
            "Keep one of the two.",
        )),
        (Some(_), None, Some(_)) => Err(section.problem(
            "assertion_algorithm",
            None,
            "has no effect without a certificate",
            "Remove it, or set certificate_file instead of the client secret.",
        )),
    }
}

/// A secret as it is now, and where to look for it later.
struct Secret {
    now: SecretString,
    source: SecretSource,
}

impl Secret {
    fn text(&self) -> &str {
        self.now.expose_secret()
    }
}

/// A secret from the environment (`key`) or from a file (`file_key`).
fn secret(section: &mut Section<'_>, key: &'static str, file_key: &'static str) -> Read<Secret> {
    let inline = section.text(key);
    let file = section.path(file_key);
    match (inline?, file?) {
        (None, None) => Ok(None),
        (Some(_), Some(_)) => Err(section.problem(
            key,
            None,
            format!("is given together with {file_key}"),
            "Keep one of the two.",
        )),
        (Some((_, origin @ (Origin::File | Origin::Flag(_)))), None) => Err(section.problem(
            key,
            Some(&origin),
            "must not stand in the configuration file",
            format!(
                "Put it into a file of its own and name that as {file_key}, or set it in the \
                 environment."
            ),
        )),
        (Some((text, origin @ Origin::Environment(_))), None) => {
            let text = text.trim();
            if text.is_empty() {
                return Err(section.problem(
                    key,
                    Some(&origin),
                    "is empty",
                    "Set it, or remove it.",
                ));
            }
            let now = SecretString::from(text);
            Ok(Some(Secret {
                source: SecretSource::Value(now.clone()),
                now,
            }))
        }
        (None, Some(path)) => read_secret(section, file_key, &path).map(Some),
    }
}

fn read_secret(section: &Section<'_>, key: &str, path: &Path) -> Result<Secret, Reported> {
    match std::fs::read_to_string(path) {
        Ok(text) if text.trim().is_empty() => Err(section.problem(
            key,
            None,
            format!("the file {} is empty", path.display()),
            "Write the secret into it.",
        )),
        Ok(text) => Ok(Secret {
            now: SecretString::from(text.trim()),
            source: SecretSource::File(path.to_owned()),
        }),
        Err(error) => Err(section.problem(
            key,
            None,
            format!("the file {} cannot be read: {error}", path.display()),
            "Make it readable for the user that runs the service.",
        )),
    }
}
