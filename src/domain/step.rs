//! Step: what comes next for an offboarding. Decides; never does.

use jiff::SignedDuration;

use super::event::{EndReason, Ending, EventBody};
use super::ids::ResourceId;
use super::offboarding::{Effect, Offboarding, Progress, RemovalProgress, RemovedBy, State};
use super::plan::Group;
use super::time::Time;

/// Spans of business time that the rules use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// How long subscriptions may stay suspended while blockers that appeared later stand.
    pub max_suspended: SignedDuration,
    /// How far apart the two looks that say gone must be. At least 60 s.
    pub witness_spacing: SignedDuration,
    /// How long witnesses are looked for.
    pub verification_budget: SignedDuration,
    /// How long after its first intent a removal of unknown outcome may be sent again.
    pub resend_window: SignedDuration,
    /// How long reading may fail before anything was changed.
    pub read_patience: SignedDuration,
    /// How long restoring is tried.
    pub restore_patience: SignedDuration,
    /// How old a snapshot may be when an effect follows from it.
    pub clearance_age: SignedDuration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            max_suspended: SignedDuration::from_hours(24),
            witness_spacing: SignedDuration::from_secs(60),
            verification_budget: SignedDuration::from_mins(30),
            resend_window: SignedDuration::from_mins(15),
            read_patience: SignedDuration::from_hours(1),
            restore_patience: SignedDuration::from_hours(24),
            clearance_age: SignedDuration::from_mins(2),
        }
    }
}

/// What comes next.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// Nothing, ever.
    Ended,
    /// Nothing before `until`.
    Rest {
        /// Until when.
        until: Time,
    },
    /// Events that follow from the log alone.
    Record(Vec<EventBody>),
    /// Read everything from upstream, then ask again.
    Snapshot,
    /// Record these effects as intended, then read and send each, side by side.
    Effects(Vec<ResourceId>),
    /// Read these resources and record what became of our intents; send nothing.
    Settle(Vec<ResourceId>),
    /// Record the removal as intended, then send it.
    Remove,
    /// Look what became of a removal without outcome.
    LookUpRemoval,
    /// Look for witnesses.
    Observe,
    /// Record these restorations as intended, then read each and put it back, side by side.
    Restore(Vec<ResourceId>),
}

impl Offboarding {
    /// What comes next, at `now`, for the worker whose claim has this fence.
    pub fn next_step(&self, now: Time, fence: u64, timing: &Timing) -> Step {
        match self.next_unbounded(now, fence, timing) {
            // However long upstream asks us to wait, the run's own deadline is not slept through.
            Step::Rest { until } => Step::Rest {
                until: self
                    .deadline(timing)
                    .filter(|deadline| *deadline > now)
                    .map_or(until, |deadline| until.min(deadline)),
            },
            step => step,
        }
    }

    /// The moment at which the run gives up what it is trying now, if it does.
    pub fn deadline(&self, timing: &Timing) -> Option<Time> {
        if let Some(restoring) = &self.restoring {
            return Some(later(restoring.began, timing.restore_patience));
        }
        match &self.removal.progress {
            RemovalProgress::Done { .. } | RemovalProgress::Refused { .. } => return None,
            RemovalProgress::Intended { .. }
            | RemovalProgress::Unknown { .. }
            | RemovalProgress::MayResend => {
                let first = self.removal.first_intent?;
                return Some(later(first, timing.resend_window));
            }
            RemovalProgress::None => {}
        }
        if let Some(until) = self.suspended_until(timing) {
            return Some(until);
        }
        let unread = self.deferral.as_ref().map(|deferral| deferral.since);
        let since = match (unread, self.removal.held_up_since) {
            (Some(unread), Some(held_up)) => unread.min(held_up),
            (unread, held_up) => unread.or(held_up)?,
        };
        Some(later(since, timing.read_patience))
    }

