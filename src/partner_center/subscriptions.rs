//! Subscriptions: the list, one, add-ons, Azure subscriptions, support contact, and the change of one.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use serde_json::Value;
use tokio::time::{Instant, sleep};
use url::Url;

use super::body::{self, Body};
use super::classify::Addressee;
use super::fields::{Fields, Read};
use super::request::{Api, Changed, Target};
use super::rewrite;
use crate::application::upstream::{
    Call, NotChanged, SendGate, SubscriptionChange, SubscriptionReading,
};
use crate::domain::failure::{FailureClass, UpstreamFailure};
use crate::domain::ids::{CustomerId, ResourceId};
use crate::domain::snapshot::AzureEntitlement;
use crate::domain::subscription::{ChangeableFields, RefundOption, Subscription};
use crate::http::TokenUse;

/// Longest pause between two looks for the effect of a slow change.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

fn below<'a>(endpoint: &'static str, customer: CustomerId, call: &'a Call) -> Target<'a> {
    Target {
        endpoint,
        addressee: Addressee::BelowCustomer,
        customer: Some(customer),
        token: TokenUse::Current,
        call,
    }
}

fn url(api: &Api, customer: CustomerId, rest: &[&str]) -> Url {
    let customer = customer.to_string();
    let mut segments = vec!["customers", customer.as_str(), "subscriptions"];
    segments.extend(rest);
    api.url(&segments)
}

/// A subscription's body. What upstream leaves out is none; what it writes has to be readable.
pub(super) fn decode(fields: &Fields<'_>) -> Read<Subscription> {
    let id = fields.required("id")?;
    let product = fields.word("offerName")?.unwrap_or_default();
    let name = fields
        .word("friendlyName")?
        .or_else(|| Some(product.clone()).filter(|product| !product.is_empty()))
        .unwrap_or_else(|| id.clone());
    let product_type = match fields.value("productType") {
        Some(Value::String(_)) => fields.word("productType")?,
        _ => match fields.object("productType")? {
            Some(product_type) => product_type.word("id")?,
            None => None,
        },
    };
    let term_end = match fields.date("commitmentEndDateTime")? {
        Some(at) => Some(at),
        None => fields.date("commitmentEndDate")?,
    };
    let mut cancels_at_term_end = false;
    for action in fields.list("scheduledActions")? {
        let is = |name: &str, wanted: &str| -> Read<bool> {
            Ok(action
                .word(name)?
                .is_some_and(|text| text.eq_ignore_ascii_case(wanted)))
        };
        cancels_at_term_end |= is("scheduleType", "TermEnd")? && is("actionType", "Cancel")?;
    }
    let mut refunds = Vec::new();
    for option in fields.list("refundOptions")? {
        refunds.push(RefundOption {
            kind: option.word("type")?.unwrap_or_default(),
            // Documented as expiresAfter, sent as expiresAt.
            until: match option.date("expiresAt")? {
                Some(at) => Some(at),
                None => option.date("expiresAfter")?,
            },
        });
    }
    Ok(Subscription {
        id: id.into(),
        name,
        product,
        offer_id: fields.word("offerId")?,
        product_type,
        unit_type: fields.word("unitType")?.unwrap_or_default(),
        billing_type: fields.word("billingType")?.unwrap_or_default(),
        status: fields.word("status")?.unwrap_or_default().into(),
        quantity: fields.integer("quantity")?.unwrap_or_default(),
        is_trial: fields.flag("isTrial")?.unwrap_or_default(),
        auto_renew: fields.flag("autoRenewEnabled")?,
        term: fields.word("termDuration")?.unwrap_or_default(),
        billing_cycle: fields.word("billingCycle")?.unwrap_or_default(),
        order_id: fields.word("orderId")?,
        parent: fields.word("parentSubscriptionId")?.map(ResourceId),
        term_end,
        cancellation_allowed_until: fields.date("cancellationAllowedUntilDate")?,
        cancels_at_term_end,
        next_term: given(fields, "scheduledNextTermInstructions"),
        scheduled_actions: given(fields, "scheduledActions"),
        refunds,
        is_microsoft_product: fields.flag("isMicrosoftProduct")?,
        reseller_of_record: fields.word("partnerId")?,
    })
}

