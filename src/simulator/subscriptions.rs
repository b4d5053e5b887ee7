//! Changing a subscription: suspend, cancel, reactivate, renewals; with the documented refusals.

use jiff::{Timestamp, ToSpan};
use serde_json::{Value, json};

use super::answer::{Answer, member, pascal_case};
use super::audit;
use super::model::{AzureSubscription, Change, Customer, PendingChange, Subscription, World};
use super::moment::add;
use super::request::ApiRequest;
use super::scenario::{SubscriptionKind as Kind, SubscriptionStatus as Status};
use super::{seed, wire};

/// PATCH of a subscription.
pub(super) fn update(world: &mut World, request: &ApiRequest<'_>, customer: uuid::Uuid) -> Answer {
    let now = request.now;
    let (behaviour, seed) = (world.behaviour.clone(), world.seed);
    let Some(customer) = world.customer_mut(request.partner, customer) else {
        return Answer::error(404, 1000, "Customer not found.");
    };
    if let Some(refusal) = locked(customer) {
        return refusal;
    }
    let Some(body) = request.body.filter(|b| b.is_object()) else {
        return Answer::error(400, 800_002, "The request body is not a subscription.");
    };
    let id = request.segments[3];
    let Some(subscription) = customer.subscription(id) else {
        return Answer::error(404, 20003, "Subscription not found.");
    };
    if let Some(refusal) = stale(request, body, subscription) {
        return refusal;
    }
    let mut change = match read_change(body, subscription) {
        Ok(change) => change,
        Err(refusal) => return *refusal,
    };
    if let Some(refusal) = refused(customer, subscription, &change, now) {
        return refusal;
    }
    schedule_late_cancellation(subscription, &mut change, now);
    let customer_id = customer.id;
    let old = wire::subscription(customer_id, subscription);
    let (id, from, version) = (
        subscription.id.clone(),
        subscription.status,
        subscription.version,
    );
    let share = (behaviour.accepted_share * 1000.0) as u64;
    let by_chance = seed::number(seed, &format!("202/{id}/{version}"), 1000) < share;
    let delay = request
        .delay_effect
        .or_else(|| by_chance.then_some(behaviour.accepted_delay_seconds));
    let words = format!(
        "subscription {id}: {} → {}",
        from.as_str(),
        change.status.as_str()
    );
    let Some(subscription) = customer.subscription_mut(&id) else {
        return Answer::error(404, 20003, "Subscription not found.");
    };
    let answer = if let Some(delay) = delay {
        let due = now
            .checked_add(i64::from(delay).seconds())
            .unwrap_or(Timestamp::MAX);
        subscription.pending_change = Some(PendingChange { due, change });
        Answer::accepted(format!("/customers/{customer_id}/subscriptions/{id}"))
            .with_effect(format!("{words}, from {due}"))
    } else {
        subscription.apply(&change, now);
        let body = pascal_case(wire::full_subscription(customer_id, subscription));
        if from != Status::Suspended && change.status == Status::Suspended {
            customer.suspend_children(&id, now);
        }
        Answer::ok(body).with_effect(words)
    };
    let new = customer
        .subscription(&id)
        .map(|s| wire::subscription(customer_id, s));
    audit::record(
        world,
        request,
        customer_id,
        "subscription",
        "update_subscription",
        (Some(old), new),
        vec![("SubscriptionId", id)],
    );
    answer
}

/// Customers under review or locked take no changes.
pub(super) fn locked(customer: &Customer) -> Option<Answer> {
    if customer.under_review {
        return Some(Answer::error(403, 800_073, "The customer is under review."));
    }
    customer
        .locked
        .then(|| Answer::error(403, 900_416, "The customer is locked for transactions."))
}

