//! Worker: carries an offboarding's steps out against the model and checks the invariants as it goes.

use jiff::SignedDuration;

use super::super::blocker::blockers;
use super::super::event::{Basis, Ending, Event, EventBody, RemovalProof, Request, Seen, Writer};
use super::super::failure::FailureClass;
use super::super::ids::{CallerId, ResourceId};
use super::super::judge::{ChangeResult, Judgement, record};
use super::super::offboarding::{Effect, Offboarding, Progress, RemovalProgress, State};
use super::super::plan::plan;
use super::super::policy::Policy;
use super::super::snapshot::Snapshot;
use super::super::step::{Step, Timing, later};
use super::super::subscription::{ChangeableFields, SubscriptionStatus};
use super::super::time::Time;
use super::upstream::{By, Upstream, customer, failure, partner, tick};

/// Steps that a run may take while the clock stands still.
const STEPS_WITHOUT_TIME: u32 = 60;
/// Steps that a run may take in all.
const STEPS: u32 = 6_000;

pub(in crate::domain) struct Run {
    pub(in crate::domain) upstream: Upstream,
    pub(in crate::domain) now: Time,
    pub(in crate::domain) log: Vec<Event>,
    stored: Offboarding,
    ahead: Offboarding,
    pending: Vec<EventBody>,
    fence: u64,
    snapshot: Option<Snapshot>,
    /// Outcomes that a worker without its claim has still to tell.
    late: Vec<EventBody>,
    timing: Timing,
    /// Suspended by others while a lagging list still said active: an intent whose outcome is lost makes
    /// it look like our doing, and the rule says so (design: found suspended after our intent).
    lookalikes: Vec<ResourceId>,
}

pub(in crate::domain) fn start() -> Time {
    "2026-03-01T12:00:00Z".parse().unwrap()
}

pub(in crate::domain) fn request(policy: Policy) -> Request {
    Request {
        partner: partner(),
        customer: customer(),
        policy,
        not_before: None,
        plan_hash: None,
        reason: "the contract ended".to_owned(),
        labels: Default::default(),
        references: Vec::new(),
    }
}

pub(in crate::domain) fn accepted(request: Request, basis: Basis, at: Time) -> Event {
    let id = "33333333-0000-4000-8000-000000000003";
    Event {
        format: 1,
        offboarding: id.parse().unwrap(),
        sequence: 1,
        at,
        by: Writer::Control,
        body: EventBody::Accepted {
            request,
            request_id: id.parse().unwrap(),
            caller: CallerId::local(),
            correlation: id.parse().unwrap(),
            basis,
        },
    }
}

impl Run {
    /// A run accepted now, with or without reading upstream.
    pub(in crate::domain) fn accept(mut upstream: Upstream, policy: Policy, unread: bool) -> Self {
        let now = start();
        let request = Request {
            not_before: unread.then(|| later(now, SignedDuration::from_hours(1))),
            ..request(policy)
        };
        let always = upstream.tape.always.take();
        let basis = if unread {
            Basis::Unread
        } else {
            let snapshot = upstream.snapshot(now);
            let plan = plan(&snapshot, policy, now);
            Basis::Read {
                snapshot: Box::new(record(&[], &snapshot, &plan.blockers)),
                plan: Box::new(plan),
            }
        };
        upstream.tape.always = always;
        let event = accepted(request, basis, now);
        let stored = Offboarding::begin(&event).unwrap();
        Self {
            upstream,
            now,
            log: vec![event],
            ahead: stored.clone(),
            stored,
            pending: Vec::new(),
            fence: 1,
            snapshot: None,
            late: Vec::new(),
            timing: Timing::default(),
            lookalikes: Vec::new(),
        }
    }

    fn seal(&self, on: &Offboarding, by: Writer, body: EventBody) -> Event {
        Event {
            format: 1,
            offboarding: on.id,
            sequence: on.sequence + 1,
            at: self.now.max(on.updated),
            by,
            body,
        }
    }

