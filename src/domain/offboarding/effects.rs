//! Effects: what events say about suspending and putting back.
//!
//! What a handler's event or a worker without its claim ([`Writer::Control`]) says about a request that
//! did *not* take effect changes nothing: an intent of a newer claim may stand by then, and the intent
//! itself makes whoever owns the claim read first.

use jiff::SignedDuration;

use super::super::blocker::ResourceKind;
use super::super::event::{DoneHow, Event, EventBody, SnapshotRecord, Writer};
use super::super::failure::{FailureClass, UpstreamFailure};
use super::super::ids::ResourceId;
use super::super::step::{backoff, later};
use super::super::subscription::{ChangeableFields, SubscriptionStatus};
use super::super::time::Time;
use super::{Effect, Offboarding, Progress, State};

impl Offboarding {
    pub(super) fn take_effect(&mut self, event: &Event) {
        let at = event.at;
        self.clearance = None;
        match &event.body {
            EventBody::EffectsIntended { intents } => {
                self.first_effect.get_or_insert(at);
                self.state = State::Clearing;
                for intent in intents {
                    self.set(&intent.action.resource.id, at, |effect| {
                        // An intent that nobody answered stays a doubt below the new one.
                        effect.in_doubt |= matches!(effect.progress, Progress::Intended { .. });
                        // What was active just now is what to go back to; what is suspended may be our
                        // own doing and says nothing about the state before.
                        if effect.before.is_none()
                            || intent.before.status == SubscriptionStatus::Active
                        {
                            effect.before = Some(intent.before.clone());
                        }
                        effect.attempts += 1;
                        effect.progress = Progress::Intended {
                            fence: fence(event.by),
                        };
                    });
                }
            }
            EventBody::EffectsNotSent { ids, why } if event.by != Writer::Control => {
                let failure = not_sent("changing a subscription", why);
                self.fail(at, &failure);
                for id in ids {
                    self.set(id, at, |effect| {
                        if matches!(effect.progress, Progress::Intended { .. }) {
                            effect.progress = Progress::Unsettled {
                                failure: failure.clone(),
                                retry_at: pause(at, effect.attempts),
                                maybe_done: effect.in_doubt,
                            };
                        }
                    });
                }
            }
            EventBody::EffectDone { id, how, after } => {
                let late = event.by == Writer::Control;
                self.set(id, at, |effect| {
                    let known =
                        matches!(effect.progress, Progress::Done { how, .. } if how.is_ours());
                    if late && (known || !how.is_ours()) {
                        return;
                    }
                    // Heard of while or after putting it back: what is found active may be our doing.
                    effect.restore_in_doubt |= matches!(
                        effect.progress,
                        Progress::RestoreIntended { .. }
                            | Progress::RestoreUnsettled { .. }
                            | Progress::Restored
                    );
                    // Not found is no proof that what we may have sent took no effect.
                    effect.in_doubt &= *how == DoneHow::Vanished;
                    effect.progress = Progress::Done {
                        how: *how,
                        after: after.clone(),
                    };
                });
            }
            EventBody::EffectUnsettled {
                id,
                failure,
                retry_at,
                sent,
            } => {
                self.fail(at, failure);
                if event.by == Writer::Control {
                    return;
                }
                self.set(id, at, |effect| {
                    effect.in_doubt |= *sent && failure.class.leaves_outcome_unknown();
                    effect.progress = Progress::Unsettled {
                        failure: failure.clone(),
                        retry_at: *retry_at,
                        maybe_done: effect.in_doubt,
                    };
                });
            }
            EventBody::EffectRefused { id, failure } => {
                self.fail(at, failure);
                if event.by == Writer::Control {
                    return;
                }
                self.set(id, at, |effect| {
                    effect.progress = Progress::Refused {
                        failure: failure.clone(),
                    };
                });
            }
            _ => {}
        }
    }

