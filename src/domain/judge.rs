//! Judge: what upstream answered → the events to record. The only place where answers become facts.

use jiff::SignedDuration;

use super::blocker::{Blocker, Reason};
use super::event::{
    AuditFinding, DoneHow, EndReason, Ending, EventBody, Intent, RemovalProof, Seen, SnapshotRecord,
};
use super::failure::{FailureClass, UpstreamFailure};
use super::ids::ResourceId;
use super::item::{Item, items};
use super::offboarding::{Effect, KnownItem, Offboarding, Progress, RemovalProgress};
use super::plan::{Plan, plan};
use super::snapshot::{Snapshot, Standing};
use super::step::{Timing, backoff, later};
use super::subscription::{ChangeableFields, SubscriptionStatus};
use super::time::Time;

/// What a snapshot means for an offboarding.
#[derive(Debug, Clone, PartialEq)]
pub enum Judgement {
    /// These events follow.
    Events(Vec<EventBody>),
    /// Upstream knows no relationship and we never saw one: look for a proof, then record
    /// [`EventBody::FoundNotRelated`].
    NeedsProof(UpstreamFailure),
}

/// What became of a changing call, in the domain's words.
#[derive(Debug, Clone, PartialEq)]
pub enum ChangeResult {
    /// Reading before sending showed that there was nothing to send.
    FoundDone(ChangeableFields),
    /// Sent, and upstream said so.
    Done(ChangeableFields),
    /// It never left.
    NotSent(String),
    /// Reading before sending failed: nothing was sent.
    Unread(UpstreamFailure),
    /// Sent, and this came of it.
    Failed(UpstreamFailure),
}

/// The record of a snapshot: items new or changed against those already known.
pub fn record(known: &[KnownItem], snapshot: &Snapshot, blockers: &[Blocker]) -> SnapshotRecord {
    let complete = snapshot.failures().is_empty();
    let seen = items(snapshot);
    let is_new = |item: &Item| {
        !known.iter().any(|k| {
            k.kind == item.resource.kind
                && k.id == item.resource.id
                && k.status == item.status
                && k.auto_renew == item.auto_renew
        })
    };
    let gone = known
        .iter()
        .filter(|_| complete)
        .filter(|k| {
            !seen
                .iter()
                .any(|i| i.resource.kind == k.kind && i.resource.id == k.id)
        })
        .map(|k| (k.kind, k.id.clone()))
        .collect();
    let customer_name = match snapshot.standing.get() {
        Some(Standing::Related(customer)) => customer.name.clone(),
        _ => String::new(),
    };
    SnapshotRecord {
        began: snapshot.began,
        complete,
        customer_name,
        items: seen.into_iter().filter(is_new).collect(),
        gone,
        blockers: blockers.to_vec(),
    }
}

impl Offboarding {
    /// Judges a snapshot taken for [`super::step::Step::Snapshot`].
    pub fn judge_snapshot(&self, snapshot: &Snapshot, now: Time, timing: &Timing) -> Judgement {
        if let Some(answer) = snapshot.not_related() {
            let answer = answer.clone();
            return if self.effects.is_none() {
                Judgement::NeedsProof(answer)
            } else if self.removal.progress == RemovalProgress::MayResend {
                Judgement::Events(vec![EventBody::RemovalFoundDone { answer }])
            } else {
                Judgement::Events(vec![EventBody::RemovedByOthers { answer }])
            };
        }
        let plan = plan(snapshot, self.request.policy, now);
        let standing = self.standing(&plan);
        // A removal that upstream certainly refused has changed nothing.
        let nothing_changed = self.first_effect.is_none() && !self.removal_stands();
        if nothing_changed && let Some(failure) = only_unreadable(snapshot, &standing) {
            return Judgement::Events(vec![self.deferred(failure, now)]);
        }
        let took = now.duration_since(snapshot.began);
        if standing.is_empty() && took > timing.clearance_age {
            // Too old already to act on: without a wait the next one would be no faster.
            let failure = UpstreamFailure::new(
                FailureClass::Unavailable,
                "reading the customer",
                format!("took {took:#}, longer than what was read counts"),
            );
            return Judgement::Events(vec![self.deferred(failure, now)]);
        }
        let recheck_at = self.recheck_at(&standing, now);
        let ending = (!standing.is_empty() && nothing_changed).then(|| refused_before(&standing));
        let waits = !standing.is_empty() && !nothing_changed;
        let until = self
            .deadline(timing)
            .unwrap_or_else(|| later(now, timing.max_suspended));
        let undone_again = self.undone_again(snapshot, &plan);
        let frozen = self.effects.is_some();
        let mut events = vec![EventBody::SnapshotTaken {
            snapshot: Box::new(record(&self.items, snapshot, &plan.blockers)),
            standing,
            plan: (!frozen).then(|| Box::new(plan)),
        }];
        if waits {
            events.push(EventBody::Blocked {
                until,
                recheck_at: recheck_at.min(until),
            });
        }
        if !waits && let Some(failure) = undone_again {
            events.push(failure_pause(failure, now));
        }
        events.extend(ending);
        Judgement::Events(events)
    }