    fn next_unbounded(&self, now: Time, fence: u64, timing: &Timing) -> Step {
        if self.outcome.is_some() {
            return Step::Ended;
        }
        if self.restoring.is_some() {
            return self.next_restoring(now, timing);
        }
        if let RemovalProgress::Done { by } = self.removal.progress {
            return self.next_verifying(now, by, timing);
        }
        if let Some(step) = self.next_unknown_removal(now, timing) {
            return step;
        }
        if let Some(step) = self.give_up(now, timing) {
            return step;
        }
        if self.state == State::Scheduled
            && let Some(until) = self
                .request
                .not_before
                .filter(|not_before| *not_before > now)
        {
            return Step::Rest { until };
        }
        if let Some(deferral) = &self.deferral
            && deferral.retry_at > now
        {
            return Step::Rest {
                until: deferral.retry_at,
            };
        }
        if let Some(blocked) = &self.blocked
            && blocked.recheck_at > now
        {
            return Step::Rest {
                until: blocked.recheck_at,
            };
        }
        let Some(effects) = &self.effects else {
            return Step::Snapshot;
        };
        match next_group(effects, now) {
            Some(Err(until)) => Step::Rest { until },
            _ if !self.is_clear(now, fence, timing) => Step::Snapshot,
            Some(Ok(ids)) => Step::Effects(ids),
            // The customer may have come back since the last look.
            None if self.look_is_stale(now, timing) => Step::LookUpRemoval,
            None => Step::Remove,
        }
    }

    fn is_clear(&self, now: Time, fence: u64, timing: &Timing) -> bool {
        self.clearance.is_some_and(|clearance| {
            clearance.fence == fence && now.duration_since(clearance.began) <= timing.clearance_age
        })
    }

    fn look_is_stale(&self, now: Time, timing: &Timing) -> bool {
        self.removal.progress == RemovalProgress::MayResend
            && self
                .removal
                .looked_up
                .is_none_or(|at| now.duration_since(at) > timing.clearance_age)
    }

    /// When to stop trying: the reasons that the log itself holds.
    fn give_up(&self, now: Time, timing: &Timing) -> Option<Step> {
        if let RemovalProgress::Refused { failure } = &self.removal.progress {
            let message = format!("Microsoft refused the removal: {failure}");
            return Some(self.turn_back_or_end(EndReason::UpstreamRefused, message));
        }
        if self.not_related {
            let message =
                "Partner Center knows no relationship with this customer, and neither an \
                           earlier run nor the audit shows that there was one."
                    .to_owned();
            return Some(self.turn_back_or_end(EndReason::CustomerNotRelated, message));
        }
        let refused = self
            .effects
            .iter()
            .flatten()
            .find_map(|effect| match &effect.progress {
                Progress::Refused { failure } => Some((effect, failure)),
                _ => None,
            });
        if let Some((effect, failure)) = refused {
            let message = format!(
                "Microsoft refused to change {}: {failure}",
                effect.action.resource.name
            );
            return Some(self.turn_back_or_end(EndReason::UpstreamRefused, message));
        }
        let over = self.removal.progress == RemovalProgress::None
            && self
                .deadline(timing)
                .is_some_and(|deadline| now >= deadline);
        over.then(|| self.out_of_patience())
    }

    /// The way did not become clear, upstream could not be read, or the removal could not be made, for
    /// as long as this run waits.
    fn out_of_patience(&self) -> Step {
        let failure = self
            .last_failure
            .as_ref()
            .map_or_else(String::new, |(_, failure)| failure.to_string());
        if self.first_effect.is_some() {
            let what = self
                .blockers
                .first()
                .map_or(failure, |blocker| blocker.message.clone());
            return self.turn_back_or_end(
                EndReason::BlockedTooLong,
                format!("What stood in the way did not clear in time: {what}"),
            );
        }
        if self.removal.held_up_since.is_some() {
            return self.turn_back_or_end(
                EndReason::UpstreamRefused,
                format!("The removal could not be made; nothing was changed. {failure}"),
            );
        }
        self.turn_back_or_end(
            EndReason::BlockersStand,
            format!("Partner Center could not be read; nothing was changed. {failure}"),
        )
    }

