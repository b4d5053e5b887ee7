//! Relationships between partners: whether this account is an indirect reseller.

use std::sync::Mutex;
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use super::classify::Addressee;
use super::fields::{Fields, Read};
use super::request::{Api, Target};
use crate::application::upstream::Call;
use crate::domain::failure::UpstreamFailure;
use crate::domain::snapshot::{Part, PartnerModel};
use crate::http::TokenUse;

/// How long an answer is kept: an account does not change its model within an offboarding.
const KEPT: Duration = Duration::from_secs(300);

/// The last answer and when it came.
#[derive(Default)]
pub(super) struct ModelCache(Mutex<Option<(Instant, Part<PartnerModel>)>>);

impl ModelCache {
    fn fresh(&self) -> Option<Part<PartnerModel>> {
        let kept = self.0.lock().unwrap_or_else(|e| e.into_inner());
        kept.as_ref()
            .filter(|(at, _)| at.elapsed() < KEPT)
            .map(|(_, part)| part.clone())
    }

    fn keep(&self, part: &Part<PartnerModel>) {
        *self.0.lock().unwrap_or_else(|e| e.into_inner()) = Some((Instant::now(), part.clone()));
    }
}

/// What this partner is; from memory for some minutes. A failure is not kept.
pub(super) async fn model(api: &Api, cache: &ModelCache, call: &Call) -> Part<PartnerModel> {
    if let Some(part) = cache.fresh() {
        return part;
    }
    let value = read(api, call).await;
    let part = Part {
        at: api.now(),
        value,
    };
    if part.value.is_ok() {
        cache.keep(&part);
    }
    part
}

/// `GET /v1/relationships?relationship_type=IsIndirectResellerOf`.
async fn read(api: &Api, call: &Call) -> Result<PartnerModel, UpstreamFailure> {
    let target = Target {
        endpoint: "GET /v1/relationships",
        addressee: Addressee::Partner,
        customer: None,
        token: TokenUse::Current,
        call,
    };
    let mut url = api.url(&["relationships"]);
    url.query_pairs_mut()
        .append_pair("relationship_type", "IsIndirectResellerOf");
    let body = api.get(&target, url).await?;
    decode(&body).map_err(api.shape(&target))
}

/// An active relationship of that type makes an indirect reseller; one of another type (an upstream
/// that ignores the query) does not.
pub(super) fn decode(body: &Value) -> Read<PartnerModel> {
    for item in Fields::of(body)?.items()? {
        let kind: String = item
            .word("relationshipType")?
            .unwrap_or_default()
            .chars()
            .filter(char::is_ascii_alphanumeric)
            .collect();
        let of_that_type = kind.is_empty() || kind.eq_ignore_ascii_case("isindirectresellerof");
        let active = item
            .word("state")?
            .is_none_or(|state| state.eq_ignore_ascii_case("active"));
        if of_that_type && active {
            return Ok(PartnerModel::IndirectReseller);
        }
    }
    Ok(PartnerModel::MayRemove)
}