    fn decide(&mut self, bodies: Vec<EventBody>) {
        for body in bodies {
            let event = self.seal(&self.ahead, Writer::Worker(self.fence), body.clone());
            self.ahead.apply(&event).unwrap();
            self.pending.push(body);
        }
    }

    fn append(&mut self, by: Writer, bodies: Vec<EventBody>) {
        for body in bodies {
            let event = self.seal(&self.stored, by, body);
            self.stored.apply(&event).unwrap();
            self.log.push(event);
            self.check_appended();
        }
        self.ahead = self.stored.clone();
    }

    fn commit(&mut self) -> bool {
        let bodies = std::mem::take(&mut self.pending);
        if self.upstream.tape.once_in(25) && self.cancel() {
            self.ahead = self.stored.clone();
            return false;
        }
        self.append(Writer::Worker(self.fence), bodies);
        true
    }

    /// A caller cancels, if that is still possible.
    pub(in crate::domain) fn cancel(&mut self) -> bool {
        let stored = &self.stored;
        if stored.removal_stands() || stored.cancellation.is_some() || stored.outcome.is_some() {
            return false;
        }
        self.append(
            Writer::Control,
            vec![EventBody::CancellationRequested {
                caller: CallerId::local(),
                reason: "changed our minds".to_owned(),
            }],
        );
        true
    }

    fn crash(&mut self) {
        self.fence += 1;
        self.pending.clear();
        self.snapshot = None;
        self.ahead = self.stored.clone();
    }

    /// Outcomes go to the log, come late because the claim was lost, or never.
    fn outcomes(&mut self, bodies: Vec<EventBody>) {
        match self.upstream.tape.choose(30) {
            28 => {
                self.late.extend(bodies);
                self.crash();
            }
            29 => self.crash(),
            _ => self.append(Writer::Worker(self.fence), bodies),
        }
    }

    fn touched(&self) -> Vec<ResourceId> {
        let mut ids: Vec<ResourceId> = Vec::new();
        for event in &self.log {
            if let EventBody::EffectsIntended { intents } = &event.body {
                ids.extend(intents.iter().map(|i| i.action.resource.id.clone()));
            }
        }
        ids
    }

    fn meanwhile(&mut self) {
        if self.upstream.tape.once_in(10) {
            let touched = self.touched();
            self.upstream.adversary(self.now, &touched);
        }
        self.now = tick(&mut self.upstream.tape, self.now);
        if self.upstream.tape.once_in(30) {
            self.crash();
        }
        if self.pending.is_empty() && self.upstream.tape.once_in(40) && self.cancel() {
            self.ahead = self.stored.clone();
        }
        if self.pending.is_empty() && self.upstream.tape.once_in(3) {
            let late = std::mem::take(&mut self.late);
            if self.stored.outcome.is_none() {
                self.append(Writer::Control, late);
            }
        }
    }

    /// Runs to the end.
    pub(in crate::domain) fn run(&mut self) {
        let mut still = 0;
        let mut trail: Vec<String> = Vec::new();
        for _ in 0..STEPS {
            let before = self.now;
            self.meanwhile();
            let step = self.ahead.next_step(self.now, self.fence, &self.timing);
            trail.push(format!("{} {step:?}", self.now));
            let done = self.carry_out(step);
            if done {
                self.check_end();
                return;
            }
            still = if self.now > before { 0 } else { still + 1 };
            assert!(
                still < STEPS_WITHOUT_TIME,
                "busy without end: {:#?}",
                &trail[trail.len().saturating_sub(20)..]
            );
        }
        panic!("no end: {:#?}", &trail[trail.len().saturating_sub(20)..]);
    }

