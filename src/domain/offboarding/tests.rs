//! Tests: one per rule of how events are folded, judged and followed by steps.

use jiff::SignedDuration;

use super::super::event::{
    AuditFinding, Basis, DoneHow, EndReason, Ending, Event, EventBody, Listed, Seen, Writer,
};
use super::super::failure::{FailureClass, UpstreamFailure};
use super::super::judge::{ChangeResult, Judgement, record};
use super::super::model::upstream::{Tape, Upstream, failure, legacy};
use super::super::model::worker::{accepted, request, start};
use super::super::plan::plan;
use super::super::policy::Policy;
use super::super::snapshot::Snapshot;
use super::super::step::{Step, Timing, later};
use super::super::subscription::{ChangeableFields, Subscription, SubscriptionStatus};
use super::super::time::Time;
use super::super::waiting::Party;
use super::{Offboarding, Progress, RemovalProgress, RemovedBy, State};

const SUSPEND: Policy = Policy { suspend: true };
const FENCE: u64 = 7;

/// A log that grows, and a clock.
struct Case {
    run: Offboarding,
    now: Time,
}

fn snapshot(subscriptions: Vec<Subscription>, at: Time) -> Snapshot {
    Upstream::new(Tape::new(Vec::new()), subscriptions).snapshot(at)
}

fn suspended() -> Subscription {
    Subscription {
        status: SubscriptionStatus::Suspended,
        ..legacy("sub", None)
    }
}

impl Case {
    fn with(subscriptions: Vec<Subscription>) -> Self {
        let seen = snapshot(subscriptions, start());
        let plan = plan(&seen, SUSPEND, start());
        let basis = Basis::Read {
            snapshot: Box::new(record(&[], &seen, &plan.blockers)),
            plan: Box::new(plan),
        };
        let event = accepted(request(SUSPEND), basis, start());
        Self {
            run: Offboarding::begin(&event).unwrap(),
            now: start(),
        }
    }

    /// One active subscription, planned to be suspended.
    fn one() -> Self {
        Self::with(vec![legacy("sub", None)])
    }

    /// Nothing in the way.
    fn none() -> Self {
        Self::with(Vec::new())
    }

    fn after(mut self, span: SignedDuration) -> Self {
        self.now = later(self.now, span);
        self
    }

    fn by(mut self, by: Writer, body: EventBody) -> Self {
        let event = Event {
            format: 1,
            offboarding: self.run.id,
            sequence: self.run.sequence + 1,
            at: self.now,
            by,
            body,
        };
        self.run.apply(&event).unwrap();
        self
    }

    fn say(self, body: EventBody) -> Self {
        self.by(Writer::Worker(FENCE), body)
    }

    fn look(mut self, subscriptions: Vec<Subscription>) -> Self {
        let seen = snapshot(subscriptions, self.now);
        let Judgement::Events(bodies) = self.run.judge_snapshot(&seen, self.now, &timing()) else {
            panic!("needs no proof");
        };
        for body in bodies {
            self = self.say(body);
        }
        self
    }

    fn intend(self) -> Self {
        let seen = snapshot(vec![legacy("sub", None)], self.now);
        let intents = self.run.intents(&["sub".into()], &seen);
        self.say(EventBody::EffectsIntended { intents })
    }

    fn unsettled(self, class: FailureClass, sent: bool) -> Self {
        let retry_at = self.now;
        self.say(EventBody::EffectUnsettled {
            id: "sub".into(),
            failure: failure(class),
            retry_at,
            sent,
        })
    }

    fn done(self, how: DoneHow) -> Self {
        let after = Some(suspended().fields());
        let id = "sub".into();
        self.say(EventBody::EffectDone { id, how, after })
    }

    fn cancel(self) -> Self {
        self.by(
            Writer::Control,
            EventBody::CancellationRequested {
                caller: super::super::ids::CallerId::local(),
                reason: "r".to_owned(),
            },
        )
    }

    fn refused(self, class: FailureClass) -> Self {
        let retry_at = Some(self.now);
        let failure = failure(class);
        self.say(EventBody::RemovalRefused { failure, retry_at })
    }