    /// The latest moment up to which a run that has changed something waits for a clear way.
    pub fn suspended_until(&self, timing: &Timing) -> Option<Time> {
        self.first_effect.map(|at| later(at, timing.max_suspended))
    }

    /// Turns back if there is anything to put back, ends otherwise.
    fn turn_back_or_end(&self, reason: EndReason, message: String) -> Step {
        Step::Record(vec![if self.has_something_to_restore() {
            EventBody::RestoringBegan {
                to: Ending::Failed,
                reason,
                message,
            }
        } else {
            EventBody::Ended {
                ending: Ending::Failed,
                reason,
                message,
            }
        }])
    }

    fn next_unknown_removal(&self, now: Time, timing: &Timing) -> Option<Step> {
        let too_late = || {
            self.removal
                .first_intent
                .is_some_and(|first| now.duration_since(first) >= timing.resend_window)
        };
        let unconfirmed = || {
            Step::Record(vec![EventBody::Ended {
                ending: Ending::Unconfirmed,
                reason: EndReason::RemovalOutcomeUnknown,
                message:
                    "The removal was sent, its outcome is unknown, and it is too late to send it \
                          again: the customer may have come back since. A person has to look."
                        .to_owned(),
            }])
        };
        match &self.removal.progress {
            RemovalProgress::Intended { .. } => Some(Step::LookUpRemoval),
            RemovalProgress::Unknown { retry_at } if *retry_at <= now => {
                // Look once more even when late: the customer may be gone by now. Only the look after
                // the window ends it (see `judge_lookup`).
                Some(Step::LookUpRemoval)
            }
            RemovalProgress::Unknown { retry_at } => Some(Step::Rest { until: *retry_at }),
            RemovalProgress::MayResend if too_late() => Some(unconfirmed()),
            _ => None,
        }
    }

    fn next_verifying(&self, now: Time, by: RemovedBy, timing: &Timing) -> Step {
        let Some(seen) = &self.verification else {
            return Step::Observe;
        };
        let far_apart = seen
            .first_gone
            .zip(seen.last_gone)
            .is_some_and(|(first, last)| last.duration_since(first) >= timing.witness_spacing);
        if far_apart && seen.unlisted.is_some() {
            let (reason, message) = match by {
                RemovedBy::Us => (EndReason::Removed, "The relationship was removed."),
                RemovedBy::Others => (
                    EndReason::RemovedByOthers,
                    "Somebody else removed the relationship.",
                ),
                RemovedBy::Earlier => (
                    EndReason::AlreadyRemoved,
                    "The relationship had been removed before.",
                ),
            };
            return Step::Record(vec![EventBody::Ended {
                ending: Ending::Succeeded,
                reason,
                message: format!("{message} Independent witnesses confirm it."),
            }]);
        }
        if now < seen.next_at {
            return Step::Rest {
                until: seen.next_at,
            };
        }
        // The budget ends with a look, not between two: a service that was down meanwhile looks once
        // more. A first look that says gone gets its second.
        let spent = seen
            .last_look
            .is_some_and(|look| look.duration_since(seen.began) >= timing.verification_budget);
        let second_due = seen.last_gone == seen.last_look && !far_apart;
        if spent && !second_due {
            return Step::Record(vec![EventBody::Ended {
                ending: Ending::Unconfirmed,
                reason: EndReason::NotConfirmedInTime,
                message: "Witnesses did not confirm the removal in time. A person has to look."
                    .to_owned(),
            }]);
        }
        Step::Observe
    }