    /// The blockers that the authorised actions do not clear. What the policy could clear but the
    /// accepted plan does not cover blocks as `PLAN_CHANGED`.
    fn standing(&self, plan: &Plan) -> Vec<Blocker> {
        let Some(effects) = &self.effects else {
            return plan.standing().cloned().collect();
        };
        if self.removal.progress == RemovalProgress::MayResend {
            // The removal may have taken effect and the customer come back: nothing is suspended now.
            return plan.blockers.clone();
        }
        let mut standing: Vec<Blocker> = plan.standing().cloned().collect();
        let outside = plan
            .blockers
            .iter()
            .filter(|b| b.clearable(self.request.policy))
            .filter(|b| {
                !effects.iter().any(|effect| {
                    effect.action.resource.kind == b.resource.kind
                        && effect.action.resource.id == b.resource.id
                })
            });
        standing.extend(outside.map(Blocker::outside_plan));
        standing.sort_by_key(Blocker::key);
        standing
    }

    /// An effect that was done more than once and is to be done again: somebody undoes it each time, or
    /// the list does not follow what single reads say. With how often it was tried.
    fn undone_again(&self, snapshot: &Snapshot, plan: &Plan) -> Option<(u32, UpstreamFailure)> {
        let again = self
            .effects
            .iter()
            .flatten()
            .filter(|effect| effect.attempts > 1 && snapshot.failures().is_empty())
            .filter(|effect| matches!(effect.progress, Progress::Done { .. }))
            .filter(|effect| {
                let resource = &effect.action.resource;
                plan.blockers
                    .iter()
                    .any(|b| b.resource.kind == resource.kind && b.resource.id == resource.id)
            })
            .max_by_key(|effect| effect.attempts)?;
        let name = &again.action.resource.name;
        let text = format!("{name} is listed as active though it was suspended");
        let call = "reading the subscriptions";
        Some((
            again.attempts,
            UpstreamFailure::new(FailureClass::Pending, call, text),
        ))
    }

    /// Waits after an upstream failure, the longer the more often it happened.
    pub fn deferred(&self, failure: UpstreamFailure, now: Time) -> EventBody {
        let retry_at = self.retry_at(now, &failure, self.deferrals());
        EventBody::Deferred { failure, retry_at }
    }

    fn deferrals(&self) -> u32 {
        self.deferral
            .as_ref()
            .map_or(0, |deferral| deferral.attempts)
    }

    /// When to look again at standing blockers: soon at first, then ever slower, but at the earliest
    /// date that one of them names.
    fn recheck_at(&self, standing: &[Blocker], now: Time) -> Time {
        let looks = self.blocked.map_or(0, |wait| wait.looks);
        let backed_off = later(
            now,
            backoff(SignedDuration::from_secs(5), looks, MAX_RECHECK),
        );
        standing
            .iter()
            .filter_map(|blocker| blocker.earliest)
            .filter(|at| *at > now)
            .min()
            .map_or(backed_off, |at| at.min(backed_off))
    }

    pub(super) fn retry_at(&self, now: Time, failure: &UpstreamFailure, attempts: u32) -> Time {
        let asked = failure
            .retry_after_ms
            .and_then(|ms| i64::try_from(ms).ok())
            .map_or(SignedDuration::ZERO, SignedDuration::from_millis);
        let ours = match failure.class {
            // Another read is all it takes, unless it goes on and on. "Not related" to one call is the
            // next snapshot's to confirm.
            FailureClass::StaleEtag | FailureClass::NotRelated if attempts < 4 => {
                SignedDuration::ZERO
            }
            // Documented: on renewal day try again after two minutes or more.
            FailureClass::Pending => backoff(
                SignedDuration::from_mins(2),
                attempts,
                SignedDuration::from_hours(1),
            ),
            class if class.is_ours() => backoff(
                SignedDuration::from_secs(10),
                attempts,
                SignedDuration::from_mins(10),
            ),
            _ => backoff(
                SignedDuration::from_secs(1),
                attempts,
                SignedDuration::from_mins(5),
            ),
        };
        later(now, asked.max(ours))
    }