/// A member verbatim, unless upstream leaves it out or writes null.
fn given(fields: &Fields<'_>, name: &str) -> Option<Value> {
    fields.value(name).filter(|value| !value.is_null()).cloned()
}

fn decode_all(body: &Value) -> Read<Vec<Subscription>> {
    Fields::of(body)?.items()?.iter().map(decode).collect()
}

/// `GET …/subscriptions`.
pub(super) async fn list(
    api: &Api,
    customer: CustomerId,
    call: &Call,
) -> Result<Vec<Subscription>, UpstreamFailure> {
    let target = below("GET /v1/customers/{customer}/subscriptions", customer, call);
    let body = api.get(&target, url(api, customer, &[])).await?;
    decode_all(&body).map_err(api.shape(&target))
}

/// `GET …/subscriptions/{subscription}/addons`.
pub(super) async fn add_ons(
    api: &Api,
    customer: CustomerId,
    parent: &ResourceId,
    call: &Call,
) -> Result<Vec<Subscription>, UpstreamFailure> {
    let target = below(
        "GET /v1/customers/{customer}/subscriptions/{subscription}/addons",
        customer,
        call,
    );
    let url = url(api, customer, &[parent.as_str(), "addons"]);
    let body = api.get(&target, url).await?;
    decode_all(&body).map_err(api.shape(&target))
}

/// `GET …/subscriptions/{subscription}/azureEntitlements`.
pub(super) async fn azure_entitlements(
    api: &Api,
    customer: CustomerId,
    plan: &ResourceId,
    call: &Call,
) -> Result<Vec<AzureEntitlement>, UpstreamFailure> {
    let target = below(
        "GET /v1/customers/{customer}/subscriptions/{subscription}/azureEntitlements",
        customer,
        call,
    );
    let url = url(api, customer, &[plan.as_str(), "azureEntitlements"]);
    let body = api.get(&target, url).await?;
    decode_azure(&body).map_err(api.shape(&target))
}

pub(super) fn decode_azure(body: &Value) -> Read<Vec<AzureEntitlement>> {
    let mut all = Vec::new();
    for item in Fields::of(body)?.items()? {
        all.push(AzureEntitlement {
            id: item.required("id")?.into(),
            name: item.word("friendlyName")?.unwrap_or_default(),
            status: item.word("status")?.unwrap_or_default(),
        });
    }
    Ok(all)
}

/// `GET …/subscriptions/{subscription}/supportcontact`: whether it can be read.
pub(super) async fn support_contact(
    api: &Api,
    customer: CustomerId,
    subscription: &ResourceId,
    call: &Call,
) -> Result<(), UpstreamFailure> {
    let mut target = below(
        "GET /v1/customers/{customer}/subscriptions/{subscription}/supportcontact",
        customer,
        call,
    );
    target.token = TokenUse::AppUser;
    let url = url(api, customer, &[subscription.as_str(), "supportcontact"]);
    let body = api.get(&target, url).await?;
    Fields::of(&body).map(|_| ()).map_err(api.shape(&target))
}

/// `GET …/subscriptions/{subscription}`, whole.
pub(super) async fn read(
    api: &Api,
    customer: CustomerId,
    id: &ResourceId,
    call: &Call,
) -> Result<SubscriptionReading, UpstreamFailure> {
    let url = url(api, customer, &[id.as_str()]);
    read_at(api, customer, id, url, call).await
}

async fn read_at(
    api: &Api,
    customer: CustomerId,
    id: &ResourceId,
    url: Url,
    call: &Call,
) -> Result<SubscriptionReading, UpstreamFailure> {
    let target = below(
        "GET /v1/customers/{customer}/subscriptions/{subscription}",
        customer,
        call,
    );
    let body = api.get(&target, url).await?;
    let (subscription, fields) = whole(&body).map_err(api.shape(&target))?;
    if subscription.id != *id {
        return Err(api.nonsense(
            &target,
            format!("id: asked for {id}, got {:.80}", subscription.id.as_str()),
        ));
    }
    Ok(SubscriptionReading {
        subscription,
        fields,
        body,
        at: api.now(),
    })
}

