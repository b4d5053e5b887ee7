//! The token endpoint of the partners' tenants, and the tokens it has issued.

use std::collections::{BTreeMap, HashMap};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::Timestamp;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde_json::{Value, json};
use uuid::Uuid;

use super::answer::Answer;
use super::journal::Authorization;
use super::model::{Partner, World};
use super::seed;

const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// What a token stands for.
#[derive(Debug, Clone)]
pub(super) struct Grant {
    pub(super) partner: Uuid,
    pub(super) kind: Authorization,
    expires: Timestamp,
}

/// Every token issued that has not been dropped, by its text.
#[derive(Debug, Default)]
pub(super) struct Tokens {
    issued: HashMap<String, Grant>,
    count: u64,
}

impl Tokens {
    /// Who the bearer is. Expiry follows real time.
    pub(super) fn check(&self, world: &World, token: &str) -> Option<Grant> {
        if world.behaviour.accept_tokens.iter().any(|t| t == token) {
            return world.first_partner.map(|partner| Grant {
                partner,
                kind: Authorization::AppUser,
                expires: Timestamp::MAX,
            });
        }
        self.issued
            .get(token)
            .filter(|grant| grant.expires > Timestamp::now())
            .cloned()
    }

    /// Drops every token, so that each bearer is refused from now on.
    pub(super) fn revoke_all(&mut self) {
        self.issued.clear();
    }

    fn issue(
        &mut self,
        world: &World,
        partner: &Partner,
        kind: Authorization,
        audience: &str,
        v2: bool,
    ) -> (String, i64, Timestamp) {
        self.count += 1;
        let now = Timestamp::now();
        let lifetime = i64::from(world.behaviour.token_lifetime_seconds);
        let expires = now.as_second() + lifetime;
        let tenant = partner.tenant_id;
        let mut claims = json!({
            "aud": audience,
            "iss": if v2 {
                format!("https://login.microsoftonline.com/{tenant}/v2.0")
            } else {
                format!("https://sts.windows.net/{tenant}/")
            },
            "iat": now.as_second(), "nbf": now.as_second(), "exp": expires,
            "tid": tenant, "appid": partner.client_id,
            "ver": if v2 { "2.0" } else { "1.0" },
            "uti": format!("{}-{}", self.count, now.as_microsecond()),
        });
        if kind == Authorization::AppUser {
            claims["amr"] = json!(["pwd", "mfa"]);
            claims["scp"] = json!("user_impersonation");
            claims["upn"] = json!(partner.user_principal_name);
            claims["oid"] = json!(seed::id(world.seed, &partner.user_principal_name));
        } else {
            claims["idtyp"] = json!("app");
            claims["oid"] = json!(seed::id(world.seed, &partner.client_id.to_string()));
        }
        let key = EncodingKey::from_secret(format!("simulator {}", world.seed).as_bytes());
        // Encoding fails for unserialisable claims only; an unsigned token serves as well then.
        let token = jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &key)
            .unwrap_or_else(|_| format!("e30.{}.", URL_SAFE_NO_PAD.encode(claims.to_string())));
        let until = Timestamp::from_second(expires).unwrap_or(Timestamp::MAX);
        self.issued.retain(|_, grant| grant.expires > now);
        self.issued.insert(
            token.clone(),
            Grant {
                partner: partner.tenant_id,
                kind,
                expires: until,
            },
        );
        (token, lifetime, until)
    }
}

