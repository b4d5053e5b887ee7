//! Every error has its code, reason and details, and none overflows the trailers.

use http::HeaderMap;

use super::*;
use crate::domain::blocker::Resource;
use crate::domain::blocker::ResourceKind;
use crate::domain::ids::PartnerAlias;
use crate::domain::offboarding::State;

const ID: &str = "0c39d6d5-c70d-4c55-bc02-f620844f3fd1";

fn failure(class: FailureClass, text: &str) -> Box<UpstreamFailure> {
    Box::new(UpstreamFailure {
        status: Some(403),
        code: Some("900100".repeat(50)),
        request_id: Some(ID.to_owned()),
        correlation_id: Some(ID.to_owned()),
        ms_cv: Some("ö".repeat(1_000)),
        ..UpstreamFailure::new(class, "GET /v1/customers/".repeat(40), text)
    })
}

fn blocker(name: &str) -> Blocker {
    Blocker::refused(
        Resource {
            kind: ResourceKind::Subscription,
            id: name.into(),
            name: name.to_owned(),
        },
        &failure(FailureClass::Refused, name),
    )
}

/// One of each error, with texts of the given length.
fn errors(long: &str) -> Vec<Error> {
    let id = ID.parse().unwrap();
    let alias: PartnerAlias = "contoso-europe-middle-east-and-africa-1".parse().unwrap();
    let violation = Violation {
        field: format!("labels[{long:?}]"),
        description: long.to_owned(),
    };
    let mut errors = vec![
        Error::Invalid(vec![violation; 500]),
        Error::UnknownPartner {
            named: long.to_owned(),
            known: vec![alias; 100],
        },
        Error::OwnTenant,
        Error::InvalidPageToken,
        Error::RequestIdReused { existing: id },
        Error::OffboardingNotFound,
        Error::CustomerNotRelated {
            earlier: Earlier::Nothing,
            customer: ID.parse().unwrap(),
            answer: failure(FailureClass::NotRelated, long),
        },
        Error::Blocked(vec![blocker(long); 500]),
        Error::PlanChanged {
            expected: "ab".repeat(32).parse().unwrap(),
            actual: "cd".repeat(32).parse().unwrap(),
        },
        Error::OffboardingInProgress { existing: id },
        Error::RemovalAlreadySent { id },
        Error::OffboardingEnded {
            id,
            state: State::Failed,
        },
        Error::DeadlineExceeded,
        Error::Store(StoreError::Conflict),
        Error::Store(StoreError::ClaimLost),
        Error::Store(StoreError::NotFound),
        Error::Store(StoreError::Unavailable(long.to_owned())),
        Error::Store(StoreError::Corrupt(long.to_owned())),
    ];
    errors.extend(CLASSES.map(|class| Error::Upstream(failure(class, long))));
    errors
}

const CLASSES: [FailureClass; 13] = [
    FailureClass::NotRelated,
    FailureClass::ResourceNotFound,
    FailureClass::Credentials,
    FailureClass::MfaRequired,
    FailureClass::Forbidden,
    FailureClass::CustomerUnderReview,
    FailureClass::CustomerLocked,
    FailureClass::StaleEtag,
    FailureClass::Pending,
    FailureClass::Throttled,
    FailureClass::Unavailable,
    FailureClass::Nonsense,
    FailureClass::Refused,
];

/// Bytes that a status takes as trailers, counted as HTTP/2 does (name, value and 32 each).
fn trailer_bytes(status: &Status) -> usize {
    let mut headers = HeaderMap::new();
    status.add_header(&mut headers).unwrap();
    headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len() + 32)
        .sum()
}

#[test]
fn no_error_overflows_the_trailers() {
    for long in [
        "x".repeat(10_000),
        "ü".repeat(10_000),
        "\u{1F600}".repeat(10_000),
        " ".repeat(10_000),
        "x".repeat(40),
        "x".repeat(120),
    ] {
        for error in errors(&long) {
            let bytes = trailer_bytes(&status(&error));
            assert!(
                bytes < 8 * 1_024,
                "{bytes} bytes for {}",
                status(&error).message()
            );
        }
    }
}

#[test]
fn every_error_names_a_reason_of_the_list_and_its_code() {
    for error in errors("x") {
        let status = status(&error);
        let details = status.get_error_details();
        let info = details.error_info().unwrap();
        assert_eq!(info.domain, "relationship.v1");
        let reason = Reason::ALL.into_iter().find(|r| r.as_str() == info.reason);
        assert_eq!(reason.unwrap().code(), status.code(), "{}", info.reason);
    }
}

