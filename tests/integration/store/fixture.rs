//! Rows, events and appends for the tests of the store.

use std::sync::Arc;
use std::time::Duration;

use relationship_service::application::store::{
    Acceptance, Append, Appender, Claimed, Columns, EventRow, FORMAT, NewOffboarding, PartnerNow,
    Store,
};
use relationship_service::domain::ids::{
    CallerId, CustomerId, OffboardingId, PartnerTenantId, RequestId,
};
use relationship_service::domain::time::Time;
use uuid::Uuid;

/// Longer than any test.
pub(crate) const LONG: Duration = Duration::from_secs(3600);

/// A moment of business time, in seconds from some beginning.
pub(crate) fn at(seconds: i64) -> Time {
    Time::from_second(1_700_000_000 + seconds).unwrap()
}

pub(crate) fn partner() -> PartnerTenantId {
    PartnerTenantId(Uuid::new_v4())
}

pub(crate) fn shows(partner: PartnerTenantId, seconds: i64) -> PartnerNow {
    PartnerNow {
        partner,
        now: at(seconds),
    }
}

/// An event whose hash and text tell it from every other of its log.
pub(crate) fn event(sequence: u64, kind: &str) -> EventRow {
    let mut hash = [7; 32];
    hash[..8].copy_from_slice(&sequence.to_be_bytes());
    EventRow {
        sequence,
        at: at(i64::try_from(sequence).unwrap()),
        format: FORMAT,
        kind: kind.to_owned(),
        state: "CLEARING".to_owned(),
        text: format!("{{\"sequence\":{sequence},\"name\":\"Müller & \\\"Söhne\\\"\"}}"),
        hash,
    }
}

/// Columns of an unfinished offboarding; the fold tells at which sequence they were written.
pub(crate) fn columns(sequence: u64) -> Columns {
    Columns {
        state: "CLEARING".to_owned(),
        ended: false,
        fold: format!("{{\"at\":{sequence}}}"),
        format: FORMAT,
        due: Some(at(0)),
        waiting_on: Some("service".to_owned()),
        blocker_reasons: Vec::new(),
        removal_seen: false,
        updated: at(i64::try_from(sequence).unwrap()),
    }
}

/// Columns of an ended offboarding.
pub(crate) fn ended(sequence: u64, removal_seen: bool) -> Columns {
    Columns {
        state: "SUCCEEDED".to_owned(),
        ended: true,
        due: None,
        waiting_on: None,
        removal_seen,
        ..columns(sequence)
    }
}

/// A new offboarding of some customer, due at second 0, with one event.
pub(crate) fn new(partner: PartnerTenantId) -> NewOffboarding {
    NewOffboarding {
        id: OffboardingId(Uuid::now_v7()),
        partner,
        customer: CustomerId(Uuid::new_v4()),
        caller: CallerId::local(),
        request_id: RequestId(Uuid::new_v4()),
        request_digest: [3; 32],
        created: at(0),
        labels: Vec::new(),
        references: Vec::new(),
        columns: columns(1),
        events: vec![event(1, "accepted")],
    }
}

/// Accepts a new offboarding that is due at this second.
pub(crate) async fn accepted_due(
    store: &dyn Store,
    partner: PartnerTenantId,
    due: i64,
) -> OffboardingId {
    let mut new = new(partner);
    new.columns.due = Some(at(due));
    let id = new.id;
    assert_eq!(store.accept(new).await.unwrap(), Acceptance::Accepted);
    id
}

/// Claims the one offboarding of this partner that is due at second 0.
pub(crate) async fn claim_one(
    store: &Arc<dyn Store>,
    partner: PartnerTenantId,
    lease: Duration,
) -> Claimed {
    let mut claimed = store.claim(&[shows(partner, 0)], 10, lease).await.unwrap();
    assert_eq!(claimed.len(), 1);
    claimed.remove(0)
}

/// One more event after `after`.
pub(crate) fn append(id: OffboardingId, after: u64, by: Appender) -> Append {
    Append {
        id,
        after,
        by,
        events: vec![event(after + 1, "step")],
        columns: columns(after + 1),
    }
}

/// The worker that holds this fence and keeps its claim.
pub(crate) fn worker(fence: u64) -> Appender {
    Appender::Worker {
        fence,
        release: false,
    }
}
