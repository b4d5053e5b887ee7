//! Enums: the stable names of the domain ↔ the numbers of the protocol, each pair written once.

use crate::domain::blocker::{Certainty, ClearedBy, Reason, ResourceKind};
use crate::domain::describe::Shown;
use crate::domain::event::DoneHow;
use crate::domain::offboarding::{Progress, State};
use crate::domain::subscription::AtTermEnd;
use crate::domain::waiting::Party;
use crate::grpc::proto;

pub(super) fn state(state: State) -> proto::OffboardingState {
    use proto::OffboardingState as P;
    match state {
        State::Scheduled => P::Scheduled,
        State::Blocked => P::Blocked,
        State::Clearing => P::Clearing,
        State::Removing => P::Removing,
        State::Verifying => P::Verifying,
        State::Restoring => P::Restoring,
        State::Succeeded => P::Succeeded,
        State::Unconfirmed => P::Unconfirmed,
        State::Failed => P::Failed,
        State::Cancelled => P::Cancelled,
    }
}

pub(super) fn reason(reason: Reason) -> proto::BlockerReason {
    use proto::BlockerReason as P;
    match reason {
        Reason::AzureReservationActive => P::AzureReservationActive,
        Reason::SavingsPlanActive => P::SavingsPlanActive,
        Reason::SoftwarePurchaseActive => P::SoftwarePurchaseActive,
        Reason::SubscriptionActive => P::SubscriptionActive,
        Reason::NewCommerceNotCancelled => P::NewCommerceNotCancelled,
        Reason::TrialActive => P::TrialActive,
        Reason::AzurePlanActive => P::AzurePlanActive,
        Reason::AzureSubscriptionActive => P::AzureSubscriptionActive,
        Reason::MarketplaceSubscriptionActive => P::MarketplaceSubscriptionActive,
        Reason::SubscriptionPending => P::SubscriptionPending,
        Reason::TransferPending => P::TransferPending,
        Reason::IndirectReseller => P::IndirectReseller,
        Reason::CustomerUnderReview => P::CustomerUnderReview,
        Reason::CustomerLocked => P::CustomerLocked,
        Reason::Unreadable => P::Unreadable,
        Reason::UpstreamRefused => P::UpstreamRefused,
        Reason::PlanChanged => P::PlanChanged,
    }
}

pub(super) fn party(party: Party) -> proto::Party {
    match party {
        Party::Service => proto::Party::Service,
        Party::Partner => proto::Party::Partner,
        Party::Customer => proto::Party::Customer,
        Party::Microsoft => proto::Party::Microsoft,
        Party::Time => proto::Party::Time,
    }
}

/// The domain's value for a number in a filter; `None` for 0 and for numbers nobody knows.
pub(super) fn state_of(number: i32) -> Option<State> {
    State::ALL.into_iter().find(|s| state(*s) as i32 == number)
}

/// As [`state_of`].
pub(super) fn reason_of(number: i32) -> Option<Reason> {
    Reason::ALL
        .into_iter()
        .find(|r| reason(*r) as i32 == number)
}

/// As [`state_of`].
pub(super) fn party_of(number: i32) -> Option<Party> {
    Party::ALL.into_iter().find(|p| party(*p) as i32 == number)
}

pub(super) fn certainty(certainty: Certainty) -> proto::Certainty {
    match certainty {
        Certainty::Documented => proto::Certainty::Documented,
        Certainty::Inferred => proto::Certainty::Inferred,
    }
}

/// Who clears a blocker, and the policy field that lets this service do it.
pub(super) fn cleared_by(by: ClearedBy) -> (proto::Party, &'static str) {
    let field = match by {
        ClearedBy::Service(permission) => permission.as_str(),
        _ => "",
    };
    (party(Party::from(by)), field)
}

pub(super) fn kind(kind: ResourceKind) -> proto::ResourceKind {
    use proto::ResourceKind as P;
    match kind {
        ResourceKind::Customer => P::Customer,
        ResourceKind::Partner => P::Partner,
        ResourceKind::Subscription => P::Subscription,
        ResourceKind::AzureSubscription => P::AzureSubscription,
        ResourceKind::Reservation => P::Reservation,
        ResourceKind::Software => P::Software,
        ResourceKind::Transfer => P::Transfer,
        ResourceKind::SnapshotPart => P::SnapshotPart,
    }
}

