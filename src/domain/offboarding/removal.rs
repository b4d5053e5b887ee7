//! Removal: what events say about the removal and its witnesses.

use jiff::SignedDuration;

use super::super::event::{AuditFinding, Event, EventBody, Listed, Seen, Writer};
use super::super::step::{backoff, later};
use super::super::time::Time;
use super::effects::{fence, not_sent, pause};
use super::{Deferral, Offboarding, RemovalProgress, RemovedBy, State, Verification};

impl Offboarding {
    pub(super) fn take_removal(&mut self, event: &Event) {
        let at = event.at;
        // Said by a worker that had lost its claim: a newer intent may stand by now, so only what did
        // happen counts. An intent without outcome is looked up by whoever owns the claim.
        let late = event.by == Writer::Control;
        match &event.body {
            EventBody::RemovalIntended => {
                self.removal.attempts += 1;
                self.removal.first_intent.get_or_insert(at);
                self.removal.progress = RemovalProgress::Intended {
                    fence: fence(event.by),
                };
                self.clearance = None;
                self.state = State::Removing;
            }
            EventBody::RemovalNotSent { why } if !late => {
                self.fail(at, &not_sent("removing the relationship", why));
                self.hold_up(at, pause(at, self.removal.attempts));
            }
            EventBody::RemovalAnswered => self.removed(at, RemovedBy::Us),
            EventBody::RemovalFoundDone { .. } => {
                let first = matches!(self.removal.progress, RemovalProgress::Intended { .. })
                    && !self.removal.in_doubt;
                // "Not related" while no other attempt of ours can have done it: somebody was faster.
                let by = if first {
                    RemovedBy::Others
                } else {
                    RemovedBy::Us
                };
                self.removed(at, by);
            }
            EventBody::RemovalRefused { failure, retry_at } => {
                self.fail(at, failure);
                match retry_at {
                    _ if late => {}
                    Some(retry_at) => self.hold_up(at, *retry_at),
                    None => {
                        self.removal.progress = RemovalProgress::Refused {
                            failure: failure.clone(),
                        };
                    }
                }
            }
            EventBody::RemovalUnknown { failure } => {
                self.fail(at, failure);
                if late {
                    return;
                }
                self.removal.in_doubt = true;
                // The first time it is looked for at once; if that led to another attempt in vain,
                // upstream gets more time each time.
                let wait = match self.removal.attempts.checked_sub(2) {
                    None => SignedDuration::ZERO,
                    Some(n) => backoff(
                        SignedDuration::from_secs(5),
                        n,
                        SignedDuration::from_mins(2),
                    ),
                };
                self.removal.progress = RemovalProgress::Unknown {
                    retry_at: later(at, wait),
                };
            }
            EventBody::RemovalLookedUp {
                customer,
                audit,
                retry_at,
            } => {
                self.removal.in_doubt = true;
                match (customer, audit) {
                    (Seen::Gone { .. }, _) | (_, AuditFinding::Removed { .. }) => {
                        self.removed(at, RemovedBy::Us);
                        if let (AuditFinding::Removed { record }, Some(verification)) =
                            (audit, &mut self.verification)
                        {
                            verification.audit = Some(record.clone());
                        }
                    }
                    (Seen::Present { .. }, AuditFinding::Nothing) => {
                        self.removal.progress = RemovalProgress::MayResend;
                        self.removal.looked_up = Some(at);
                    }
                    _ => {
                        self.removal.progress = RemovalProgress::Unknown {
                            retry_at: *retry_at,
                        };
                    }
                }
            }
            _ => {}
        }
    }

    /// The attempt certainly did nothing; it may be made again at `retry_at`.
    fn hold_up(&mut self, at: Time, retry_at: Time) {
        self.removal.progress = if self.removal.in_doubt {
            // An earlier attempt of unknown outcome stays unknown.
            RemovalProgress::MayResend
        } else {
            self.removal.first_intent = None;
            RemovalProgress::None
        };
        self.removal.held_up_since.get_or_insert(at);
        self.deferral = Some(Deferral {
            since: self.deferral.as_ref().map_or(at, |d| d.since),
            retry_at,
            attempts: self.deferral.as_ref().map_or(0, |d| d.attempts) + 1,
        });
    }

    fn removed(&mut self, at: Time, by: RemovedBy) {
        self.start_verifying(at, by);
        self.state = State::Verifying;
    }

    pub(super) fn start_verifying(&mut self, at: Time, by: RemovedBy) {
        self.removal.progress = RemovalProgress::Done { by };
        self.deferral = None;
        self.blocked = None;
        self.blockers.clear();
        if self.verification.is_some() {
            // Heard of a second time: the witnesses so far count on.
            return;
        }
        self.verification = Some(Verification {
            began: at,
            looks: 0,
            next_at: at,
            last_look: None,
            first_gone: None,
            last_gone: None,
            unlisted: None,
            audit: None,
            support_contact: None,
            subscriptions: None,
        });
    }

    pub(super) fn observe(&mut self, event: &Event) {
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
        seen.last_look = Some(*began);
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
}
