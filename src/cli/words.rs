//! Words: enums, moments and resources as people read them.

use crate::grpc::proto;

/// A moment in UTC, to the second; `-` where there is none.
pub(crate) fn moment(at: Option<&prost_types::Timestamp>) -> String {
    let Some(at) = at else {
        return "-".to_owned();
    };
    jiff::Timestamp::new(at.seconds, at.nanos).map_or_else(
        |_| "a date out of range".to_owned(),
        |at| at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string(),
    )
}

/// The day of a moment in UTC; `-` where there is none.
pub(crate) fn day(at: Option<&prost_types::Timestamp>) -> String {
    let text = moment(at);
    text.get(..10).map_or(text.clone(), str::to_owned)
}

fn strip(name: &'static str, prefix: &str) -> &'static str {
    name.strip_prefix(prefix).unwrap_or(name)
}

/// `CLEARING` and the like.
pub(crate) fn state(state: proto::OffboardingState) -> &'static str {
    strip(state.as_str_name(), "OFFBOARDING_STATE_")
}

/// `SUBSCRIPTION_ACTIVE` and the like.
pub(crate) fn reason(reason: proto::BlockerReason) -> &'static str {
    strip(reason.as_str_name(), "BLOCKER_REASON_")
}

/// Who has to act.
pub(crate) fn party(party: proto::Party) -> &'static str {
    match party {
        proto::Party::Unspecified => "nobody",
        proto::Party::Service => "this service",
        proto::Party::Partner => "the partner",
        proto::Party::Customer => "the customer",
        proto::Party::Microsoft => "Microsoft",
        proto::Party::Time => "time",
    }
}

/// How far an effect is.
pub(crate) fn effect_state(state: proto::EffectState) -> &'static str {
    match state {
        proto::EffectState::Unspecified => "unknown",
        proto::EffectState::Todo => "to do",
        proto::EffectState::Intended => "under way",
        proto::EffectState::Retrying => "trying again",
        proto::EffectState::Done => "done",
        proto::EffectState::DoneByOthers => "done by others",
        proto::EffectState::Refused => "refused",
        proto::EffectState::Restored => "put back",
        proto::EffectState::NotRestored => "not put back",
    }
}

/// Whether a consequence was seen.
pub(crate) fn consequence_state(state: proto::ConsequenceState) -> &'static str {
    match state {
        proto::ConsequenceState::Unspecified => "unknown",
        proto::ConsequenceState::Shown => "shown",
        proto::ConsequenceState::NotShown => "not shown",
        proto::ConsequenceState::NotChecked => "not checked",
    }
}

/// What upstream does when a term ends; empty where it is not stated.
pub(crate) fn at_term_end(what: proto::AtTermEnd) -> &'static str {
    match what {
        proto::AtTermEnd::Unspecified => "",
        proto::AtTermEnd::Renews => "renews",
        proto::AtTermEnd::Ends => "ends",
        proto::AtTermEnd::Extends => "goes on, dearer",
        proto::AtTermEnd::TurnsPaid => "turns paid",
    }
}

/// The name of a resource for people, or else its id.
pub(crate) fn resource(resource: Option<&proto::Resource>) -> String {
    match resource {
        Some(resource) if !resource.name.is_empty() => resource.name.clone(),
        Some(resource) => resource.id.clone(),
        None => "-".to_owned(),
    }
}

/// Whether an offboarding in this state will never change again.
pub(crate) fn is_final(state: proto::OffboardingState) -> bool {
    use proto::OffboardingState as State;
    matches!(
        state,
        State::Succeeded | State::Unconfirmed | State::Failed | State::Cancelled
    )
}

/// `1 thing`, `2 things`.
pub(crate) fn count(number: usize, one: &str, many: &str) -> String {
    match number {
        1 => format!("1 {one}"),
        number => format!("{number} {many}"),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_utc_to_the_second() {
        let at = prost_types::Timestamp {
            seconds: 1_700_000_000,
            nanos: 999_999_999,
        };
        assert_eq!(moment(Some(&at)), "2023-11-14 22:13:20 UTC");
        assert_eq!(day(Some(&at)), "2023-11-14");
        assert_eq!(moment(None), "-");
        assert_eq!(day(None), "-");
    }

    #[test]
    fn enums_lose_their_prefix() {
        assert_eq!(state(proto::OffboardingState::Clearing), "CLEARING");
        assert_eq!(
            reason(proto::BlockerReason::SubscriptionActive),
            "SUBSCRIPTION_ACTIVE"
        );
    }
}