    fn unknown(self) -> Self {
        let failure = failure(FailureClass::Unavailable);
        self.say(EventBody::RemovalUnknown { failure })
    }

    fn still_there(self) -> Self {
        let retry_at = self.now;
        self.say(EventBody::RemovalLookedUp {
            customer: Seen::Present {
                relationship: "reseller".to_owned(),
            },
            audit: AuditFinding::Nothing,
            retry_at,
        })
    }

    fn observed(self, customer: Seen, listed: Option<Listed>) -> Self {
        let gone = matches!(customer, Seen::Gone { .. });
        let next_at = self.run.next_look(self.now, gone, &timing());
        let began = self.now;
        self.say(EventBody::Observed {
            began,
            customer,
            listed,
            audit: None,
            support_contact: None,
            subscriptions: None,
            next_at,
        })
    }

    fn next(&self) -> Step {
        self.run.next_step(self.now, FENCE, &timing())
    }

    fn progress(&self) -> &Progress {
        &self.run.effect(&"sub".into()).unwrap().progress
    }
}

fn timing() -> Timing {
    Timing::default()
}

fn gone() -> Seen {
    Seen::Gone {
        answer: failure(FailureClass::NotRelated),
    }
}

fn present() -> Seen {
    Seen::Present {
        relationship: "reseller".to_owned(),
    }
}

fn minutes(n: i64) -> SignedDuration {
    SignedDuration::from_mins(n)
}

/// How a step ends the run or turns it back, if it does.
fn ending(step: &Step) -> Option<(Ending, EndReason)> {
    let Step::Record(bodies) = step else {
        return None;
    };
    bodies.iter().find_map(|body| match body {
        EventBody::Ended { ending, reason, .. } => Some((*ending, *reason)),
        EventBody::RestoringBegan { to, reason, .. } => Some((*to, *reason)),
        _ => None,
    })
}

#[test]
fn doubt_about_a_sent_suspension_outlives_a_throttled_read() {
    let case = Case::one()
        .intend()
        .unsettled(FailureClass::Unavailable, true)
        .intend()
        .unsettled(FailureClass::Throttled, false)
        .cancel();
    assert_eq!(case.next(), Step::Settle(vec!["sub".into()]));
}

#[test]
fn a_read_that_failed_before_sending_leaves_no_doubt() {
    let case = Case::one()
        .intend()
        .unsettled(FailureClass::Unavailable, false);
    let effect = case.run.effect(&"sub".into()).unwrap();
    let found = ChangeResult::FoundDone(suspended().fields());
    let EventBody::EffectDone { how, .. } = case.run.judge_change(effect, found, case.now) else {
        panic!("it is done");
    };
    assert_eq!(how, DoneHow::ByOthers);
    let cancelled = case.cancel();
    assert_eq!(
        ending(&cancelled.next()),
        Some((Ending::Cancelled, EndReason::CancelledByCaller))
    );
}

#[test]
fn what_was_not_sent_is_no_doubt_whatever_failed_before_and_waits() {
    let mut case = Case::one().say(EventBody::Deferred {
        failure: failure(FailureClass::Unavailable),
        retry_at: start(),
    });
    for _ in 0..2 {
        case = case.intend().say(EventBody::EffectsNotSent {
            ids: vec!["sub".into()],
            why: "the gate was closed".to_owned(),
        });
        assert!(!case.run.effect(&"sub".into()).unwrap().outcome_missing());
        case = case.look(vec![legacy("sub", None)]);
        assert!(matches!(case.next(), Step::Rest { .. }));
        assert!(case.run.waiting(case.now, &timing()).is_some());
    }
}

#[test]
fn a_list_that_lags_behind_does_not_make_ours_somebody_elses() {
    let case = Case::one()
        .intend()
        .done(DoneHow::Sent)
        .look(vec![legacy("sub", None)]);
    assert_eq!(*case.progress(), Progress::Todo);
    let effect = case.run.effect(&"sub".into()).unwrap();
    let found = ChangeResult::FoundDone(suspended().fields());
    let EventBody::EffectDone { how, .. } = case.run.judge_change(effect, found, case.now) else {
        panic!("it is done");
    };
    assert_eq!(how, DoneHow::FoundAfterSending);
    // And turning back in between reads first.
    assert_eq!(case.cancel().next(), Step::Settle(vec!["sub".into()]));
}