/// POST to `/{tenant}/oauth2/token` or `/{tenant}/oauth2/v2.0/token`.
pub(super) fn token(
    world: &mut World,
    tokens: &mut Tokens,
    path: &str,
    form: &BTreeMap<String, String>,
) -> Answer {
    let field = |name: &str| form.get(name).map(String::as_str);
    let v2 = path.to_lowercase().contains("/v2.0/");
    let refuse = |status, error, number, text: &str| Err(oauth_error(status, error, number, text));
    let outcome = (|| {
        let tenant = path
            .trim_start_matches('/')
            .split('/')
            .next()
            .unwrap_or_default();
        let Some(partner) = Uuid::try_parse(tenant)
            .ok()
            .and_then(|t| world.partners.get(&t))
        else {
            return refuse(400, "invalid_request", 90002, "Tenant not found.");
        };
        if field("client_id").and_then(|id| Uuid::try_parse(id).ok()) != Some(partner.client_id) {
            return refuse(
                400,
                "unauthorized_client",
                700_016,
                "Application not found.",
            );
        }
        authenticate(partner, path, &field)?;
        let audience = audience(v2, &field)?;
        let kind = match field("grant_type") {
            Some("client_credentials") => Authorization::App,
            Some("refresh_token") => {
                let given = field("refresh_token").unwrap_or_default();
                if !partner.refresh_tokens.iter().any(|t| t == given) {
                    return refuse(
                        400,
                        "invalid_grant",
                        70000,
                        "The refresh token is not valid.",
                    );
                }
                Authorization::AppUser
            }
            _ => {
                return refuse(
                    400,
                    "unsupported_grant_type",
                    70003,
                    "Grant type not supported.",
                );
            }
        };
        Ok((partner.tenant_id, kind, audience))
    })();
    let (tenant, kind, audience) = match outcome {
        Ok(granted) => granted,
        Err(refusal) => return *refusal,
    };
    let mut refresh = None;
    if kind == Authorization::AppUser {
        let rotate = world.behaviour.rotate_refresh_tokens;
        if let Some(partner) = world.partners.get_mut(&tenant) {
            if rotate {
                // Earlier ones stay valid, as Entra's do.
                let next = format!(
                    "{}-{}",
                    partner.refresh_tokens[0],
                    partner.refresh_tokens.len()
                );
                partner.refresh_tokens.push(next);
            }
            refresh = partner.refresh_tokens.last().cloned();
        }
    }
    let Some(partner) = world.partners.get(&tenant) else {
        return Answer::empty(404);
    };
    let (token, lifetime, until) = tokens.issue(world, partner, kind, &audience, v2);
    let mut body = if v2 {
        json!({ "token_type": "Bearer", "expires_in": lifetime, "ext_expires_in": lifetime })
    } else {
        // The older endpoint writes its numbers as strings.
        json!({
            "token_type": "Bearer",
            "expires_in": lifetime.to_string(),
            "ext_expires_in": lifetime.to_string(),
            "expires_on": until.as_second().to_string(),
            "not_before": (until.as_second() - lifetime).to_string(),
            "resource": audience,
        })
    };
    if kind == Authorization::AppUser {
        body["scope"] = json!("user_impersonation");
        body["refresh_token"] = json!(refresh);
    }
    body["access_token"] = json!(token);
    Answer::plain(200, body)
}

/// The secret, or an assertion with sane claims.
fn authenticate<'a>(
    partner: &Partner,
    path: &str,
    field: &impl Fn(&str) -> Option<&'a str>,
) -> Result<(), Box<Answer>> {
    let invalid = |number, text: &str| Err(oauth_error(401, "invalid_client", number, text));
    if let Some(assertion) = field("client_assertion") {
        if field("client_assertion_type") != Some(ASSERTION_TYPE) {
            return invalid(700_023, "The client assertion type is not supported.");
        }
        return assertion_claims(partner, path, assertion).or_else(|why| invalid(700_027, &why));
    }
    match (&partner.client_secret, field("client_secret")) {
        (Some(expected), Some(given)) if expected == given => Ok(()),
        (_, None) => invalid(7_000_218, "A client secret or client assertion is missing."),
        _ => invalid(7_000_215, "The client secret is not valid."),
    }
}