pub(super) fn at_term_end(at: AtTermEnd) -> proto::AtTermEnd {
    match at {
        AtTermEnd::Renews => proto::AtTermEnd::Renews,
        AtTermEnd::Ends => proto::AtTermEnd::Ends,
        AtTermEnd::Extends => proto::AtTermEnd::Extends,
        AtTermEnd::TurnsPaid => proto::AtTermEnd::TurnsPaid,
        AtTermEnd::Unknown => proto::AtTermEnd::Unspecified,
    }
}

pub(super) fn progress(progress: &Progress) -> proto::EffectState {
    use proto::EffectState as P;
    match progress {
        Progress::Todo => P::Todo,
        Progress::Intended { .. } | Progress::RestoreIntended { .. } => P::Intended,
        Progress::Unsettled { .. } | Progress::RestoreUnsettled { .. } => P::Retrying,
        Progress::Done { how, .. } => match how {
            DoneHow::Sent | DoneHow::FoundAfterSending | DoneHow::WithParent => P::Done,
            DoneHow::ByOthers | DoneHow::Vanished => P::DoneByOthers,
        },
        Progress::Refused { .. } => P::Refused,
        Progress::Restored => P::Restored,
        Progress::NotRestored { .. } => P::NotRestored,
    }
}

pub(super) fn shown(shown: Shown) -> proto::ConsequenceState {
    match shown {
        Shown::Yes => proto::ConsequenceState::Shown,
        Shown::No => proto::ConsequenceState::NotShown,
        Shown::NotChecked => proto::ConsequenceState::NotChecked,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// The names of the protocol without their prefix are the names of the domain, and there is no
    /// number that the domain does not know.
    #[test]
    fn names_and_numbers_agree_on_both_sides() {
        for known in State::ALL {
            let name = format!("OFFBOARDING_STATE_{}", known.as_str());
            assert_eq!(state(known).as_str_name(), name);
            assert_eq!(state_of(state(known) as i32), Some(known));
        }
        for known in Reason::ALL {
            let name = format!("BLOCKER_REASON_{}", known.as_str());
            assert_eq!(reason(known).as_str_name(), name);
            assert_eq!(reason_of(reason(known) as i32), Some(known));
        }
        for known in Party::ALL {
            let name = format!("PARTY_{}", known.as_str().to_uppercase());
            assert_eq!(party(known).as_str_name(), name);
            assert_eq!(party_of(party(known) as i32), Some(known));
        }
        let numbers = |valid: fn(i32) -> bool| (1..100).filter(|n| valid(*n)).count();
        assert_eq!(
            numbers(|n| proto::OffboardingState::try_from(n).is_ok()),
            State::ALL.len()
        );
        assert_eq!(
            numbers(|n| proto::BlockerReason::try_from(n).is_ok()),
            Reason::ALL.len()
        );
        assert_eq!(
            numbers(|n| proto::Party::try_from(n).is_ok()),
            Party::ALL.len()
        );
    }

    #[test]
    fn nobody_filters_by_a_number_that_means_nothing() {
        for number in [0, -1, 99, i32::MAX] {
            assert_eq!(state_of(number), None);
            assert_eq!(reason_of(number), None);
            assert_eq!(party_of(number), None);
        }
    }

    #[test]
    fn no_two_kinds_share_a_number() {
        use ResourceKind as K;
        let all = [
            K::Customer,
            K::Partner,
            K::Subscription,
            K::AzureSubscription,
            K::Reservation,
            K::Software,
            K::Transfer,
            K::SnapshotPart,
        ];
        let numbers: BTreeSet<i32> = all.iter().map(|k| kind(*k) as i32).collect();
        assert_eq!(numbers.len(), all.len());
        for known in all {
            let name = format!("RESOURCE_KIND_{}", known.as_str().to_uppercase());
            assert_eq!(kind(known).as_str_name(), name);
        }
    }
}