    /// The intents for [`super::step::Step::Effects`], with the fields that the snapshot showed.
    pub fn intents(&self, ids: &[ResourceId], snapshot: &Snapshot) -> Vec<Intent> {
        let subscriptions = snapshot.all_subscriptions();
        ids.iter()
            .filter_map(|id| self.effect(id))
            .map(|effect| {
                let id = &effect.action.resource.id;
                let before = subscriptions.iter().find(|s| s.id == *id).map_or_else(
                    || ChangeableFields {
                        status: SubscriptionStatus::Active,
                        auto_renew: None,
                        next_term: None,
                        scheduled_actions: None,
                    },
                    |s| s.fields(),
                );
                Intent {
                    action: effect.action.clone(),
                    before,
                }
            })
            .collect()
    }

    /// Judges what became of one suspension. `effect` is as it was before this attempt's intent.
    pub fn judge_change(&self, effect: &Effect, result: ChangeResult, now: Time) -> EventBody {
        let id = effect.action.resource.id.clone();
        let sent = matches!(result, ChangeResult::Failed(_));
        match result {
            ChangeResult::Done(after) => EventBody::EffectDone {
                id,
                how: DoneHow::Sent,
                after: Some(after),
            },
            ChangeResult::FoundDone(after) => {
                let how = if effect.outcome_missing() {
                    DoneHow::FoundAfterSending
                } else if self.parent_is_ours(effect) {
                    DoneHow::WithParent
                } else {
                    DoneHow::ByOthers
                };
                EventBody::EffectDone {
                    id,
                    how,
                    after: Some(after),
                }
            }
            ChangeResult::NotSent(why) => EventBody::EffectsNotSent { ids: vec![id], why },
            ChangeResult::Unread(failure) | ChangeResult::Failed(failure) => match failure.class {
                FailureClass::ResourceNotFound => EventBody::EffectDone {
                    id,
                    how: DoneHow::Vanished,
                    after: None,
                },
                FailureClass::Refused
                | FailureClass::CustomerUnderReview
                | FailureClass::CustomerLocked => EventBody::EffectRefused { id, failure },
                // A customer that is gone shows in the next snapshot.
                _ => EventBody::EffectUnsettled {
                    id,
                    retry_at: self.retry_at(now, &failure, effect.attempts),
                    failure,
                    sent,
                },
            },
        }
    }

    fn parent_is_ours(&self, effect: &Effect) -> bool {
        effect
            .action
            .parent
            .as_ref()
            .and_then(|parent| self.effect(parent))
            .is_some_and(|parent| {
                parent.outcome_missing()
                    || matches!(parent.progress, Progress::Done { how, .. } if how.is_ours())
            })
    }

    /// Judges what became of the removal.
    pub fn judge_removal(&self, result: Result<(), RemovalFailure>, now: Time) -> EventBody {
        let failure = match result {
            Ok(()) => return EventBody::RemovalAnswered,
            Err(RemovalFailure::NotSent(why)) => return EventBody::RemovalNotSent { why },
            Err(RemovalFailure::Failed(failure)) => failure,
        };
        match failure.class {
            FailureClass::NotRelated => EventBody::RemovalFoundDone { answer: failure },
            class if class.leaves_outcome_unknown() => EventBody::RemovalUnknown { failure },
            class if class.may_pass() || class.is_ours() => EventBody::RemovalRefused {
                retry_at: Some(self.retry_at(
                    now,
                    &failure,
                    self.removal.attempts.saturating_sub(1),
                )),
                failure,
            },
            _ => EventBody::RemovalRefused {
                failure,
                retry_at: None,
            },
        }
    }