    fn carry_out(&mut self, step: Step) -> bool {
        match step {
            Step::Ended => {
                let committed = self.commit();
                return committed && self.stored.outcome.is_some();
            }
            Step::Rest { until } => {
                assert!(until > self.now, "a rest that has passed");
                if self.commit() {
                    let waiting = self.stored.waiting(self.now, &self.timing);
                    assert!(
                        waiting.as_ref().is_some_and(|w| !w.message.is_empty()),
                        "rests in {} and says nothing",
                        self.stored.state
                    );
                    // Stored a moment after it was decided, so due no earlier.
                    let due = self
                        .stored
                        .due(self.now, &self.timing)
                        .expect("it has not ended");
                    assert!(due >= until, "due at {due}, rests until {until}");
                    self.now = due;
                }
            }
            Step::Record(bodies) => {
                let before = self.ahead.clone();
                self.decide(bodies);
                assert_ne!(
                    self.ahead.next_step(self.now, self.fence, &self.timing),
                    before.next_step(self.now, self.fence, &self.timing),
                    "a record that changes nothing"
                );
            }
            Step::Snapshot => self.take_snapshot(),
            Step::Effects(ids) => {
                let snapshot = self.snapshot.clone().expect("a clearance of this claim");
                let intents = self.ahead.intents(&ids, &snapshot);
                for id in &ids {
                    let by_others = self.upstream.find(id).is_some_and(|(s, by)| {
                        *by == By::Others && s.status == SubscriptionStatus::Suspended
                    });
                    if by_others {
                        self.lookalikes.push(id.clone());
                    }
                }
                let before = self.ahead.clone();
                self.decide(vec![EventBody::EffectsIntended { intents }]);
                if self.commit() {
                    self.send_effects(&before, &ids);
                }
            }
            Step::Settle(ids) => {
                if self.commit() {
                    let before = self.stored.clone();
                    let mut bodies = Vec::new();
                    for effect in effects_of(&before, &ids) {
                        let read = self.upstream.read(&effect.action.resource.id);
                        bodies.push(before.judge_settled(&effect, read, self.now));
                    }
                    self.outcomes(bodies);
                }
            }
            Step::Restore(ids) => {
                let before = self.ahead.clone();
                self.decide(vec![EventBody::RestoresIntended { ids: ids.clone() }]);
                if self.commit() {
                    self.send_restores(&before, &ids);
                }
            }
            Step::Remove => {
                self.decide(vec![EventBody::RemovalIntended]);
                if self.commit() {
                    self.check_before_removal();
                    let result = self.upstream.remove(self.now);
                    let body = self.stored.judge_removal(result, self.now);
                    self.outcomes(vec![body]);
                }
            }
            Step::LookUpRemoval => {
                if self.commit() {
                    let since = self.stored.removal.first_intent.unwrap();
                    let seen = self.upstream.seen();
                    let audit = self.upstream.audit(since);
                    let bodies = self
                        .stored
                        .judge_lookup(seen, audit, self.now, &self.timing);
                    self.decide(bodies);
                }
            }
            Step::Observe => {
                if self.commit() {
                    let customer = self.upstream.seen();
                    let gone = matches!(customer, Seen::Gone { .. });
                    let listed = gone.then(|| self.upstream.listed());
                    let next_at = self.stored.next_look(self.now, gone, &self.timing);
                    self.decide(vec![EventBody::Observed {
                        began: self.now,
                        customer,
                        listed,
                        audit: None,
                        support_contact: None,
                        subscriptions: None,
                        next_at,
                    }]);
                }
            }
        }
        false
    }

    fn take_snapshot(&mut self) {
        let began = self.now;
        let snapshot = self.upstream.snapshot(began);
        if self.upstream.tape.once_in(20) {
            // A slow one.
            self.now = later(self.now, SignedDuration::from_mins(3));
        }
        let bodies = match self.ahead.judge_snapshot(&snapshot, self.now, &self.timing) {
            Judgement::Events(bodies) => bodies,
            Judgement::NeedsProof(answer) => {
                let id = self.ahead.id;
                let proven = self.upstream.tape.once_in(2);
                let proof = proven.then_some(RemovalProof::EarlierRun { id });
                vec![Offboarding::found_not_related(answer, proof)]
            }
        };
        self.snapshot = Some(snapshot);
        self.decide(bodies);
    }

