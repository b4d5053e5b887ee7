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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::domain::subscription::SubscriptionStatus;
    use serde_json::json;

    #[test]
    fn members_keep_their_spelling_their_order_and_their_unknown_neighbours() {
        let body =
            json!({"Id": "s", "STATUS": "active", "New": {"x": [null]}, "autoRenewEnabled": true});
        let change = SubscriptionChange {
            status: Some(SubscriptionStatus::Suspended),
            scheduled_actions: Some(json!([{"actionType": "Cancel"}])),
            ..SubscriptionChange::default()
        };
        assert_eq!(
            apply(&body, &change).unwrap().to_string(),
            r#"{"Id":"s","STATUS":"suspended","New":{"x":[null]},"autoRenewEnabled":true,"scheduledActions":[{"actionType":"Cancel"}]}"#
        );
    }

    #[test]
    fn nothing_changed_is_the_body_as_it_was() {
        let body = json!({"b": 1, "a": null});
        assert_eq!(apply(&body, &SubscriptionChange::default()).unwrap(), body);
    }

    #[test]
    fn etags_are_quoted_once_and_empty_ones_left_out() {
        let etag = |etag: Value| if_match(&json!({"Attributes": {"Etag": etag}})).unwrap();
        assert_eq!(etag(json!("abc")).as_deref(), Some("\"abc\""));
        assert_eq!(etag(json!("\"abc\"")).as_deref(), Some("\"abc\""));
        assert_eq!(etag(json!("")), None);
        assert_eq!(etag(Value::Null), None);
        assert_eq!(if_match(&json!({})).unwrap(), None);
    }

    #[test]
    fn a_change_shows_when_every_part_of_it_does() {
        let change = SubscriptionChange {
            status: Some(SubscriptionStatus::Active),
            auto_renew: Some(true),
            ..SubscriptionChange::default()
        };
        let read = |body: Value| changeable(&body).unwrap();
        assert!(shows(
            &read(json!({"status": "Active", "autoRenewEnabled": "true"})),
            &change
        ));
        assert!(!shows(
            &read(json!({"status": "active", "autoRenewEnabled": false})),
            &change
        ));
        assert!(!shows(
            &read(json!({"status": "pending", "autoRenewEnabled": true})),
            &change
        ));
    }
}