fn assertion_claims(partner: &Partner, path: &str, assertion: &str) -> Result<(), String> {
    let part = |index: usize| -> Result<Value, String> {
        let text = assertion.split('.').nth(index).ok_or("not a JWT")?;
        let bytes = URL_SAFE_NO_PAD
            .decode(text)
            .map_err(|_| "not base64url".to_owned())?;
        serde_json::from_slice(&bytes).map_err(|_| "not JSON".to_owned())
    };
    let (header, claims) = (part(0)?, part(1)?);
    if header["x5t"].as_str().is_none() && header["x5t#S256"].as_str().is_none() {
        return Err("the header names no certificate thumbprint".to_owned());
    }
    let client = partner.client_id.to_string();
    for name in ["iss", "sub"] {
        if claims[name].as_str() != Some(&client) {
            return Err(format!("{name} is not the client id"));
        }
    }
    if claims["jti"].as_str().is_none_or(str::is_empty) {
        return Err("jti is missing".to_owned());
    }
    let audience = claims["aud"].as_str().unwrap_or_default();
    let fits = url::Url::parse(audience).is_ok_and(|u| u.path().eq_ignore_ascii_case(path));
    if !fits {
        return Err("aud is not this token endpoint".to_owned());
    }
    let now = Timestamp::now().as_second();
    let expires = claims["exp"].as_i64().ok_or("exp is missing")?;
    if expires <= now {
        return Err("the assertion has expired".to_owned());
    }
    if claims["nbf"].as_i64().is_some_and(|nbf| nbf > now + 300) {
        return Err("the assertion is not valid yet".to_owned());
    }
    let Some(pem) = &partner.client_assertion_public_key else {
        return Ok(());
    };
    let key = DecodingKey::from_rsa_pem(pem.as_bytes()).map_err(|e| e.to_string())?;
    let algorithm = match header["alg"].as_str() {
        Some("PS256") => Algorithm::PS256,
        Some("RS256") => Algorithm::RS256,
        _ => return Err("the algorithm is not supported".to_owned()),
    };
    let mut validation = Validation::new(algorithm);
    validation.set_audience(&[audience]);
    jsonwebtoken::decode::<Value>(assertion, &key, &validation)
        .map(drop)
        .map_err(|_| "the signature does not fit the certificate".to_owned())
}

/// The audience asked for: `resource` (v1) or the resource part of `scope` (v2).
fn audience<'a>(v2: bool, field: &impl Fn(&str) -> Option<&'a str>) -> Result<String, Box<Answer>> {
    let asked = if v2 {
        field("scope")
            .and_then(|scopes| scopes.split(' ').find(|s| s.contains("://")))
            .and_then(|scope| scope.rsplit_once('/'))
            .map(|(resource, _)| resource)
    } else {
        field("resource")
    };
    match asked.map(|a| a.trim_end_matches('/')) {
        Some(asked) if asked.starts_with("http") => Ok(asked.to_owned()),
        _ => Err(oauth_error(
            400,
            "invalid_resource",
            500_011,
            "The resource was not found.",
        )),
    }
}

fn oauth_error(status: u16, error: &str, number: u32, text: &str) -> Box<Answer> {
    let mut answer = Answer::plain(
        status,
        json!({
            "error": error,
            "error_description": format!("AADSTS{number}: {text}"),
            "error_codes": [number],
        }),
    );
    answer.code = Some(error.to_owned());
    answer.note = Some(text.to_owned());
    Box::new(answer)
}

/// POST to `/GenerateToken` or `/v3/generatetoken`: trades an Entra token for a Partner Center
/// one. The bearer in the request is good for both here.
pub(super) fn generate(world: &World, bearer: &str) -> Answer {
    Answer::plain(
        200,
        json!({
            "access_token": bearer,
            "token_type": "bearer",
            "expires_in": world.behaviour.token_lifetime_seconds,
        }),
    )
}

/// Whether an issued token names Partner Center (of any cloud, or this simulator) as its
/// audience; others are refused with 401/900420.
pub(super) fn is_for_partner_center(token: &str) -> bool {
    token
        .split('.')
        .nth(1)
        .and_then(|part| URL_SAFE_NO_PAD.decode(part).ok())
        .and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok())
        .is_none_or(|claims| {
            let audience = claims["aud"].as_str().and_then(|a| url::Url::parse(a).ok());
            let host = audience.as_ref().and_then(url::Url::host_str);
            host.is_some_and(|h| {
                h.contains("partnercenter") || matches!(h, "127.0.0.1" | "localhost" | "[::1]")
            })
        })
}