    /// Judges what was found about a removal without outcome.
    pub fn judge_lookup(
        &self,
        customer: Seen,
        audit: AuditFinding,
        now: Time,
        timing: &Timing,
    ) -> Vec<EventBody> {
        let late = self
            .removal
            .first_intent
            .is_some_and(|first| now.duration_since(first) >= timing.resend_window);
        let settled = matches!(
            (&customer, &audit),
            (Seen::Gone { .. }, _) | (_, AuditFinding::Removed { .. })
        );
        let came_back = matches!(audit, AuditFinding::Reaccepted { .. });
        let undecided = !settled
            && !matches!(
                (&customer, &audit),
                (Seen::Present { .. }, AuditFinding::Nothing)
            );
        let mut events = vec![EventBody::RemovalLookedUp {
            customer,
            audit,
            retry_at: later(now, SignedDuration::from_secs(15)),
        }];
        if !settled && (came_back || (late && undecided)) {
            let message = if came_back {
                "The removal was sent, its outcome is unknown, and the customer has accepted a \
                 relationship since. A person has to look."
            } else {
                "The removal was sent, and upstream could not be read in time to tell what became of \
                 it. A person has to look."
            };
            events.push(EventBody::Ended {
                ending: Ending::Unconfirmed,
                reason: EndReason::RemovalOutcomeUnknown,
                message: message.to_owned(),
            });
        }
        events
    }

    /// When to look for witnesses again after a look that began at `began`.
    ///
    /// After a look that said gone the next one comes as soon as it counts; otherwise ever slower.
    pub fn next_look(&self, began: Time, gone: bool, timing: &Timing) -> Time {
        let looks = self.verification.as_ref().map_or(0, |seen| seen.looks);
        if gone {
            let first = self
                .verification
                .as_ref()
                .and_then(|seen| seen.first_gone)
                .unwrap_or(began);
            let counts = later(first, timing.witness_spacing);
            if counts > began {
                return counts;
            }
        }
        later(
            began,
            backoff(
                SignedDuration::from_secs(10),
                looks,
                SignedDuration::from_mins(2),
            ),
        )
    }

    /// The event after looking for a proof of an earlier removal.
    pub fn found_not_related(answer: UpstreamFailure, proof: Option<RemovalProof>) -> EventBody {
        EventBody::FoundNotRelated { answer, proof }
    }
}

/// Why a removal brought no answer as documented.
#[derive(Debug, Clone, PartialEq)]
pub enum RemovalFailure {
    /// It never left.
    NotSent(String),
    /// Sent, and this came of it.
    Failed(UpstreamFailure),
}

/// A wait that follows from what was read, not from a failed read.
fn failure_pause((attempts, failure): (u32, UpstreamFailure), now: Time) -> EventBody {
    let wait = backoff(
        SignedDuration::from_secs(1),
        attempts,
        SignedDuration::from_mins(5),
    );
    EventBody::Deferred {
        failure,
        retry_at: later(now, wait),
    }
}

const MAX_RECHECK: SignedDuration = SignedDuration::from_hours(1);

/// The failure to wait for, if all that stands is a part of the snapshot that may be readable later.
fn only_unreadable(snapshot: &Snapshot, standing: &[Blocker]) -> Option<UpstreamFailure> {
    let failures = snapshot.failures();
    let passing = !failures.is_empty()
        && failures
            .iter()
            .all(|(_, f)| f.class.may_pass() || f.class.is_ours() || vanished_midway(f.class));
    let nothing_else = standing.iter().all(|b| {
        b.reason == Reason::Unreadable
            && b.resource.kind == super::blocker::ResourceKind::SnapshotPart
    });
    (passing && nothing_else).then(|| failures[0].1.clone())
}

/// What was listed and then not found, or a customer that went away between two reads: the next
/// snapshot shows which.
fn vanished_midway(class: FailureClass) -> bool {
    matches!(
        class,
        FailureClass::NotRelated | FailureClass::ResourceNotFound
    )
}

/// A blocker found before the first effect ends the run with nothing changed.
fn refused_before(standing: &[Blocker]) -> EventBody {
    let changed = standing.iter().all(|b| b.reason == Reason::PlanChanged);
    let (reason, what) = if changed {
        (
            EndReason::PlanChanged,
            "The accepted plan no longer covers everything",
        )
    } else {
        (EndReason::BlockersStand, "Something stands in the way")
    };
    EventBody::Ended {
        ending: Ending::Failed,
        reason,
        message: format!(
            "{what}; nothing was changed. {}{}",
            standing[0].message,
            match standing.len() {
                1 => String::new(),
                n => format!(" ({} more)", n - 1),
            }
        ),
    }
}
