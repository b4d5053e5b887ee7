//! Restore: what turning back puts back, judged on a fresh read. Only what is ours, and only what nobody
//! changed since.

use super::event::{DoneHow, EventBody};
use super::failure::UpstreamFailure;
use super::judge::ChangeResult;
use super::offboarding::{Effect, Offboarding, Progress};
use super::subscription::{ChangeableFields, SubscriptionStatus};
use super::time::Time;

impl Offboarding {
    /// Judges a read made for [`super::step::Step::Settle`]: what became of an intent while turning back.
    pub fn judge_settled(
        &self,
        effect: &Effect,
        read: Result<ChangeableFields, UpstreamFailure>,
        now: Time,
    ) -> EventBody {
        let id = effect.action.resource.id.clone();
        match read {
            Ok(fields) if fields.status == SubscriptionStatus::Suspended => {
                let how = DoneHow::FoundAfterSending;
                EventBody::EffectDone {
                    id,
                    how,
                    after: Some(fields),
                }
            }
            Ok(fields) => EventBody::NotRestored {
                id,
                why: format!("nothing to put back: it is {}", fields.status),
            },
            Err(failure) if failure.class.may_pass() || failure.class.is_ours() => {
                EventBody::RestoreUnsettled {
                    id,
                    retry_at: self.retry_at(now, &failure, effect.attempts),
                    failure,
                }
            }
            Err(failure) => EventBody::NotRestored {
                id,
                why: format!("could not be read: {failure}"),
            },
        }
    }

    /// What to send to put an effect back, judged on a fresh read; `Err`: why it is not put back.
    ///
    /// Only what this run changed and nobody changed since, field by field: a field that is not as our
    /// effect left it is somebody else's decision and stays as found. A field that our effect's answer
    /// left out was not seen to change.
    ///
    /// # Errors
    /// The event that says why nothing is sent.
    pub fn restoration(
        &self,
        effect: &Effect,
        found: &ChangeableFields,
    ) -> Result<ChangeableFields, Box<EventBody>> {
        let id = effect.action.resource.id.clone();
        let refuse = |why: String| {
            Err(Box::new(EventBody::NotRestored {
                id: id.clone(),
                why,
            }))
        };
        let after = match &effect.progress {
            Progress::Done { after, .. }
            | Progress::RestoreIntended { after, .. }
            | Progress::RestoreUnsettled { after, .. } => after.as_ref(),
            _ => None,
        };
        let resent =
            effect.restore_in_doubt || matches!(effect.progress, Progress::RestoreIntended { .. });
        if found.status == SubscriptionStatus::Active {
            return if resent {
                Err(Box::new(EventBody::Restored {
                    id,
                    after: found.clone(),
                }))
            } else {
                refuse("somebody else reactivated it meanwhile".to_owned())
            };
        }
        if found.status != SubscriptionStatus::Suspended {
            return refuse(format!("it is {} and cannot be reactivated", found.status));
        }
        let Some(before) = &effect.before else {
            return refuse("its state before is not on record".to_owned());
        };
        Ok(ChangeableFields {
            status: before.status.clone(),
            auto_renew: ours_back(
                before.auto_renew,
                after.and_then(|f| f.auto_renew),
                found.auto_renew,
            ),
            next_term: ours_back(
                before.next_term.clone(),
                after.and_then(|f| f.next_term.clone()),
                found.next_term.clone(),
            ),
            scheduled_actions: ours_back(
                before.scheduled_actions.clone(),
                after.and_then(|f| f.scheduled_actions.clone()),
                found.scheduled_actions.clone(),
            ),
        })
    }

    /// Judges what became of one restoration.
    pub fn judge_restored(&self, effect: &Effect, result: ChangeResult, now: Time) -> EventBody {
        let id = effect.action.resource.id.clone();
        match result {
            ChangeResult::Done(after) | ChangeResult::FoundDone(after) => {
                EventBody::Restored { id, after }
            }
            ChangeResult::NotSent(why) => EventBody::RestoresNotSent { ids: vec![id], why },
            ChangeResult::Unread(failure) | ChangeResult::Failed(failure) => {
                if failure.class.may_pass() || failure.class.is_ours() {
                    EventBody::RestoreUnsettled {
                        id,
                        retry_at: self.retry_at(now, &failure, effect.restore_attempts),
                        failure,
                    }
                } else {
                    EventBody::NotRestored {
                        id,
                        why: format!("Microsoft refused: {failure}"),
                    }
                }
            }
        }
    }
}

/// The value before our effect, unless somebody changed the field after it.
fn ours_back<T: PartialEq>(before: Option<T>, after: Option<T>, found: Option<T>) -> Option<T> {
    let changed_since = after.is_some() && after != found;
    if changed_since || before.is_none() {
        found
    } else {
        before
    }
}
