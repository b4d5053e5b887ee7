//! Transfers of subscriptions between partners.

use serde_json::Value;

use super::classify::Addressee;
use super::fields::{Read, items_or_list};
use super::request::{Api, Target};
use crate::application::upstream::Call;
use crate::domain::failure::UpstreamFailure;
use crate::domain::ids::CustomerId;
use crate::domain::snapshot::Transfer;
use crate::http::TokenUse;

/// `GET …/transfers`. Documented by Microsoft: the answer is a bare list; a collection is taken too.
/// No answer but these means "no transfers": a 404 leaves the part unread.
pub(super) async fn list(
    api: &Api,
    customer: CustomerId,
    call: &Call,
) -> Result<Vec<Transfer>, UpstreamFailure> {
    let target = Target {
        endpoint: "GET /v1/customers/{customer}/transfers",
        addressee: Addressee::BelowCustomer,
        customer: Some(customer),
        token: TokenUse::Current,
        call,
    };
    let url = api.url(&["customers", &customer.to_string(), "transfers"]);
    let body = api.get(&target, url).await?;
    decode(&body).map_err(api.shape(&target))
}

pub(super) fn decode(body: &Value) -> Read<Vec<Transfer>> {
    let mut all = Vec::new();
    for item in items_or_list(body)? {
        all.push(Transfer {
            id: item.required("id")?.into(),
            status: item.word("status")?.unwrap_or_default(),
            source: item
                .word("sourcePartnerTenantId")?
                .and_then(|text| text.parse().ok()),
            target_name: item.word("targetPartnerName")?,
            expires: item.date("expirationTime")?,
        });
    }
    Ok(all)
}
