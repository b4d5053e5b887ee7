//! Fold: events → state. `apply` is the only way in which an offboarding changes.

use super::super::blocker::ResourceKind;
use super::super::event::{
    AuditFinding, Basis, DoneHow, EndReason, Ending, Event, EventBody, Listed, RemovalProof, Seen,
    SnapshotRecord, Writer,
};
use super::super::failure::UpstreamFailure;
use super::super::ids::ResourceId;
use super::super::plan::Plan;
use super::super::subscription::ChangeableFields;
use super::super::time::Time;
use super::{
    BadLog, BlockedWait, Cancellation, Clearance, Deferral, Effect, KnownItem, Offboarding,
    Outcome, Progress, Removal, RemovalProgress, RemovedBy, Restoring, State, Verification,
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
        let fence = match event.by {
            Writer::Worker(fence) => fence,
            Writer::Control => 0,
        };
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
                if standing.is_empty() {
                    self.blocked = None;
                    self.clearance = Some(Clearance {
                        fence,
                        began: snapshot.began,
                    });
                    if self.restoring.is_none() {
                        self.state = self.working_state();
                    }
                } else {
                    self.clearance = None;
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
            EventBody::EffectsIntended { intents } => {
                self.first_effect.get_or_insert(at);
                self.state = State::Clearing;
                for intent in intents {
                    if let Some(effect) = self.effect_mut(&intent.action.resource.id) {
                        effect.before.get_or_insert_with(|| intent.before.clone());
                        effect.attempts += 1;
                        effect.progress = Progress::Intended { fence };
                        effect.updated = at;
                    }
                }
                self.clearance = None;
            }
            EventBody::EffectsNotSent { ids, .. } => {
                for id in ids {
                    self.not_sent(id, at);
                }
            }
            EventBody::EffectDone { id, how, after } => {
                self.clearance = None;
                let (how, after) = (*how, after.clone());
                self.set(id, at, |_| Progress::Done { how, after });
            }
            EventBody::EffectUnsettled {
                id,
                failure,
                retry_at,
            } => {
                self.fail(at, failure);
                self.clearance = None;
                self.set(id, at, |progress| Progress::Unsettled {
                    failure: failure.clone(),
                    retry_at: *retry_at,
                    // Once unknown, unknown until read.
                    maybe_done: failure.class.leaves_outcome_unknown()
                        || matches!(
                            progress,
                            Progress::Unsettled {
                                maybe_done: true,
                                ..
                            }
                        ),
                });
            }
            EventBody::EffectRefused { id, failure } => {
                self.fail(at, failure);
                self.clearance = None;
                self.set(id, at, |_| Progress::Refused {
                    failure: failure.clone(),
                });
            }
            EventBody::Blocked { until, recheck_at } => {
                let looks = self.blocked.map_or(0, |wait| wait.looks);
                self.blocked = Some(BlockedWait {
                    until: *until,
                    recheck_at: *recheck_at,
                    looks: looks + 1,
                });
                self.state = State::Blocked;
            }
            EventBody::RemovalIntended => {
                self.removal.attempts += 1;
                self.removal.first_intent.get_or_insert(at);
                self.removal.progress = RemovalProgress::Intended { fence };
                self.clearance = None;
                self.state = State::Removing;
            }
            EventBody::RemovalNotSent { .. } => {
                // An earlier attempt whose outcome is unknown stays unknown.
                self.removal.progress = if self.removal.attempts > 1 {
                    RemovalProgress::MayResend
                } else {
                    self.removal.attempts = 0;
                    self.removal.first_intent = None;
                    RemovalProgress::None
                };
            }
            EventBody::RemovalAnswered | EventBody::RemovalFoundDone { .. } => {
                let by = match &event.body {
                    // "Not related" on our very first try: somebody was faster.
                    EventBody::RemovalFoundDone { .. }
                        if self.removal.attempts <= 1
                            && matches!(
                                self.removal.progress,
                                RemovalProgress::Intended { .. }
                            ) =>
                    {
                        RemovedBy::Others
                    }
                    _ => RemovedBy::Us,
                };
                self.start_verifying(at, by);
                self.state = State::Verifying;
            }
            EventBody::RemovalRefused { failure, retry_at } => {
                self.fail(at, failure);
                self.removal.progress = match retry_at {
                    Some(retry_at) => {
                        self.deferral = Some(Deferral {
                            since: self.deferral.as_ref().map_or(at, |d| d.since),
                            retry_at: *retry_at,
                            attempts: self.deferral.as_ref().map_or(0, |d| d.attempts) + 1,
                        });
                        RemovalProgress::None
                    }
                    None => RemovalProgress::Refused {
                        failure: failure.clone(),
                    },
                };
            }
            EventBody::RemovalUnknown { failure } => {
                self.fail(at, failure);
                self.removal.progress = RemovalProgress::Unknown { retry_at: at };
            }
            EventBody::RemovalLookedUp {
                customer,
                audit,
                retry_at,
            } => {
                match (customer, audit) {
                    (Seen::Gone { .. }, _) | (_, AuditFinding::Removed { .. }) => {
                        self.start_verifying(at, RemovedBy::Us);
                        if let (AuditFinding::Removed { record }, Some(verification)) =
                            (audit, &mut self.verification)
                        {
                            verification.audit = Some(record.clone());
                        }
                        self.state = State::Verifying;
                    }
                    (Seen::Present { .. }, AuditFinding::Nothing) => {
                        self.removal.progress = RemovalProgress::MayResend;
                    }
                    _ => {
                        self.removal.progress = RemovalProgress::Unknown {
                            retry_at: *retry_at,
                        }
                    }
                };
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
                self.turn_back(at, Ending::Cancelled, EndReason::CancelledByCaller, reason);
            }
            EventBody::RestoringBegan {
                to,
                reason,
                message,
            } => {
                self.clearance = None;
                self.turn_back(at, *to, *reason, message);
            }
            EventBody::RestoresIntended { ids } => {
                for id in ids {
                    self.set(id, at, |progress| Progress::RestoreIntended {
                        fence,
                        after: left_by_us(&progress),
                    });
                }
            }
            EventBody::RestoresNotSent { ids, .. } => {
                for id in ids {
                    self.set(id, at, |progress| Progress::Done {
                        how: DoneHow::Sent,
                        after: left_by_us(&progress),
                    });
                }
            }
            EventBody::Restored { id, .. } => self.set(id, at, |_| Progress::Restored),
            EventBody::RestoreUnsettled {
                id,
                failure,
                retry_at,
            } => {
                self.fail(at, failure);
                self.set(id, at, |progress| Progress::RestoreUnsettled {
                    failure: failure.clone(),
                    retry_at: *retry_at,
                    after: left_by_us(&progress),
                });
            }
            EventBody::NotRestored { id, why } => {
                self.set(id, at, |_| Progress::NotRestored { why: why.clone() });
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
                })
                .collect(),
        );
    }

    /// What a complete snapshot says about effects that were thought settled: somebody may have undone
    /// them, or done what we had not begun.
    fn reopen(&mut self, snapshot: &SnapshotRecord, at: Time) {
        if !snapshot.complete {
            return;
        }
        let stands = |id: &ResourceId| {
            snapshot
                .blockers
                .iter()
                .any(|b| b.resource.kind == ResourceKind::Subscription && b.resource.id == *id)
        };
        let ours: Vec<ResourceId> = self
            .effects
            .iter()
            .flatten()
            .filter(|effect| {
                effect.outcome_missing()
                    || matches!(effect.progress, Progress::Done { how, .. } if how.is_ours())
            })
            .map(|effect| effect.action.resource.id.clone())
            .collect();
        for effect in self.effects.iter_mut().flatten() {
            let next = match (&effect.progress, stands(&effect.action.resource.id)) {
                (Progress::Done { .. }, true) => Progress::Todo,
                (Progress::Todo, false) => {
                    let with_parent = effect
                        .action
                        .parent
                        .as_ref()
                        .is_some_and(|parent| ours.contains(parent));
                    let how = if with_parent {
                        DoneHow::WithParent
                    } else {
                        DoneHow::ByOthers
                    };
                    Progress::Done { how, after: None }
                }
                _ => continue,
            };
            effect.progress = next;
            effect.updated = at;
        }
    }

    /// An intended effect stayed unsent: it is to do again, and as unknown as it was before.
    fn not_sent(&mut self, id: &ResourceId, at: Time) {
        let unknown = self.last_failure.clone();
        let Some(effect) = self.effect_mut(id) else {
            return;
        };
        effect.progress = match unknown {
            Some((_, failure)) if effect.attempts > 1 => Progress::Unsettled {
                failure,
                retry_at: at,
                maybe_done: true,
            },
            _ if effect.attempts > 1 => Progress::Intended { fence: 0 },
            _ => Progress::Todo,
        };
        effect.updated = at;
    }

    /// The working state that the effects ask for.
    fn working_state(&self) -> State {
        if self.effects.iter().flatten().any(Effect::is_open) {
            State::Clearing
        } else {
            State::Removing
        }
    }

    fn start_verifying(&mut self, at: Time, by: RemovedBy) {
        self.removal.progress = RemovalProgress::Done { by };
        self.deferral = None;
        self.blocked = None;
        self.blockers.clear();
        self.verification = Some(Verification {
            began: at,
            looks: 0,
            next_at: at,
            first_gone: None,
            last_gone: None,
            unlisted: None,
            audit: None,
            support_contact: None,
            subscriptions: None,
        });
    }

    fn observe(&mut self, event: &Event) {
        let EventBody::Observed {
            began,
            customer,
            listed,
            audit,
            support_contact,
            subscriptions,
            next_at,
        } = &event.body
        else {
            return;
        };
        let Some(seen) = &mut self.verification else {
            return;
        };
        seen.looks += 1;
        seen.next_at = *next_at;
        match customer {
            Seen::Gone { .. } => {
                seen.first_gone.get_or_insert(*began);
                seen.last_gone = Some(*began);
                match listed {
                    Some(Listed::Absent) => seen.unlisted = Some(*began),
                    // Still listed: reading the customer may have lied.
                    Some(Listed::Present) => {
                        seen.first_gone = None;
                        seen.last_gone = None;
                        seen.unlisted = None;
                    }
                    Some(Listed::Unreadable { .. }) | None => {}
                }
            }
            Seen::Present { .. } => {
                seen.first_gone = None;
                seen.last_gone = None;
                seen.unlisted = None;
            }
            // Says nothing either way.
            Seen::Unreadable { .. } => {}
        }
        if let Some(record) = audit {
            seen.audit = Some(record.clone());
        }
        if support_contact.is_some() {
            seen.support_contact = support_contact.clone();
        }
        if subscriptions.is_some() {
            seen.subscriptions = subscriptions.clone();
        }
        if let Seen::Unreadable { failure } = customer {
            let failure = failure.clone();
            self.fail(event.at, &failure);
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

    fn fail(&mut self, at: Time, failure: &UpstreamFailure) {
        self.last_failure = Some((at, failure.clone()));
    }

    fn effect_mut(&mut self, id: &ResourceId) -> Option<&mut Effect> {
        self.effects
            .iter_mut()
            .flatten()
            .find(|effect| effect.action.resource.id == *id)
    }

    fn set(&mut self, id: &ResourceId, at: Time, next: impl FnOnce(Progress) -> Progress) {
        if let Some(effect) = self.effect_mut(id) {
            let before = std::mem::replace(&mut effect.progress, Progress::Todo);
            effect.progress = next(before);
            effect.updated = at;
        }
    }
}

/// The fields that our effect left behind, carried through restoring.
fn left_by_us(progress: &Progress) -> Option<ChangeableFields> {
    match progress {
        Progress::Done { after, .. }
        | Progress::RestoreIntended { after, .. }
        | Progress::RestoreUnsettled { after, .. } => after.clone(),
        _ => None,
    }
}
