//! Fold: events → state. `apply` is the only way in which an offboarding changes.

use super::super::event::{
    Basis, EndReason, Ending, Event, EventBody, RemovalProof, SnapshotRecord, Writer,
};
use super::super::failure::UpstreamFailure;
use super::super::plan::Plan;
use super::super::time::Time;
use super::{
    BadLog, BlockedWait, Cancellation, Clearance, Deferral, Effect, KnownItem, Offboarding,
    Outcome, Progress, Removal, RemovedBy, Restoring, State,
};

impl Offboarding {
    /// Folds a whole log.
    ///
    /// # Errors
    /// [`BadLog`] when the log is not one that this program writes.
    pub fn fold<'a>(events: impl IntoIterator<Item = &'a Event>) -> Result<Self, BadLog> {
        let mut events = events.into_iter();
        let mut folded = Self::begin(events.next().ok_or(BadLog::NoAcceptance)?)?;
        for event in events {
            folded.apply(event)?;
        }
        Ok(folded)
    }

    /// The offboarding that an acceptance starts.
    ///
    /// # Errors
    /// [`BadLog::NoAcceptance`] when the event is another.
    pub fn begin(event: &Event) -> Result<Self, BadLog> {
        let EventBody::Accepted {
            request,
            request_id,
            caller,
            correlation,
            basis,
        } = &event.body
        else {
            return Err(BadLog::NoAcceptance);
        };
        if event.sequence != 1 {
            return Err(BadLog::Gap {
                after: 0,
                found: event.sequence,
            });
        }
        let mut new = Self {
            id: event.offboarding,
            sequence: 1,
            request: request.clone(),
            request_id: *request_id,
            caller: caller.clone(),
            correlation: *correlation,
            created: event.at,
            updated: event.at,
            state: State::Removing,
            state_since: event.at,
            plan_hash: None,
            effects: None,
            first_effect: None,
            customer_name: String::new(),
            items: Vec::new(),
            blockers: Vec::new(),
            clearance: None,
            blocked: None,
            deferral: None,
            removal: Removal::default(),
            verification: None,
            earlier: None,
            not_related: false,
            cancellation: None,
            restoring: None,
            outcome: None,
            last_failure: None,
        };
        match basis {
            Basis::Read { snapshot, plan } => {
                new.see(snapshot);
                new.freeze(plan, event.at);
                new.state = new.working_state();
            }
            Basis::Unread => {}
            Basis::AlreadyRemoved { proof } => {
                new.earlier = Some(proof.clone());
                if let RemovalProof::Audit { record } = proof {
                    new.start_verifying(event.at, RemovedBy::Earlier);
                    if let Some(verification) = &mut new.verification {
                        verification.audit = Some(record.clone());
                    }
                } else {
                    new.start_verifying(event.at, RemovedBy::Earlier);
                }
                new.state = State::Verifying;
            }
        }
        if new.verification.is_none()
            && request
                .not_before
                .is_some_and(|not_before| not_before > event.at)
        {
            new.state = State::Scheduled;
        }
        Ok(new)
    }

    /// Takes one more event.
    ///
    /// # Errors
    /// [`BadLog`] when the event cannot follow; the offboarding is then unchanged.
    pub fn apply(&mut self, event: &Event) -> Result<(), BadLog> {
        if event.sequence != self.sequence + 1 {
            return Err(BadLog::Gap {
                after: self.sequence,
                found: event.sequence,
            });
        }
        if self.outcome.is_some() || matches!(event.body, EventBody::Accepted { .. }) {
            return Err(BadLog::Misplaced(event.sequence));
        }
        self.sequence = event.sequence;
        self.updated = event.at;
        let before = self.state;
        self.take(event);
        if self.state != before {
            self.state_since = event.at;
        }
        Ok(())
    }

    fn take(&mut self, event: &Event) {
        let at = event.at;
        match &event.body {
            EventBody::Accepted { .. } => {}
            EventBody::SnapshotTaken {
                snapshot,
                standing,
                plan,
            } => {
                self.see(snapshot);
                if let Some(plan) = plan {
                    self.freeze(plan, at);
                }
                self.reopen(snapshot, at);
                self.blockers = standing.clone();
                self.deferral = None;
                self.clearance = None;
                if standing.is_empty() && self.restoring.is_none() {
                    self.blocked = None;
                    self.clearance = clearance(event.by, snapshot.began);
                    self.state = self.working_state();
                }
            }
            EventBody::Deferred { failure, retry_at } => {
                self.fail(at, failure);
                self.clearance = None;
                let (since, attempts) = self
                    .deferral
                    .as_ref()
                    .map_or((at, 0), |d| (d.since, d.attempts));
                self.deferral = Some(Deferral {
                    since,
                    retry_at: *retry_at,
                    attempts: attempts + 1,
                });
            }
            EventBody::EffectsIntended { .. }
            | EventBody::EffectsNotSent { .. }
            | EventBody::EffectDone { .. }
            | EventBody::EffectUnsettled { .. }
            | EventBody::EffectRefused { .. } => self.take_effect(event),
            EventBody::RestoresIntended { .. }
            | EventBody::RestoresNotSent { .. }
            | EventBody::Restored { .. }
            | EventBody::RestoreUnsettled { .. }
            | EventBody::NotRestored { .. } => self.take_restoration(event),
            EventBody::RemovalIntended
            | EventBody::RemovalNotSent { .. }
            | EventBody::RemovalAnswered
            | EventBody::RemovalFoundDone { .. }
            | EventBody::RemovalRefused { .. }
            | EventBody::RemovalUnknown { .. }
            | EventBody::RemovalLookedUp { .. } => self.take_removal(event),
            // Once turning back, nothing waits for blockers any more.
            EventBody::Blocked { .. } if self.restoring.is_some() => {}
            EventBody::Blocked { until, recheck_at } => {
                let looks = self.blocked.map_or(0, |wait| wait.looks);
                self.blocked = Some(BlockedWait {
                    until: *until,
                    recheck_at: *recheck_at,
                    looks: looks + 1,
                });
                self.state = State::Blocked;
            }
            EventBody::RemovedByOthers { .. } => {
                self.start_verifying(at, RemovedBy::Others);
                self.state = State::Verifying;
            }
            EventBody::FoundNotRelated { proof, .. } => {
                self.not_related = true;
                if let Some(proof) = proof {
                    self.earlier = Some(proof.clone());
                    self.start_verifying(at, RemovedBy::Earlier);
                    self.state = State::Verifying;
                }
            }
            EventBody::Observed { .. } => self.observe(event),
            EventBody::CancellationRequested { caller, reason } => {
                self.cancellation = Some(Cancellation {
                    caller: caller.clone(),
                    reason: reason.clone(),
                    at,
                });
                self.clearance = None;
                // Too late once a removal stands: what became of it comes first.
                if !self.removal_stands() {
                    self.turn_back(at, Ending::Cancelled, EndReason::CancelledByCaller, reason);
                }
            }
            EventBody::RestoringBegan {
                to,
                reason,
                message,
            } => {
                self.clearance = None;
                self.turn_back(at, *to, *reason, message);
            }
            EventBody::Ended {
                ending,
                reason,
                message,
            } => {
                self.state = (*ending).into();
                self.outcome = Some(Outcome {
                    ending: *ending,
                    reason: *reason,
                    message: message.clone(),
                    at,
                });
                self.deferral = None;
                self.blocked = None;
                self.clearance = None;
            }
        }
    }

    fn see(&mut self, record: &SnapshotRecord) {
        if !record.customer_name.is_empty() {
            self.customer_name = record.customer_name.clone();
        }
        for (kind, id) in &record.gone {
            self.items
                .retain(|item| !(item.kind == *kind && item.id == *id));
        }
        for item in &record.items {
            let known = KnownItem::of(item);
            match self
                .items
                .iter_mut()
                .find(|i| i.kind == known.kind && i.id == known.id)
            {
                Some(slot) => *slot = known,
                None => self.items.push(known),
            }
        }
    }

    fn freeze(&mut self, plan: &Plan, at: Time) {
        self.plan_hash = Some(plan.hash);
        self.effects = Some(
            plan.actions
                .iter()
                .map(|action| Effect {
                    action: action.clone(),
                    before: None,
                    attempts: 0,
                    progress: Progress::Todo,
                    updated: at,
                    in_doubt: false,
                    restore_attempts: 0,
                    restore_in_doubt: false,
                })
                .collect(),
        );
    }

    /// The working state that the effects ask for.
    fn working_state(&self) -> State {
        if self.effects.iter().flatten().any(Effect::is_open) {
            State::Clearing
        } else {
            State::Removing
        }
    }

    fn turn_back(&mut self, at: Time, to: Ending, reason: EndReason, message: &str) {
        self.state = State::Restoring;
        self.deferral = None;
        self.blocked = None;
        match &mut self.restoring {
            // A cancellation while turning back already changes the ending, not the reason's history.
            Some(restoring) => {
                restoring.to = to;
                restoring.reason = reason;
                restoring.message = message.to_owned();
            }
            None => {
                self.restoring = Some(Restoring {
                    began: at,
                    to,
                    reason,
                    message: message.to_owned(),
                });
            }
        }
    }

    pub(super) fn fail(&mut self, at: Time, failure: &UpstreamFailure) {
        self.last_failure = Some((at, failure.clone()));
    }
}

/// Only a worker's snapshot clears the way, and only under its own claim.
fn clearance(by: Writer, began: Time) -> Option<Clearance> {
    match by {
        Writer::Worker(fence) => Some(Clearance { fence, began }),
        Writer::Control => None,
    }
}