/// A legacy etag that is not the current one. It may travel in `If-Match` or in the body.
fn stale(request: &ApiRequest<'_>, body: &Value, subscription: &Subscription) -> Option<Answer> {
    let current = wire::etag(subscription);
    let sent = [
        request.if_match.map(|e| e.trim_matches('"')),
        member(body, "attributes")
            .and_then(|a| member(a, "etag"))
            .and_then(Value::as_str),
    ];
    sent.into_iter()
        .flatten()
        .any(|etag| !etag.is_empty() && etag != "*" && etag != current)
        .then(|| Answer::error(400, 2055, "Etag is no longer valid."))
}

/// What the body asks for. What it leaves out is lost: renewal is switched off and instructions
/// are dropped (documented by Microsoft); status, quantity and name stay.
fn read_change(body: &Value, s: &Subscription) -> Result<Change, Box<Answer>> {
    let status = match member(body, "status").filter(|v| !v.is_null()) {
        None => s.status,
        Some(value) => match value.as_str().unwrap_or_default().to_lowercase().as_str() {
            "active" => Status::Active,
            "suspended" => Status::Suspended,
            "deleted" => Status::Deleted,
            // Sent back as it was read while something else changes.
            same if same == s.status.as_str() => s.status,
            _ => {
                return Err(Box::new(Answer::error(
                    400,
                    800_096,
                    "The status of the subscription cannot be updated to this value.",
                )));
            }
        },
    };
    let given = |name: &str| member(body, name).filter(|v| !v.is_null()).cloned();
    Ok(Change {
        status,
        quantity: given("quantity")
            .and_then(|v| v.as_u64())
            .and_then(|q| u32::try_from(q).ok())
            .unwrap_or(s.quantity),
        friendly_name: given("friendlyName")
            .and_then(|v| v.as_str().map(str::to_owned))
            .unwrap_or_else(|| s.friendly_name.clone()),
        auto_renew: given("autoRenewEnabled")
            .and_then(|v| v.as_bool())
            .unwrap_or(false),
        scheduled_actions: match given("scheduledActions") {
            Some(Value::Array(actions)) => actions,
            _ => Vec::new(),
        },
        next_term_instructions: given("scheduledNextTermInstructions"),
        next_charge_instructions: given("nextChargeInstructions"),
    })
}

/// Why Partner Center would refuse this change now.
fn refused(
    customer: &Customer,
    s: &Subscription,
    change: &Change,
    now: Timestamp,
) -> Option<Answer> {
    let error = |status, code, text: &str| Some(Answer::error(status, code, text));
    if s.status == Status::Deleted {
        return error(400, 2011, "A deleted subscription cannot be updated.");
    }
    if s.pending_change.is_some() {
        return error(
            409,
            900_278,
            "Another operation on this subscription is pending. Try again later.",
        );
    }
    if s.kind == Kind::SavingsPlan {
        return error(
            403,
            900_321,
            "Savings plans cannot be managed in Partner Center. Use the Azure portal.",
        );
    }
    match s.status {
        Status::Pending => {
            return error(400, 800_081, "The subscription is not activated yet.");
        }
        Status::Expired | Status::Disabled => {
            return error(400, 900_279, "Updates are no longer allowed.");
        }
        _ => {}
    }
    let turning = change.status != s.status;
    let renewal = change.auto_renew != s.auto_renew;
    if !s.kind.is_legacy()
        && renewal_day(s, now)
        && (renewal || (turning && change.status == Status::Suspended))
    {
        return error(
            409,
            800_082,
            "The subscription is being renewed and is not ready. Try again later.",
        );
    }
    if !turning {
        if s.status == Status::Suspended && change.quantity != s.quantity {
            return error(400, 800_091, "A suspended subscription cannot be updated.");
        }
        return None;
    }
    match change.status {
        Status::Suspended => {
            if s.kind == Kind::NewCommerceTrial {
                return error(400, 2006, "Updates are not allowed for this offer.");
            }
            if s.kind == Kind::AzurePlan && s.azure.iter().any(|a| a.active) {
                return error(
                    403,
                    900_115,
                    "The Azure plan cannot be suspended while Azure subscriptions are active.",
                );
            }
            None
        }
        Status::Active => {
            let parent = s.parent.as_deref().and_then(|p| customer.subscription(p));
            if parent.is_some_and(|p| p.status != Status::Active) {
                return error(
                    409,
                    27009,
                    "The subscription cannot be enabled because its parent is not active.",
                );
            }
            None
        }
        Status::Deleted => {
            if s.kind.is_legacy() || matches!(s.kind, Kind::NewCommerceTrial | Kind::AzurePlan) {
                return error(400, 800_096, "The subscription cannot be cancelled.");
            }
            if s.cancel_until.is_none_or(|until| now > until) && s.kind != Kind::Marketplace {
                // Short windows are counted in hours, long ones in days.
                let hours = s
                    .cancel_until
                    .is_some_and(|until| until.duration_since(s.start).as_hours() < 48);
                return if hours {
                    error(400, 900_213, "The cancellation window of hours has passed.")
                } else {
                    error(400, 900_117, "The cancellation window of days has passed.")
                };
            }
            None
        }
        _ => None,
    }
}

