//! Every event has the type that its JSON has, and a sentence; consequences need what shows them.

use serde_json::{Value, json};

use super::*;

const AT: &str = "2026-11-22T10:00:00.123456Z";
const ID: &str = "0c39d6d5-c70d-4c55-bc02-f620844f3fd1";

fn failure() -> Value {
    json!({"class": "unavailable", "call": "GET /v1/customers/x", "text": "no answer"})
}

fn fields() -> Value {
    json!({"status": "active"})
}

/// One event of each type, as stored.
fn one_of_each() -> Vec<Value> {
    let seen = json!({"sighting": "present", "relationship": "reseller"});
    let snapshot = json!({"began": AT, "complete": true, "customer_name": "Contoso",
        "items": [], "blockers": []});
    vec![
        json!({"type": "accepted", "request_id": ID, "caller": "local", "correlation": ID,
            "basis": {"basis": "unread"},
            "request": {"partner": ID, "customer": ID, "policy": {}, "reason": "ended"}}),
        json!({"type": "snapshot_taken", "snapshot": snapshot, "standing": []}),
        json!({"type": "deferred", "failure": failure(), "retry_at": AT}),
        json!({"type": "effects_intended", "intents": []}),
        json!({"type": "effects_not_sent", "ids": ["a"], "why": "cancelled"}),
        json!({"type": "effect_done", "id": "a", "how": "sent"}),
        json!({"type": "effect_unsettled", "id": "a", "failure": failure(), "retry_at": AT}),
        json!({"type": "effect_refused", "id": "a", "failure": failure()}),
        json!({"type": "blocked", "until": AT, "recheck_at": AT}),
        json!({"type": "removal_intended"}),
        json!({"type": "removal_not_sent", "why": "cancelled"}),
        json!({"type": "removal_answered"}),
        json!({"type": "removal_found_done", "answer": failure()}),
        json!({"type": "removal_refused", "failure": failure()}),
        json!({"type": "removal_unknown", "failure": failure()}),
        json!({"type": "removal_looked_up", "customer": seen, "audit": {"audit": "nothing"},
            "retry_at": AT}),
        json!({"type": "removed_by_others", "answer": failure()}),
        json!({"type": "found_not_related", "answer": failure()}),
        json!({"type": "observed", "began": AT, "customer": seen, "next_at": AT}),
        json!({"type": "cancellation_requested", "caller": "local", "reason": "mistake"}),
        json!({"type": "restoring_began", "to": "CANCELLED", "reason": "CANCELLED_BY_CALLER",
            "message": "mistake"}),
        json!({"type": "restores_intended", "ids": ["a"]}),
        json!({"type": "restores_not_sent", "ids": ["a"], "why": "stopped"}),
        json!({"type": "restored", "id": "a", "after": fields()}),
        json!({"type": "restore_unsettled", "id": "a", "failure": failure(), "retry_at": AT}),
        json!({"type": "not_restored", "id": "a", "why": "changed since"}),
        json!({"type": "ended", "ending": "FAILED", "reason": "BLOCKERS_STAND", "message": "no"}),
    ]
}

/// The types that serde knows, from its own words about one that it does not know.
fn known_types() -> Vec<String> {
    let unknown = serde_json::from_value::<EventBody>(json!({"type": "?"})).unwrap_err();
    let text = unknown.to_string();
    let (_, list) = text.split_once("expected one of").unwrap();
    list.split('`')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_event_has_the_type_of_its_json_and_a_sentence() {
    let mut types = Vec::new();
    for stored in one_of_each() {
        let body: EventBody = serde_json::from_value(stored.clone()).unwrap();
        assert_eq!(stored["type"], event_type(&body));
        let sentence = event(&body);
        assert!(!sentence.is_empty() && !sentence.contains('\n'), "{stored}");
        assert!(!sentence.contains(".123"), "parts of seconds: {sentence}");
        types.push(event_type(&body).to_owned());
    }
    assert_eq!(types, known_types());
}

fn offboarding() -> Offboarding {
    let accepted =
        json!({"format": 1, "offboarding": ID, "sequence": 1, "at": AT, "by": "control"});
    let mut event = accepted.as_object().unwrap().clone();
    event.extend(one_of_each()[0].as_object().unwrap().clone());
    let event = serde_json::from_value(Value::Object(event)).unwrap();
    Offboarding::begin(&event).unwrap()
}

fn looked() -> Verification {
    serde_json::from_value(json!({"began": AT, "looks": 1, "next_at": AT})).unwrap()
}

#[test]
fn being_off_the_list_takes_two_readings_a_minute_apart_and_the_list() {
    let run = offboarding();
    let first: Time = AT.parse().unwrap();
    let after = |seconds| first + jiff::SignedDuration::from_secs(seconds);
    let shown = |seen: &Verification| consequences(&run, seen).off_customer_list.shown;
    let mut seen = looked();
    assert_eq!(shown(&seen), Shown::No);
    seen.first_gone = Some(first);
    seen.last_gone = Some(after(59));
    seen.unlisted = Some(first);
    assert_eq!(second_gone(&seen), None);
    assert_eq!(shown(&seen), Shown::No);
    seen.last_gone = Some(after(60));
    assert_eq!(second_gone(&seen), Some(after(60)));
    assert_eq!(shown(&seen), Shown::Yes);
    assert!(
        !consequences(&run, &seen)
            .off_customer_list
            .by
            .contains(".123")
    );
    seen.unlisted = None;
    assert_eq!(shown(&seen), Shown::No);
}

#[test]
fn a_reading_with_nothing_but_what_the_plan_clears_says_so() {
    let mut stored = one_of_each().swap_remove(1);
    let said = |stored: &Value| event(&serde_json::from_value(stored.clone()).unwrap());
    assert_eq!(
        said(&stored),
        "Partner Center was read: nothing is in the way."
    );
    stored["snapshot"]["blockers"] = json!([{"reason": "SUBSCRIPTION_ACTIVE",
        "certainty": "documented", "resource": {"kind": "subscription", "id": "a", "name": "Mail"},
        "message": "Mail is active.", "cleared_by": {"service": "suspend"},
        "remedy": "Allow `suspend`.", "at_term_end": "renews"}]);
    assert_eq!(
        said(&stored),
        "Partner Center was read: nothing is in the way but 1 resource that the plan clears."
    );
}

#[test]
fn only_a_refusal_shows_the_other_consequences() {
    let run = offboarding();
    let probe = |text: Value| Some(serde_json::from_value::<Probe>(text).unwrap());
    for (probe, shown) in [
        (None, Shown::NotChecked),
        (
            probe(json!({"probe": "refused", "answer": failure()})),
            Shown::Yes,
        ),
        (probe(json!({"probe": "answered"})), Shown::No),
        (
            probe(json!({"probe": "failed", "failure": failure()})),
            Shown::No,
        ),
    ] {
        let mut seen = looked();
        seen.support_contact = probe.clone();
        seen.subscriptions = probe;
        let consequences = consequences(&run, &seen);
        assert_eq!(consequences.off_support_contacts.shown, shown);
        assert_eq!(consequences.purchasing_ended.shown, shown);
        assert_eq!(consequences.delegated_admin_ended.shown, Shown::NotChecked);
        assert!(!consequences.delegated_admin_ended.by.is_empty());
    }
}
