//! Read-modify-write: changes members of a body as it was read, everything else stays as it is.

use serde_json::{Map, Value};

use super::fields::{Fields, Read, WrongShape, key_of};
use crate::application::upstream::SubscriptionChange;
use crate::domain::subscription::ChangeableFields;

/// The body with the change made: members that are there keep their spelling, unknown ones survive.
///
/// # Errors
/// The body is no object.
pub(super) fn apply(body: &Value, change: &SubscriptionChange) -> Read<Value> {
    let mut body = body.clone();
    let Some(object) = body.as_object_mut() else {
        return Err(WrongShape {
            path: "body".to_owned(),
            why: "not an object".to_owned(),
        });
    };
    if let Some(status) = &change.status {
        set(object, "status", Value::String(status.as_str().to_owned()));
    }
    if let Some(auto_renew) = change.auto_renew {
        set(object, "autoRenewEnabled", Value::Bool(auto_renew));
    }
    if let Some(next_term) = &change.next_term {
        set(object, "scheduledNextTermInstructions", next_term.clone());
    }
    if let Some(actions) = &change.scheduled_actions {
        set(object, "scheduledActions", actions.clone());
    }
    Ok(body)
}

fn set(object: &mut Map<String, Value>, name: &str, value: Value) {
    let key = key_of(object, name).unwrap_or(name).to_owned();
    object.insert(key, value);
}

/// The fields of a subscription that a change may touch, verbatim.
pub(super) fn changeable(body: &Value) -> Read<ChangeableFields> {
    let fields = Fields::of(body)?;
    Ok(ChangeableFields {
        status: fields.required("status")?.into(),
        auto_renew: fields.flag("autoRenewEnabled")?,
        next_term: fields.value("scheduledNextTermInstructions").cloned(),
        scheduled_actions: fields.value("scheduledActions").cloned(),
    })
}

/// Whether a subscription as just read shows the change.
pub(super) fn shows(fields: &ChangeableFields, change: &SubscriptionChange) -> bool {
    // Instructions come back in a form of upstream's own; that they are there, or are not, is all
    // that can be compared.
    let there = |value: Option<&Value>| {
        value.is_some_and(|value| match value {
            Value::Null => false,
            Value::Array(items) => !items.is_empty(),
            _ => true,
        })
    };
    let same = |wanted: &Option<Value>, found: &Option<Value>| {
        wanted
            .as_ref()
            .is_none_or(|wanted| there(Some(wanted)) == there(found.as_ref()))
    };
    change
        .status
        .as_ref()
        .is_none_or(|status| *status == fields.status)
        && change
            .auto_renew
            .is_none_or(|wanted| fields.auto_renew == Some(wanted))
        && same(&change.next_term, &fields.next_term)
        && same(&change.scheduled_actions, &fields.scheduled_actions)
}

/// `attributes.etag`, quoted for `If-Match`; none when it is empty (new commerce).
pub(super) fn if_match(body: &Value) -> Read<Option<String>> {
    let Some(attributes) = Fields::of(body)?.object("attributes")? else {
        return Ok(None);
    };
    Ok(attributes.word("etag")?.map(|etag| {
        if etag.starts_with('"') || etag.starts_with("W/\"") {
            etag
        } else {
            format!("\"{etag}\"")
        }
    }))
}