#[test]
fn what_is_undone_again_and_again_is_not_done_again_at_once() {
    let mut case = Case::one();
    for _ in 0..2 {
        case = case
            .intend()
            .done(DoneHow::Sent)
            .look(vec![legacy("sub", None)]);
    }
    assert!(matches!(case.next(), Step::Rest { until } if until > case.now));
}

#[test]
fn not_related_to_one_call_leads_to_a_snapshot_that_says_by_others() {
    let case = Case::one().intend();
    let effect = case.run.effect(&"sub".into()).unwrap().clone();
    let answer = ChangeResult::Unread(failure(FailureClass::NotRelated));
    let body = case.run.judge_change(&effect, answer, case.now);
    let mut case = case.say(body).after(SignedDuration::from_secs(2));
    assert_eq!(case.next(), Step::Snapshot);
    let mut seen = snapshot(vec![], case.now);
    seen.standing.value = Ok(super::super::snapshot::Standing::NotRelated(failure(
        FailureClass::NotRelated,
    )));
    let Judgement::Events(bodies) = case.run.judge_snapshot(&seen, case.now, &timing()) else {
        panic!("it was seen before");
    };
    for body in bodies {
        case = case.say(body);
    }
    let by = RemovedBy::Others;
    assert_eq!(case.run.removal.progress, RemovalProgress::Done { by });
}

#[test]
fn a_removal_refused_for_now_is_tried_for_an_hour_and_then_given_up() {
    let case = Case::none()
        .say(EventBody::RemovalIntended)
        .refused(FailureClass::Forbidden);
    assert!(!case.run.removal_stands());
    assert_eq!(ending(&case.next()), None);
    let later = case.look(vec![]).after(minutes(61));
    assert_eq!(
        ending(&later.next()),
        Some((Ending::Failed, EndReason::UpstreamRefused))
    );
}

#[test]
fn a_blocker_after_a_refused_removal_ends_a_run_that_changed_nothing() {
    let case = Case::none()
        .say(EventBody::RemovalIntended)
        .refused(FailureClass::Throttled)
        .look(vec![legacy("bought", None)]);
    assert_eq!(case.run.state, State::Failed);
}

#[test]
fn a_removal_that_was_refused_and_then_not_sent_is_not_unknown() {
    let case = Case::none()
        .say(EventBody::RemovalIntended)
        .refused(FailureClass::Throttled)
        .say(EventBody::RemovalIntended)
        .say(EventBody::RemovalNotSent {
            why: "the gate was closed".to_owned(),
        });
    assert_eq!(case.run.removal.progress, RemovalProgress::None);
    assert!(matches!(case.next(), Step::Rest { .. }));
}

#[test]
fn an_unknown_removal_stays_unknown_when_a_later_attempt_is_refused_for_now() {
    let case = Case::none()
        .say(EventBody::RemovalIntended)
        .unknown()
        .still_there()
        .say(EventBody::RemovalIntended)
        .refused(FailureClass::Throttled);
    assert_eq!(case.run.removal.progress, RemovalProgress::MayResend);
    assert!(case.run.removal_stands());
    let at_the_window = case.after(minutes(15));
    let expected = (Ending::Unconfirmed, EndReason::RemovalOutcomeUnknown);
    assert_eq!(ending(&at_the_window.next()), Some(expected));
}

#[test]
fn a_removal_is_not_sent_again_on_an_old_look() {
    let case = Case::none()
        .say(EventBody::RemovalIntended)
        .unknown()
        .still_there()
        .after(minutes(5))
        .look(vec![]);
    assert_eq!(case.next(), Step::LookUpRemoval);
    assert_eq!(case.still_there().next(), Step::Remove);
}