    fn send_effects(&mut self, before: &Offboarding, ids: &[ResourceId]) {
        // A decision recorded between the intent and the send closes the gate.
        let closed = self.upstream.tape.once_in(25) && self.cancel();
        let mut bodies = Vec::new();
        for effect in effects_of(before, ids) {
            let id = effect.action.resource.id.clone();
            let result = match self.upstream.read(&id) {
                Err(failure) => ChangeResult::Unread(failure),
                Ok(fields) if fields.status == SubscriptionStatus::Active && closed => {
                    ChangeResult::NotSent("somebody recorded a decision".to_owned())
                }
                Ok(fields) if fields.status == SubscriptionStatus::Active => {
                    self.check_before_effect(&id);
                    let to = ChangeableFields {
                        status: SubscriptionStatus::Suspended,
                        ..fields
                    };
                    self.upstream.change(&id, &to)
                }
                Ok(fields) if fields.status == SubscriptionStatus::Suspended => {
                    ChangeResult::FoundDone(fields)
                }
                Ok(_) => ChangeResult::Unread(failure(FailureClass::Pending)),
            };
            bodies.push(before.judge_change(&effect, result, self.now));
        }
        self.outcomes(bodies);
    }

    fn send_restores(&mut self, before: &Offboarding, ids: &[ResourceId]) {
        let mut bodies = Vec::new();
        for effect in effects_of(before, ids) {
            let id = effect.action.resource.id.clone();
            let body = match self.upstream.read(&id) {
                Err(failure) => {
                    before.judge_restored(&effect, ChangeResult::Unread(failure), self.now)
                }
                Ok(found) => match before.restoration(&effect, &found) {
                    Err(body) => *body,
                    Ok(to) => {
                        let (_, by) = self.upstream.find(&id).unwrap();
                        assert!(
                            *by == By::Us || self.lookalikes.contains(&id),
                            "{id} is not ours to put back"
                        );
                        let result = self.upstream.change(&id, &to);
                        before.judge_restored(&effect, result, self.now)
                    }
                },
            };
            bodies.push(body);
        }
        self.outcomes(bodies);
    }

    /// Intent before effect, and nothing new after a cancellation.
    fn check_before_effect(&self, id: &ResourceId) {
        let effect = self.stored.effect(id).expect("authorised");
        assert_eq!(
            effect.progress,
            Progress::Intended { fence: self.fence },
            "an effect without an intent of this claim"
        );
        assert!(
            self.stored.cancellation.is_none(),
            "an effect after a cancellation"
        );
        assert!(
            self.stored.restoring.is_none(),
            "an effect while turning back"
        );
        assert!(
            !self.stored.removal_stands(),
            "an effect while a removal stands"
        );
    }