/// A marketplace subscription cancelled after its window stays active: its cancellation is only
/// scheduled for the renewal (documented by Microsoft).
fn schedule_late_cancellation(s: &Subscription, change: &mut Change, now: Timestamp) {
    let late = s.cancel_until.is_none_or(|until| now > until);
    if s.kind == Kind::Marketplace && change.status == Status::Deleted && late {
        change.status = s.status;
        change.auto_renew = false;
        change.scheduled_actions =
            vec![json!({ "scheduleType": "TermEnd", "actionType": "Cancel" })];
    }
}

/// Renewal takes up to 24 hours from 00:01 UTC of the day on which the term ends (documented by
/// Microsoft). The term that just began counts too.
fn renewal_day(s: &Subscription, now: Timestamp) -> bool {
    let day = |t: Timestamp| t.strftime("%Y-%m-%d").to_string();
    let renewed = s.start > s.created && day(s.start) == day(now);
    renewed || (s.auto_renew && day(s.term_end) == day(now))
}

/// POST of a cancellation of an Azure subscription below a plan.
pub(super) fn cancel_azure(
    world: &mut World,
    request: &ApiRequest<'_>,
    customer: uuid::Uuid,
) -> Answer {
    let seconds = i64::from(world.behaviour.azure_cancel_seconds);
    let reason = request
        .body
        .and_then(|b| member(b, "cancellationReason"))
        .and_then(Value::as_str);
    let Some(customer) = world.customer_mut(request.partner, customer) else {
        return Answer::error(404, 1000, "Customer not found.");
    };
    let customer_id = customer.id;
    let Some(plan) = customer.subscription_mut(request.segments[3]) else {
        return Answer::error(404, 20003, "Subscription not found.");
    };
    let plan_id = plan.id.clone();
    let Some(azure) = plan
        .azure
        .iter_mut()
        .find(|a| a.id.to_string().eq_ignore_ascii_case(request.segments[5]))
    else {
        return Answer::error(404, 800_111, "Azure entitlement not found.");
    };
    if reason != Some("compromise") {
        return Answer::error(400, 900_307, "The cancellation reason is not supported.");
    }
    cancel_azure_later(azure, request.now, seconds);
    // The state flips some minutes later; the answer still shows it active.
    Answer::ok(wire::azure_entitlement(customer_id, &plan_id, azure))
        .with_effect(format!("azure subscription {} cancelled", azure.id))
}

/// Turns an Azure subscription inactive after a while.
pub(super) fn cancel_azure_later(azure: &mut AzureSubscription, now: Timestamp, seconds: i64) {
    if azure.active && azure.inactive_at.is_none() {
        azure.inactive_at = Some(add(now, seconds.seconds()).unwrap_or(now));
    }
}