#[test]
fn while_a_removal_is_unknown_nothing_is_suspended_and_the_wait_ends_with_the_window() {
    let case = Case::one()
        .intend()
        .done(DoneHow::Sent)
        .say(EventBody::RemovalIntended)
        .unknown()
        .still_there()
        .look(vec![legacy("sub", None)]);
    assert_eq!(case.run.state, State::Blocked);
    let window = later(start(), minutes(15));
    assert_eq!(
        case.run.waiting(case.now, &timing()).unwrap().until,
        Some(window)
    );
    let mut case = case;
    while case.now < window {
        let Step::Rest { until } = case.next() else {
            case = case.look(vec![legacy("sub", None)]);
            continue;
        };
        assert!(until <= window);
        case.now = until;
    }
    assert_eq!(ending(&case.next()).unwrap().0, Ending::Unconfirmed);
}

#[test]
fn what_a_worker_without_its_claim_says_undoes_no_newer_intent() {
    let intended = Case::none().say(EventBody::RemovalIntended);
    let late = intended.by(
        Writer::Control,
        EventBody::RemovalRefused {
            failure: failure(FailureClass::Throttled),
            retry_at: Some(start()),
        },
    );
    assert_eq!(late.next(), Step::LookUpRemoval);
    let suspended = Case::one().intend().by(
        Writer::Control,
        EventBody::EffectsNotSent {
            ids: vec!["sub".into()],
            why: "the claim was lost".to_owned(),
        },
    );
    assert_eq!(*suspended.progress(), Progress::Intended { fence: FENCE });
}

#[test]
fn once_a_removal_stands_a_cancellation_turns_nothing_back() {
    let case = Case::none().say(EventBody::RemovalIntended).cancel();
    assert_eq!(case.run.restoring, None);
    assert_eq!(case.next(), Step::LookUpRemoval);
}

#[test]
fn however_long_upstream_asks_to_wait_the_deadline_is_not_slept_through() {
    let case = Case::one().intend().done(DoneHow::Sent);
    let mut forever = failure(FailureClass::Throttled);
    forever.retry_after_ms = Some(u64::MAX / 2_000_000);
    let body = case.run.deferred(forever, case.now);
    let case = case.say(body);
    let deadline = later(start(), SignedDuration::from_hours(24));
    assert_eq!(case.next(), Step::Rest { until: deadline });
    let waiting = case.run.waiting(case.now, &timing()).unwrap();
    assert_eq!(
        (waiting.on, waiting.until),
        (Party::Microsoft, Some(deadline))
    );
}

#[test]
fn a_snapshot_too_slow_to_act_on_is_waited_for_and_not_taken_without_end() {
    let case = Case::none();
    let seen = snapshot(vec![], case.now);
    let case = case.after(minutes(3));
    let Judgement::Events(bodies) = case.run.judge_snapshot(&seen, case.now, &timing()) else {
        panic!("needs no proof");
    };
    assert!(
        matches!(bodies[..], [EventBody::Deferred { .. }]),
        "{bodies:?}"
    );
}

#[test]
fn a_snapshot_clears_the_way_under_its_own_claim_and_not_for_long() {
    let case = Case::none().look(vec![]);
    assert_eq!(case.next(), Step::Remove);
    assert_eq!(
        case.run.next_step(case.now, FENCE + 1, &timing()),
        Step::Snapshot
    );
    assert_eq!(case.after(minutes(3)).next(), Step::Snapshot);
}

#[test]
fn witnesses_that_change_their_mind_begin_again() {
    let second = SignedDuration::from_secs(60);
    let removed = Case::none()
        .say(EventBody::RemovalIntended)
        .say(EventBody::RemovalAnswered);
    let case = removed
        .observed(gone(), Some(Listed::Absent))
        .after(second)
        .observed(present(), None)
        .after(second)
        .observed(gone(), Some(Listed::Absent));
    assert_eq!(ending(&case.next()), None, "one look since it was there");
    let listed = case.after(second).observed(gone(), Some(Listed::Present));
    assert_eq!(listed.run.verification.as_ref().unwrap().first_gone, None);
    let confirmed = listed
        .after(second)
        .observed(gone(), Some(Listed::Absent))
        .after(second)
        .observed(gone(), None);
    assert_eq!(
        ending(&confirmed.next()),
        Some((Ending::Succeeded, EndReason::Removed))
    );
}