fn whole(body: &Value) -> Read<(Subscription, ChangeableFields)> {
    Ok((decode(&Fields::of(body)?)?, rewrite::changeable(body)?))
}

/// `PATCH …/subscriptions/{subscription}` with the full body, once. A minimal body would make upstream
/// reset what it leaves out (documented by Microsoft).
pub(super) async fn change(
    api: &Api,
    customer: CustomerId,
    reading: &SubscriptionReading,
    change: &SubscriptionChange,
    call: &Call,
    gate: Arc<dyn SendGate>,
) -> Result<ChangeableFields, NotChanged> {
    let target = below(
        "PATCH /v1/customers/{customer}/subscriptions/{subscription}",
        customer,
        call,
    );
    let id = &reading.subscription.id;
    let own_url = url(api, customer, &[id.as_str()]);
    let not_sent = |why: String| NotChanged::NotSent(why);
    let body = rewrite::apply(&reading.body, change).map_err(|e| not_sent(e.to_string()))?;
    let if_match = rewrite::if_match(&reading.body)
        .map_err(|e| not_sent(e.to_string()))?
        .map(|etag| HeaderValue::from_str(&etag))
        .transpose()
        .map_err(|_| not_sent("attributes.etag: fits in no header".to_owned()))?;
    let answer = match api
        .patch(&target, own_url.clone(), &body, if_match, gate)
        .await
    {
        Changed::Answer(answer) => answer,
        Changed::NotSent(failure) => return Err(NotChanged::NotSent(failure.to_string())),
        Changed::Failed(failure) => return Err(NotChanged::Failed(failure)),
    };
    let nonsense =
        |why: String| NotChanged::Failed(api.about(&target, &answer, FailureClass::Nonsense, why));
    let slow = answer.status == http::StatusCode::ACCEPTED;
    if !slow {
        match body::read(&answer) {
            Body::Nonsense(why) => return Err(nonsense(why)),
            // A body without a status (all members null) says nothing: look for ourselves.
            Body::Json(body) => {
                if let Ok(fields) = rewrite::changeable(&body) {
                    return Ok(fields);
                }
            }
            Body::Empty => {}
        }
    }
    let place = match answer.header("location").filter(|_| slow) {
        Some(location) => api.follow(location).map_err(nonsense)?,
        None => own_url,
    };
    poll(api, customer, id, place, change, call)
        .await
        .map_err(|why| {
            let text = format!("answered with {}, but {why}", answer.status);
            NotChanged::Failed(api.about(&target, &answer, FailureClass::Unavailable, text))
        })
}

/// Reads the subscription until the change shows. Not `provisioningstatus`: that is refreshed every
/// fifteen minutes only (documented by Microsoft).
async fn poll(
    api: &Api,
    customer: CustomerId,
    id: &ResourceId,
    place: Url,
    change: &SubscriptionChange,
    call: &Call,
) -> Result<ChangeableFields, String> {
    let budget = Instant::now() + api.settings.slow_change_budget;
    let until = call
        .deadline
        .map_or(budget, |deadline| budget.min(Instant::from_std(deadline)));
    let mut pause = api.settings.slow_change_pause;
    loop {
        let seen = match read_at(api, customer, id, place.clone(), call).await {
            Ok(reading) if rewrite::shows(&reading.fields, change) => return Ok(reading.fields),
            Ok(reading) => format!(
                "the change does not show (status {})",
                reading.fields.status
            ),
            Err(failure) if failure.class.may_pass() => format!("cannot be seen ({failure})"),
            Err(failure) => return Err(format!("reading it back failed ({failure})")),
        };
        if Instant::now() + pause >= until {
            return Err(seen);
        }
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}