    fn next_restoring(&self, now: Time, timing: &Timing) -> Step {
        let Some(restoring) = &self.restoring else {
            return Step::Ended;
        };
        let effects = self.effects.as_deref().unwrap_or_default();
        let patience_over = now.duration_since(restoring.began) >= timing.restore_patience;
        let unsettled: Vec<&Effect> = effects.iter().filter(|e| e.outcome_missing()).collect();
        if !unsettled.is_empty() {
            return self.due_or_rest(now, patience_over, &unsettled, Step::Settle);
        }
        // Parents before children: a child cannot be reactivated below an inactive parent (409/27009).
        for group in [Group::Parents, Group::AddOns] {
            let open: Vec<&Effect> = effects
                .iter()
                .filter(|effect| effect.action.group == group)
                .filter(|effect| match &effect.progress {
                    Progress::Done { how, .. } => how.is_ours(),
                    Progress::RestoreIntended { .. } | Progress::RestoreUnsettled { .. } => true,
                    _ => false,
                })
                .collect();
            if !open.is_empty() {
                return self.due_or_rest(now, patience_over, &open, Step::Restore);
            }
        }
        Step::Record(vec![EventBody::Ended {
            ending: restoring.to,
            reason: restoring.reason,
            message: restoring.message.clone(),
        }])
    }

    fn due_or_rest(
        &self,
        now: Time,
        patience_over: bool,
        open: &[&Effect],
        step: impl FnOnce(Vec<ResourceId>) -> Step,
    ) -> Step {
        if patience_over {
            let why = self.last_failure.as_ref().map_or_else(
                || "could not be read or put back in time".to_owned(),
                |(_, failure)| format!("could not be put back in time: {failure}"),
            );
            return Step::Record(
                open.iter()
                    .map(|effect| EventBody::NotRestored {
                        id: effect.action.resource.id.clone(),
                        why: why.clone(),
                    })
                    .collect(),
            );
        }
        match due(open.iter().copied(), now) {
            Ok(ids) => step(ids),
            Err(until) => Step::Rest { until },
        }
    }

    /// When the worker has to look next, seen from `now`; `None`: never again.
    pub fn due(&self, now: Time, timing: &Timing) -> Option<Time> {
        match self.next_step(now, u64::MAX, timing) {
            Step::Ended => None,
            Step::Rest { until } => Some(until),
            _ => Some(now),
        }
    }
}

/// The open effects of the first group that has any: those due, or until when all of them wait.
/// `None`: no effect is open.
fn next_group(effects: &[Effect], now: Time) -> Option<Result<Vec<ResourceId>, Time>> {
    let group = effects
        .iter()
        .filter(|e| e.is_open())
        .map(|e| e.action.group)
        .min()?;
    let open = effects
        .iter()
        .filter(|e| e.is_open() && e.action.group == group);
    Some(due(open, now))
}

fn due<'a>(open: impl Iterator<Item = &'a Effect>, now: Time) -> Result<Vec<ResourceId>, Time> {
    let mut ids = Vec::new();
    let mut earliest: Option<Time> = None;
    for effect in open {
        let retry_at = match &effect.progress {
            Progress::Unsettled { retry_at, .. } | Progress::RestoreUnsettled { retry_at, .. } => {
                Some(*retry_at)
            }
            _ => None,
        };
        match retry_at.filter(|at| *at > now) {
            Some(at) => earliest = Some(earliest.map_or(at, |known| known.min(at))),
            None => ids.push(effect.action.resource.id.clone()),
        }
    }
    match earliest {
        Some(at) if ids.is_empty() => Err(at),
        _ => Ok(ids),
    }
}

/// `at` plus `span`, as far as the calendar goes.
pub fn later(at: Time, span: SignedDuration) -> Time {
    at.checked_add(span).unwrap_or(Time::MAX)
}

/// `base`, doubled with every attempt after the first, at most `max`.
pub(super) fn backoff(base: SignedDuration, attempts: u32, max: SignedDuration) -> SignedDuration {
    base.checked_mul(1_i32.checked_shl(attempts.min(20)).unwrap_or(i32::MAX))
        .unwrap_or(max)
        .min(max)
}