#[test]
fn verification_ends_with_a_look_and_not_with_a_pause() {
    let removed = Case::none()
        .say(EventBody::RemovalIntended)
        .say(EventBody::RemovalAnswered);
    let down = removed
        .observed(gone(), Some(Listed::Absent))
        .after(minutes(90));
    assert_eq!(down.next(), Step::Observe);
    let confirmed = down.observed(gone(), None);
    assert_eq!(ending(&confirmed.next()).unwrap().0, Ending::Succeeded);
    let removed = Case::none()
        .say(EventBody::RemovalIntended)
        .say(EventBody::RemovalAnswered);
    let never = removed
        .after(minutes(31))
        .observed(present(), None)
        .after(minutes(3));
    let expected = (Ending::Unconfirmed, EndReason::NotConfirmedInTime);
    assert_eq!(ending(&never.next()), Some(expected));
}

#[test]
fn restoring_puts_back_field_by_field_what_nobody_changed_since() {
    let case = Case::one().intend();
    let after = ChangeableFields {
        auto_renew: Some(false),
        ..suspended().fields()
    };
    let case = case.say(EventBody::EffectDone {
        id: "sub".into(),
        how: DoneHow::Sent,
        after: Some(after.clone()),
    });
    let effect = case.run.effect(&"sub".into()).unwrap();
    let before = effect.before.clone().unwrap();
    assert_eq!(before.auto_renew, Some(true));
    assert_eq!(case.run.restoration(effect, &after), Ok(before));
    let somebody = ChangeableFields {
        scheduled_actions: Some(serde_json::json!([{"actionType": "Cancel"}])),
        ..after
    };
    let back = case.run.restoration(effect, &somebody).unwrap();
    assert_eq!(back.status, SubscriptionStatus::Active);
    assert_eq!(back.scheduled_actions, somebody.scheduled_actions);
    let active = legacy("sub", None).fields();
    assert!(
        case.run.restoration(effect, &active).is_err(),
        "somebody reactivated it"
    );
}

#[test]
fn restoring_a_stale_resource_does_not_spin() {
    let mut case = Case::one().intend().done(DoneHow::Sent).cancel();
    for _ in 0..20 {
        if matches!(case.next(), Step::Rest { .. }) {
            return;
        }
        let effect = case.run.effect(&"sub".into()).unwrap().clone();
        let stale = ChangeResult::Failed(failure(FailureClass::StaleEtag));
        case = case.say(EventBody::RestoresIntended {
            ids: vec!["sub".into()],
        });
        let body = case.run.judge_restored(&effect, stale, case.now);
        case = case.say(body);
    }
    panic!("tried twenty times at the same moment");
}

#[test]
fn a_late_start_says_what_it_waits_for() {
    let mut later_on = request(SUSPEND);
    later_on.not_before = Some(later(start(), minutes(10)));
    let run = Offboarding::begin(&accepted(later_on, Basis::Unread, start())).unwrap();
    let case = Case { run, now: start() };
    assert_eq!(
        case.run.waiting(case.now, &timing()).unwrap().on,
        Party::Time
    );
    let case = case.after(minutes(10));
    let refused: UpstreamFailure = failure(FailureClass::Credentials);
    let body = case.run.deferred(refused, case.now);
    let waiting = case.say(body);
    let waiting = waiting.run.waiting(waiting.now, &timing()).unwrap();
    assert_eq!(waiting.on, Party::Partner);
    assert_eq!(waiting.until, Some(later(start(), minutes(70))));
}

#[test]
fn a_pause_that_no_answer_explains_is_explained_all_the_same() {
    // Crashed after the intent, and the audit cannot be read: no call of ours has failed yet.
    let case = Case::none().look(vec![]).say(EventBody::RemovalIntended);
    let retry_at = later(case.now, minutes(1));
    let case = case.say(EventBody::RemovalLookedUp {
        customer: Seen::Present {
            relationship: "reseller".to_owned(),
        },
        audit: AuditFinding::Unreadable {
            failure: failure(FailureClass::Unavailable),
        },
        retry_at,
    });
    assert_eq!(case.next(), Step::Rest { until: retry_at });
    let waiting = case.run.waiting(case.now, &timing()).unwrap();
    assert!(!waiting.message.is_empty());
    assert!(waiting.until.is_some());
}
