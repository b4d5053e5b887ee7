//! Witness: what audit records and probes say about a removal.

use crate::domain::event::{AuditFinding, AuditWitness, Listed, Probe, RemovalProof, Seen};
use crate::domain::failure::{FailureClass, UpstreamFailure};
use crate::domain::ids::{CorrelationId, CustomerId, PartnerTenantId};
use crate::domain::step::later;
use crate::domain::time::Time;

use super::store::{Store, StoreError};
use super::upstream::{AuditRecord, Call, Observation, PartnerCenter, Sighting};

/// `operationType` of a removal (documented).
const REMOVED: &str = "remove_partner_customer_relationship";
/// `operationType` of a customer who accepts a relationship again (documented).
const ACCEPTED: [&str; 2] = ["extend_relationship", "add_customer"];
/// How much upstream's clock may lag behind ours.
const SKEW: jiff::SignedDuration = jiff::SignedDuration::from_mins(5);
/// How far back upstream keeps its audit, less a day for time zones.
const AUDIT_DAYS: i64 = 89;

/// The newest audit record of a removal since `since`, if it succeeded.
///
/// Upstream's clock may lag behind ours: a record that carries our own correlation id counts although it
/// is a little older. Another's does not: it may be a removal that the customer has undone since.
pub fn removal_record(
    records: &[AuditRecord],
    since: Time,
    ours: Option<CorrelationId>,
) -> Option<AuditWitness> {
    let lagging = later(since, -SKEW);
    records
        .iter()
        .filter(|r| r.operation.eq_ignore_ascii_case(REMOVED) && r.at >= lagging)
        .filter(|r| r.status.eq_ignore_ascii_case("succeeded"))
        .map(|record| witness(record, ours))
        .filter(|witness| witness.correlated || witness.at >= since)
        .max_by_key(|witness| witness.at)
}

fn witness(record: &AuditRecord, ours: Option<CorrelationId>) -> AuditWitness {
    let correlated = ours
        .zip(record.correlation.as_deref())
        .is_some_and(|(ours, theirs)| ours.to_string().eq_ignore_ascii_case(theirs));
    AuditWitness {
        id: record.id.clone(),
        at: record.at,
        correlated,
        by: record.by.clone(),
    }
}

/// What the audit says about a removal whose outcome is unknown, sent at or after `since`.
pub fn audit_finding(
    audit: Result<Vec<AuditRecord>, UpstreamFailure>,
    since: Time,
    ours: CorrelationId,
) -> AuditFinding {
    let records = match audit {
        Ok(records) => records,
        Err(failure) => return AuditFinding::Unreadable { failure },
    };
    let back = records
        .iter()
        .filter(|r| {
            ACCEPTED
                .iter()
                .any(|op| r.operation.eq_ignore_ascii_case(op))
                && r.at >= since
        })
        .max_by_key(|r| r.at);
    if let Some(record) = back {
        return AuditFinding::Reaccepted {
            record: witness(record, Some(ours)),
        };
    }
    match removal_record(&records, since, Some(ours)) {
        Some(record) => AuditFinding::Removed { record },
        None => AuditFinding::Nothing,
    }
}

/// What a look said about the customer, for the record.
pub fn seen(observation: &Observation) -> Seen {
    match &observation.customer {
        Ok(Sighting::Gone(answer)) => Seen::Gone {
            answer: answer.clone(),
        },
        Ok(Sighting::Present { relationship }) => Seen::Present {
            relationship: relationship.clone(),
        },
        Err(failure) => Seen::Unreadable {
            failure: failure.clone(),
        },
    }
}

/// What a look said about the list, for the record.
pub fn listed(observation: &Observation) -> Option<Listed> {
    observation.listed.as_ref().map(|listed| match listed {
        Ok(true) => Listed::Present,
        Ok(false) => Listed::Absent,
        Err(failure) => Listed::Unreadable {
            failure: failure.clone(),
        },
    })
}

/// What a probe said, for the record. Only "not related" counts as refused: any other failure may be
/// our own trouble.
pub fn probe(answer: Result<(), UpstreamFailure>) -> Probe {
    match answer {
        Ok(()) => Probe::Answered,
        Err(answer) if answer.class == FailureClass::NotRelated => Probe::Refused { answer },
        Err(failure) => Probe::Failed { failure },
    }
}

/// Looks for a proof that a relationship was there and was removed: an earlier run of ours, or
/// Microsoft's audit. `Ok(Err(_))`: the audit could not be read, so nobody can tell.
///
/// # Errors
/// The store's.
pub async fn earlier_removal(
    store: &dyn Store,
    upstream: &dyn PartnerCenter,
    partner: PartnerTenantId,
    customer: CustomerId,
    now: Time,
    call: &Call,
) -> Result<Result<Option<RemovalProof>, UpstreamFailure>, StoreError> {
    if let Some(id) = store.earlier_removal(partner, customer).await? {
        return Ok(Ok(Some(RemovalProof::EarlierRun { id })));
    }
    let since = later(now, jiff::SignedDuration::from_hours(-24 * AUDIT_DAYS));
    Ok(upstream.audit(customer, since, call).await.map(|records| {
        removal_record(&records, since, None).map(|record| RemovalProof::Audit { record })
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Time {
        Time::from_second(1_800_000_000 + second).expect("a moment")
    }

    fn record(operation: &str, second: i64, correlation: Option<CorrelationId>) -> AuditRecord {
        AuditRecord {
            id: second.to_string(),
            operation: operation.to_owned(),
            at: at(second),
            status: "succeeded".to_owned(),
            correlation: correlation.map(|id| id.to_string().to_uppercase()),
            by: None,
        }
    }

    #[test]
    fn only_our_own_removal_may_be_older_than_its_intent() {
        let ours = CorrelationId(uuid::Uuid::from_u128(7));
        let find = |correlation| {
            removal_record(&[record(REMOVED, -60, correlation)], at(0), Some(ours)).is_some()
        };
        assert!(find(Some(ours)));
        assert!(!find(None), "somebody else's, before we began");
        assert!(removal_record(&[record(REMOVED, 60, None)], at(0), Some(ours)).is_some());
        let mut failed = record(REMOVED, 60, Some(ours));
        failed.status = "failed".to_owned();
        assert!(removal_record(&[failed], at(0), Some(ours)).is_none());
    }

    #[test]
    fn a_customer_who_came_back_outweighs_the_removal() {
        let ours = CorrelationId(uuid::Uuid::from_u128(7));
        let records = [record(REMOVED, 1, Some(ours)), record(ACCEPTED[0], 2, None)];
        assert!(matches!(
            audit_finding(Ok(records.to_vec()), at(0), ours),
            AuditFinding::Reaccepted { .. }
        ));
        let earlier = [
            record(ACCEPTED[0], -2, None),
            record(REMOVED, 1, Some(ours)),
        ];
        assert!(matches!(
            audit_finding(Ok(earlier.to_vec()), at(0), ours),
            AuditFinding::Removed { .. }
        ));
        assert_eq!(
            audit_finding(Ok(Vec::new()), at(0), ours),
            AuditFinding::Nothing
        );
    }
}