#[test]
fn every_upstream_class_has_its_reason() {
    let reason = |class| {
        let status = status(&Error::Upstream(failure(class, "no")));
        let info = status.get_error_details().error_info().unwrap().clone();
        (info.reason, status.code())
    };
    let of = |reason: &str, code| (reason.to_owned(), code);
    use Code::{FailedPrecondition, ResourceExhausted, Unavailable};
    assert_eq!(
        reason(FailureClass::Credentials),
        of("UPSTREAM_CREDENTIALS", FailedPrecondition)
    );
    assert_eq!(
        reason(FailureClass::MfaRequired),
        of("UPSTREAM_MFA_REQUIRED", FailedPrecondition)
    );
    assert_eq!(
        reason(FailureClass::Forbidden),
        of("UPSTREAM_FORBIDDEN", FailedPrecondition)
    );
    assert_eq!(
        reason(FailureClass::Throttled),
        of("UPSTREAM_THROTTLED", ResourceExhausted)
    );
    assert_eq!(
        reason(FailureClass::Unavailable),
        of("UPSTREAM_UNAVAILABLE", Unavailable)
    );
    assert_eq!(
        reason(FailureClass::Nonsense),
        of("UPSTREAM_NONSENSE", Unavailable)
    );
    assert_eq!(
        reason(FailureClass::Refused),
        of("UPSTREAM_REFUSED", FailedPrecondition)
    );
}

#[test]
fn a_refusal_lists_at_most_20_blockers_and_counts_all() {
    for (count, listed) in [(1, 1), (20, 20), (21, 20), (500, 20)] {
        let mut short = blocker("Office 365 E3");
        short.message = "Office 365 E3 is an active legacy subscription.".to_owned();
        let status = status(&Error::Blocked(vec![short; count]));
        let details = status.get_error_details();
        let metadata = &details.error_info().unwrap().metadata;
        assert_eq!(metadata["blockers"], count.to_string());
        assert_eq!(metadata["blockers_listed"], listed.to_string());
        let violations = &details.precondition_failure().unwrap().violations;
        assert_eq!(violations.len(), listed);
        assert_eq!(violations[0].r#type, "UPSTREAM_REFUSED");
        assert_eq!(violations[0].subject, "subscription/Office 365 E3");
    }
}

#[test]
fn throttling_says_when_to_come_back() {
    let mut throttled = failure(FailureClass::Throttled, "slow down");
    throttled.retry_after_ms = Some(7_500);
    let delay = |failure| {
        let details = status(&Error::Upstream(failure)).get_error_details();
        details.retry_info().and_then(|info| info.retry_delay)
    };
    assert_eq!(delay(throttled.clone()), Some(Duration::from_millis(7_500)));
    throttled.retry_after_ms = None;
    assert_eq!(delay(throttled), Some(DEFAULT_RETRY));
    assert_eq!(delay(failure(FailureClass::Refused, "no")), None);
}

#[test]
fn faults_of_ours_tell_the_caller_nothing_but_an_incident() {
    let secret = "password=hunter2";
    for status in [
        status(&Error::Store(StoreError::Corrupt(secret.to_owned()))),
        status(&Error::Store(StoreError::Unavailable(secret.to_owned()))),
        panicked(&secret.to_owned()),
    ] {
        assert!(!format!("{status:?}").contains(secret));
        assert!(!String::from_utf8_lossy(status.details()).contains(secret));
    }
    let details = panicked(&"boom").get_error_details();
    let incident = &details.error_info().unwrap().metadata["incident"];
    assert!(incident.parse::<uuid::Uuid>().is_ok());
}

#[test]
fn upstreams_words_and_ids_reach_the_caller() {
    let failure = UpstreamFailure {
        status: Some(400),
        code: Some("3000".to_owned()),
        request_id: Some("req".to_owned()),
        correlation_id: Some("corr".to_owned()),
        ms_cv: Some("cv".to_owned()),
        ..UpstreamFailure::new(FailureClass::Refused, "GET /v1/x", "Not today.")
    };
    let status = status(&failure.into());
    assert_eq!(
        status.message(),
        "Partner Center: GET /v1/x: 400/3000 Not today."
    );
    let metadata = status
        .get_error_details()
        .error_info()
        .unwrap()
        .metadata
        .clone();
    for (key, value) in [
        ("upstream_class", "refused"),
        ("upstream_call", "GET /v1/x"),
        ("upstream_status", "400"),
        ("upstream_code", "3000"),
        ("ms_request_id", "req"),
        ("ms_correlation_id", "corr"),
        ("ms_cv", "cv"),
    ] {
        assert_eq!(metadata[key], value, "{key}");
    }
}