    /// The removal rests on a fresh snapshot of this claim without any blocker.
    fn check_before_removal(&self) {
        assert_eq!(
            self.stored.removal.progress,
            RemovalProgress::Intended { fence: self.fence }
        );
        assert!(self.stored.restoring.is_none() && self.stored.cancellation.is_none());
        let mut before = self.log.iter().rev().skip(1);
        let basis = before
            .find(|event| !matches!(event.body, EventBody::RemovalLookedUp { .. }))
            .unwrap();
        let EventBody::SnapshotTaken {
            snapshot, standing, ..
        } = &basis.body
        else {
            panic!("a removal that follows {:?}", basis.body);
        };
        assert!(standing.is_empty() && snapshot.complete);
        assert_eq!(
            basis.by,
            Writer::Worker(self.fence),
            "another claim's snapshot"
        );
        let age = self.now.duration_since(snapshot.began);
        assert!(age <= self.timing.clearance_age, "{age:?} old");
        let effects = self.stored.effects.as_ref().unwrap();
        assert!(
            effects
                .iter()
                .all(|e| matches!(e.progress, Progress::Done { .. }))
        );
        assert!(snapshot.blockers.is_empty(), "{:?}", snapshot.blockers);
        let read = self.snapshot.as_ref().unwrap();
        assert!(blockers(read, self.now).is_empty());
        for outcome in before {
            let settled = matches!(
                outcome.body,
                EventBody::EffectDone { .. } | EventBody::EffectUnsettled { .. }
            );
            assert!(
                !settled || outcome.at <= snapshot.began,
                "older than the last effect"
            );
        }
        let intents = self
            .log
            .iter()
            .filter(|event| matches!(event.body, EventBody::RemovalIntended));
        if intents.count() > 1 && self.stored.removal.in_doubt {
            let first = self.stored.removal.first_intent.unwrap();
            assert!(self.now.duration_since(first) < self.timing.resend_window);
            let looked = self.stored.removal.looked_up.unwrap();
            let since = self.now.duration_since(looked);
            assert!(
                since <= self.timing.clearance_age,
                "looked for it {since:?} ago"
            );
        }
    }

    fn check_appended(&self) {
        let text = serde_json::to_string(&self.stored).unwrap();
        let read: Offboarding = serde_json::from_str(&text).unwrap();
        assert_eq!(read, self.stored, "the fold does not survive JSON");
        let event = self.log.last().unwrap();
        let read: Event = serde_json::from_value(serde_json::to_value(event).unwrap()).unwrap();
        assert_eq!(read, *event, "an event does not survive JSON");
        let cancelled = self
            .log
            .iter()
            .position(|e| matches!(e.body, EventBody::CancellationRequested { .. }));
        let new = matches!(
            event.body,
            EventBody::EffectsIntended { .. } | EventBody::RemovalIntended
        );
        assert!(!new || cancelled.is_none(), "begun after a cancellation");
    }

    fn check_end(&mut self) {
        assert_eq!(Offboarding::fold(&self.log).unwrap(), self.stored);
        let ended = self.stored.clone();
        assert!(ended.state.is_terminal());
        let much_later = later(self.now, SignedDuration::from_hours(10_000));
        assert_eq!(ended.next_step(much_later, 99, &self.timing), Step::Ended);
        assert_eq!(ended.due(much_later, &self.timing), None);
        assert_eq!(ended.waiting(self.now, &self.timing), None);
        for body in [EventBody::RemovalIntended, EventBody::RemovalAnswered] {
            let mut again = ended.clone();
            let event = self.seal(&ended, Writer::Worker(self.fence), body);
            assert!(again.apply(&event).is_err(), "something follows the end");
            assert_eq!(again, ended);
        }
        let outcome = ended.outcome.as_ref().unwrap();
        if matches!(outcome.ending, Ending::Failed | Ending::Cancelled) {
            for effect in ended.effects.iter().flatten() {
                let id = &effect.action.resource.id;
                assert!(!effect.outcome_missing(), "{id} ended without an outcome");
                let listed = matches!(effect.progress, Progress::NotRestored { .. });
                let ours = self.upstream.find(id).is_some_and(|(s, by)| {
                    *by == By::Us && s.status == SubscriptionStatus::Suspended
                });
                assert!(
                    !ours || listed,
                    "{id} was ours and is forgotten: {effect:?}"
                );
            }
        }
        if ended.state == State::Cancelled {
            assert!(ended.cancellation.is_some());
        }
    }

    pub(in crate::domain) fn ended(&self) -> &Offboarding {
        &self.stored
    }
}

fn effects_of(folded: &Offboarding, ids: &[ResourceId]) -> Vec<Effect> {
    ids.iter()
        .filter_map(|id| folded.effect(id))
        .cloned()
        .collect()
}
