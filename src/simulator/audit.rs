//! Audit records: written with each change, readable after a delay.

use jiff::{Timestamp, ToSpan, civil::Date, tz::TimeZone};
use serde_json::{Value, json};
use uuid::Uuid;

use super::answer::{Answer, link, member};
use super::journal::Authorization;
use super::model::{AuditEntry, World};
use super::request::ApiRequest;
use super::{paging, seed, wire};

/// Records a change made by the caller of `request`.
pub(super) fn record(
    world: &mut World,
    request: &ApiRequest<'_>,
    customer: Uuid,
    resource_type: &'static str,
    operation: &'static str,
    (old_value, new_value): (Option<Value>, Option<Value>),
    data: Vec<(&'static str, String)>,
) {
    let user = (request.authorization == Authorization::AppUser)
        .then(|| world.partners.get(&request.partner))
        .flatten()
        .map(|p| p.user_principal_name.clone());
    let entry = Entry {
        customer,
        resource_type,
        operation,
        correlation_id: request.correlation_id.to_owned(),
        user,
        old_value,
        new_value,
        data,
    };
    write(world, request.partner, request.now, entry);
}

/// What an audit record says, before it has an id.
pub(super) struct Entry {
    pub(super) customer: Uuid,
    pub(super) resource_type: &'static str,
    pub(super) operation: &'static str,
    pub(super) correlation_id: String,
    pub(super) user: Option<String>,
    pub(super) old_value: Option<Value>,
    pub(super) new_value: Option<Value>,
    pub(super) data: Vec<(&'static str, String)>,
}

/// Appends a record to the partner's audit.
pub(super) fn write(world: &mut World, partner: Uuid, at: Timestamp, entry: Entry) {
    let delay = i64::from(world.behaviour.audit_delay_seconds);
    let seed = world.seed;
    let Some(partner) = world.partners.get_mut(&partner) else {
        return;
    };
    let id = seed::id(
        seed,
        &format!("{}/audit/{}", partner.tenant_id, partner.audit.len()),
    );
    let customer_name = partner
        .customers
        .get(&entry.customer)
        .map(|c| c.name.clone())
        .unwrap_or_default();
    partner.audit.push(AuditEntry {
        id,
        at,
        visible_from: at.checked_add(delay.seconds()).unwrap_or(Timestamp::MAX),
        customer: entry.customer,
        customer_name,
        user: entry.user,
        application: partner.client_id,
        resource_type: entry.resource_type,
        operation: entry.operation,
        status: "succeeded",
        correlation_id: entry.correlation_id,
        old_value: entry.old_value,
        new_value: entry.new_value,
        data: entry.data,
    });
}

/// GET of audit records, newest last, seek paged.
pub(super) fn list(world: &World, request: &ApiRequest<'_>) -> Answer {
    let Some(partner) = world.partners.get(&request.partner) else {
        return Answer::error(403, 2032, "Access denied.");
    };
    let day = |text: &str| -> Option<Timestamp> {
        let date: Date = text.get(..10).unwrap_or(text).parse().ok()?;
        Some(date.to_zoned(TimeZone::UTC).ok()?.timestamp())
    };
    let days_ago = |days: i64| super::moment::add(request.now, (-days).days());
    let from = match request.param("startdate") {
        Some(text) => match day(text) {
            Some(from) => from,
            None => return Answer::error(400, 800_002, "startDate is not a date."),
        },
        None => days_ago(30).unwrap_or(Timestamp::MIN),
    };
    if days_ago(91).is_ok_and(|oldest| from < oldest) {
        return Answer::error(400, 800_002, "startDate lies more than 90 days back.");
    }
    let until = match request.param("enddate") {
        Some(text) => match day(text) {
            // The end day belongs to the range.
            Some(until) => super::moment::add(until, 1.day()).unwrap_or(Timestamp::MAX),
            None => return Answer::error(400, 800_002, "endDate is not a date."),
        },
        None => Timestamp::MAX,
    };
    let wanted = match paging::wanted(request, 500) {
        Ok(wanted) => wanted,
        Err(refusal) => return *refusal,
    };
    let filter = match wanted.filter.as_deref().map(serde_json::from_str::<Value>) {
        None => None,
        Some(Ok(filter)) => Some(filter),
        Some(Err(_)) => return Answer::error(400, 800_002, "The filter is not JSON."),
    };
    let text = |name: &str| {
        filter
            .as_ref()
            .and_then(|f| member(f, name))
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_lowercase()
    };
    let (field, value, operator) = (text("Field"), text("Value"), text("Operator"));
    let matches = |entry: &AuditEntry| match (field.as_str(), operator.as_str()) {
        ("customerid", "equals") => entry.customer.to_string() == value,
        ("resourcetype", "equals") => {
            entry.resource_type.replace('_', "") == value.replace('_', "")
        }
        ("companyname", "substring") => entry.customer_name.to_lowercase().contains(&value),
        _ => true,
    };
    if filter.is_some()
        && !matches!(
            (field.as_str(), operator.as_str()),
            ("customerid" | "resourcetype", "equals") | ("companyname", "substring")
        )
    {
        return Answer::error(400, 800_002, "The filter is not supported.");
    }
    let found: Vec<&AuditEntry> = partner
        .audit
        .iter()
        .filter(|e| e.visible_from <= request.now && e.at >= from && e.at < until)
        .filter(|e| matches(e))
        .collect();
    let page = wanted.of(request, found.len());
    let items: Vec<Value> = found[page.range.clone()]
        .iter()
        .map(|e| wire::audit_record(partner, e))
        .collect();
    let mut body = json!({
        "totalCount": items.len(),
        "items": items,
        "links": { "self": link(page.own_uri) },
        "attributes": { "objectType": "Collection" },
    });
    page.continuation.write(&mut body);
    Answer::ok(body)
}
