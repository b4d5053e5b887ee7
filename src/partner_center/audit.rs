//! Audit records about a customer.

use jiff::SignedDuration;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::classify::Addressee;
use super::customers::walk;
use super::fields::{Fields, Read};
use super::request::{Api, Target};
use crate::application::upstream::{AuditRecord, Call};
use crate::domain::failure::UpstreamFailure;
use crate::domain::ids::CustomerId;
use crate::domain::time::Time;
use crate::http::TokenUse;

/// How far back upstream keeps records (documented by Microsoft: 90 days).
const KEPT: SignedDuration = SignedDuration::from_hours(90 * 24);

/// `GET /v1/auditrecords` from the day of `since` on, newest last.
///
/// `endDate` is left out: its default is today, and whether a given day is included is not documented.
pub(super) async fn since(
    api: &Api,
    customer: CustomerId,
    since: Time,
    call: &Call,
) -> Result<Vec<AuditRecord>, UpstreamFailure> {
    let target = Target {
        endpoint: "GET /v1/auditrecords",
        addressee: Addressee::Partner,
        customer: Some(customer),
        token: TokenUse::Current,
        call,
    };
    let oldest = api.now().checked_sub(KEPT).unwrap_or(Time::UNIX_EPOCH);
    let start = since.max(oldest).to_zoned(TimeZone::UTC).date();
    let filter =
        json!({"Field": "CustomerId", "Value": customer.to_string(), "Operator": "equals"});
    let mut url = api.url(&["auditrecords"]);
    url.query_pairs_mut()
        .append_pair("startDate", &start.to_string())
        .append_pair("size", "500")
        .append_pair("filter", &filter.to_string());
    let mut found = Vec::new();
    walk(api, &target, url, |page| {
        found.extend(decode(page, customer)?);
        Ok(false)
    })
    .await?;
    found.retain(|record| record.at >= since);
    found.sort_by_key(|record| record.at);
    Ok(found)
}

/// The records of a page that are about this customer (an upstream may ignore the filter).
pub(super) fn decode(page: &Value, customer: CustomerId) -> Read<Vec<AuditRecord>> {
    let customer = customer.to_string();
    let mut found = Vec::new();
    for item in Fields::of(page)?.items()? {
        let of_another = item
            .word("customerId")?
            .is_some_and(|id| !id.eq_ignore_ascii_case(&customer));
        if of_another {
            continue;
        }
        found.push(AuditRecord {
            id: item.word("id")?.unwrap_or_default(),
            operation: item.word("operationType")?.unwrap_or_default(),
            at: item
                .date("operationDate")?
                .ok_or_else(|| item.wrong("operationDate", "is missing"))?,
            status: item.word("operationStatus")?.unwrap_or_default(),
            correlation: item.word("originalCorrelationId")?,
            by: match item.word("userPrincipalName")? {
                Some(user) => Some(user),
                None => item.word("applicationId")?,
            },
        });
    }
    Ok(found)
}