    pub(super) fn take_restoration(&mut self, event: &Event) {
        let at = event.at;
        match &event.body {
            EventBody::RestoresIntended { ids } => {
                for id in ids {
                    self.set(id, at, |effect| {
                        effect.restore_attempts += 1;
                        effect.restore_in_doubt |=
                            matches!(effect.progress, Progress::RestoreIntended { .. });
                        effect.progress = Progress::RestoreIntended {
                            fence: fence(event.by),
                            after: left_by_us(&effect.progress),
                        };
                    });
                }
            }
            EventBody::RestoresNotSent { ids, why } if event.by != Writer::Control => {
                let failure = not_sent("putting a subscription back", why);
                self.fail(at, &failure);
                for id in ids {
                    self.set(id, at, |effect| {
                        if matches!(effect.progress, Progress::RestoreIntended { .. }) {
                            effect.progress = Progress::RestoreUnsettled {
                                failure: failure.clone(),
                                retry_at: pause(at, effect.restore_attempts),
                                after: left_by_us(&effect.progress),
                            };
                        }
                    });
                }
            }
            EventBody::Restored { id, .. } => self.set(id, at, |effect| {
                effect.progress = Progress::Restored;
            }),
            EventBody::RestoreUnsettled {
                id,
                failure,
                retry_at,
            } => {
                self.fail(at, failure);
                if event.by == Writer::Control {
                    return;
                }
                self.set(id, at, |effect| {
                    effect.restore_in_doubt |= failure.class.leaves_outcome_unknown();
                    effect.progress = Progress::RestoreUnsettled {
                        failure: failure.clone(),
                        retry_at: *retry_at,
                        after: left_by_us(&effect.progress),
                    };
                });
            }
            EventBody::NotRestored { id, why } => self.set(id, at, |effect| {
                effect.progress = Progress::NotRestored { why: why.clone() };
            }),
            _ => {}
        }
    }

    /// What a complete snapshot says about effects that were thought settled: somebody may have undone
    /// them, or done what we had not begun.
    pub(super) fn reopen(&mut self, snapshot: &SnapshotRecord, at: Time) {
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
                (Progress::Done { how, .. }, true) => {
                    // The list may lag behind: found suspended later, it is still our doing.
                    effect.in_doubt |= how.is_ours();
                    Progress::Todo
                }
                (
                    Progress::Todo
                    | Progress::Unsettled {
                        maybe_done: false, ..
                    },
                    false,
                ) => {
                    let with_parent = effect
                        .action
                        .parent
                        .as_ref()
                        .is_some_and(|parent| ours.contains(parent));
                    let how = if effect.in_doubt {
                        DoneHow::FoundAfterSending
                    } else if with_parent {
                        DoneHow::WithParent
                    } else {
                        DoneHow::ByOthers
                    };
                    effect.in_doubt = false;
                    Progress::Done { how, after: None }
                }
                _ => continue,
            };
            effect.progress = next;
            effect.updated = at;
        }
    }

    fn set(&mut self, id: &ResourceId, at: Time, change: impl FnOnce(&mut Effect)) {
        let effect = self
            .effects
            .iter_mut()
            .flatten()
            .find(|effect| effect.action.resource.id == *id);
        if let Some(effect) = effect {
            change(effect);
            effect.updated = at;
        }
    }
}

pub(super) fn fence(by: Writer) -> u64 {
    match by {
        Writer::Worker(fence) => fence,
        Writer::Control => 0,
    }
}

/// Our own words for a request that never left.
pub(super) fn not_sent(call: &str, why: &str) -> UpstreamFailure {
    UpstreamFailure::new(FailureClass::Unavailable, call, format!("not sent: {why}"))
}

/// When to try again what could not be sent: what forbade it may forbid it again at once.
pub(super) fn pause(at: Time, attempts: u32) -> Time {
    let wait = backoff(
        SignedDuration::from_secs(1),
        attempts.saturating_sub(1),
        SignedDuration::from_mins(5),
    );
    later(at, wait)
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
