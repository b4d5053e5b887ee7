//! Tests: events survive storage, and the chain notices what was changed.

use proptest::prelude::*;

use super::super::failure::FailureClass;
use super::super::model::upstream::{Tape, Upstream, failure, legacy};
use super::super::model::worker::{Run, accepted, request, start};
use super::super::policy::Policy;
use super::{
    AuditFinding, AuditWitness, Basis, DoneHow, EndReason, Ending, Event, EventBody, Listed, Probe,
    RemovalProof, Seen, Writer, chain,
};

fn witness() -> AuditWitness {
    AuditWitness {
        id: "a".to_owned(),
        at: start(),
        correlated: true,
        by: Some("somebody".to_owned()),
    }
}

/// Every kind of event that the runs against the model do not bring by themselves, with every member set.
fn rare() -> Vec<EventBody> {
    let id = || "sub".into();
    let failure = || failure(FailureClass::Refused);
    let mut all = vec![
        EventBody::Deferred {
            failure: failure(),
            retry_at: start(),
        },
        EventBody::EffectsNotSent {
            ids: vec![id()],
            why: "w".to_owned(),
        },
        EventBody::EffectUnsettled {
            id: id(),
            failure: failure(),
            retry_at: start(),
            sent: false,
        },
        EventBody::EffectRefused {
            id: id(),
            failure: failure(),
        },
        EventBody::Blocked {
            until: start(),
            recheck_at: start(),
        },
        EventBody::RemovalNotSent {
            why: "w".to_owned(),
        },
        EventBody::RemovalFoundDone { answer: failure() },
        EventBody::RemovalRefused {
            failure: failure(),
            retry_at: Some(start()),
        },
        EventBody::RemovalUnknown { failure: failure() },
        EventBody::RemovedByOthers { answer: failure() },
        EventBody::FoundNotRelated {
            answer: failure(),
            proof: Some(RemovalProof::Audit { record: witness() }),
        },
        EventBody::Observed {
            began: start(),
            customer: Seen::Unreadable { failure: failure() },
            listed: Some(Listed::Unreadable { failure: failure() }),
            audit: Some(witness()),
            support_contact: Some(Probe::Answered),
            subscriptions: Some(Probe::Failed { failure: failure() }),
            next_at: start(),
        },
        EventBody::RestoringBegan {
            to: Ending::Failed,
            reason: EndReason::BlockedTooLong,
            message: "m".to_owned(),
        },
        EventBody::RestoresIntended { ids: vec![id()] },
        EventBody::RestoresNotSent {
            ids: vec![id()],
            why: "w".to_owned(),
        },
        EventBody::Restored {
            id: id(),
            after: legacy("sub", None).fields(),
        },
        EventBody::RestoreUnsettled {
            id: id(),
            failure: failure(),
            retry_at: start(),
        },
        EventBody::NotRestored {
            id: id(),
            why: "w".to_owned(),
        },
        EventBody::EffectDone {
            id: id(),
            how: DoneHow::Vanished,
            after: None,
        },
    ];
    for audit in [
        AuditFinding::Nothing,
        AuditFinding::Removed { record: witness() },
        AuditFinding::Reaccepted { record: witness() },
        AuditFinding::Unreadable { failure: failure() },
    ] {
        all.push(EventBody::RemovalLookedUp {
            customer: Seen::Present {
                relationship: "reseller".to_owned(),
            },
            audit,
            retry_at: start(),
        });
    }
    all
}

/// The events of a run in which a caller cancels after everything was suspended, and of one that succeeds.
fn usual() -> Vec<Event> {
    let subscriptions = || vec![legacy("parent", None), legacy("add-on", Some("parent"))];
    let accept = || {
        let upstream = Upstream::new(Tape::new(Vec::new()), subscriptions());
        Run::accept(upstream, Policy { suspend: true }, false)
    };
    let mut succeeds = accept();
    succeeds.run();
    let mut cancelled = accept();
    assert!(cancelled.cancel());
    cancelled.run();
    let mut events = succeeds.log;
    events.extend(cancelled.log);
    for proof in [
        RemovalProof::Audit { record: witness() },
        RemovalProof::EarlierRun {
            id: events[0].offboarding,
        },
    ] {
        let basis = Basis::AlreadyRemoved { proof };
        events.push(accepted(request(Policy::default()), basis, start()));
    }
    events
}

#[test]
fn every_event_survives_being_stored() {
    let mut events = usual();
    let template = events[0].clone();
    for (sequence, body) in (2..).zip(rare()) {
        let by = if sequence % 2 == 0 {
            Writer::Control
        } else {
            Writer::Worker(u64::MAX)
        };
        events.push(Event {
            sequence,
            by,
            body,
            ..template.clone()
        });
    }
    let mut types: Vec<String> = Vec::new();
    for event in events {
        let value = serde_json::to_value(&event).unwrap();
        types.push(value["type"].as_str().unwrap().to_owned());
        let read: Event = serde_json::from_str(&value.to_string()).unwrap();
        assert_eq!(read, event);
        assert_eq!(
            serde_json::to_value(&read).unwrap().to_string(),
            value.to_string()
        );
    }
    types.sort();
    types.dedup();
    assert_eq!(
        types.len(),
        27,
        "a new kind of event belongs into this test: {types:?}"
    );
}

#[test]
fn an_unsettled_effect_of_an_older_log_counts_as_sent() {
    let body = EventBody::EffectUnsettled {
        id: "sub".into(),
        failure: failure(FailureClass::Unavailable),
        retry_at: start(),
        sent: true,
    };
    let mut value = serde_json::to_value(&body).unwrap();
    value.as_object_mut().unwrap().remove("sent");
    assert_eq!(serde_json::from_value::<EventBody>(value).unwrap(), body);
}

fn head(texts: &[String]) -> [u8; 32] {
    texts
        .iter()
        .fold([0; 32], |before, text| chain(&before, text))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_chain_notices_a_change_a_swap_a_gap_and_an_addition(
        texts in prop::collection::vec("[a-z{}\":]{0,12}", 1..8),
        a in any::<prop::sample::Index>(),
        b in any::<prop::sample::Index>(),
    ) {
        let whole = head(&texts);
        let (a, b) = (a.index(texts.len()), b.index(texts.len()));
        let mut changed = texts.clone();
        changed[a].push('x');
        prop_assert_ne!(head(&changed), whole);
        let mut swapped = texts.clone();
        swapped.swap(a, b);
        prop_assert_eq!(head(&swapped) == whole, swapped == texts);
        let mut shorter = texts.clone();
        shorter.remove(a);
        prop_assert_ne!(head(&shorter), whole);
        let mut longer = texts.clone();
        longer.insert(a, String::new());
        prop_assert_ne!(head(&longer), whole);
    }
}
