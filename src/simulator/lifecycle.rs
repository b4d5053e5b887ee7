//! What time does to a customer: terms that renew or end, changes that take effect later.

use jiff::{Timestamp, ToSpan};

use super::model::{Change, Customer, Removal, Subscription};
use super::moment::add;
use super::scenario::{Behaviour, SubscriptionKind, SubscriptionStatus as Status};

impl Customer {
    /// Carries this customer forward to `now`. Cheap when nothing is due; called before every use.
    pub(super) fn settle(&mut self, behaviour: &Behaviour, now: Timestamp) {
        if let Some(due) = self.removal_due
            && due <= now
        {
            self.removal_due = None;
            self.end_relationship(due, behaviour.removal_propagation_seconds);
        }
        let mut suspended_parents = Vec::new();
        for subscription in &mut self.subscriptions {
            if let Some(pending) = subscription.pending_change.take_if(|p| p.due <= now) {
                if pending.change.status == Status::Suspended {
                    suspended_parents.push((subscription.id.clone(), pending.due));
                }
                subscription.apply(&pending.change, pending.due);
            }
            subscription.settle(behaviour, now);
        }
        for (parent, at) in suspended_parents {
            self.suspend_children(&parent, at);
        }
        for transfer in &mut self.transfers {
            if transfer.status == "Active" && transfer.expires <= now {
                transfer.status = "Expired".to_owned();
                transfer.changed = transfer.expires;
            }
        }
    }

    /// Ends the relationship at `at`; it shows `delay_seconds` later.
    pub(super) fn end_relationship(&mut self, at: Timestamp, delay_seconds: u32) {
        self.removed = Some(Removal {
            at,
            visible_from: at
                .checked_add(i64::from(delay_seconds).seconds())
                .unwrap_or(Timestamp::MAX),
        });
        self.allow_delegated_access = false;
    }

    /// Whether reads and lists still show the customer at `now`.
    pub(super) fn shows(&self, now: Timestamp) -> bool {
        self.relationship != "none" && self.removed.is_none_or(|r| now < r.visible_from)
    }

    /// Suspends the active add-ons of a parent that was just suspended.
    pub(super) fn suspend_children(&mut self, parent: &str, at: Timestamp) {
        for child in &mut self.subscriptions {
            let below = child
                .parent
                .as_deref()
                .is_some_and(|p| p.eq_ignore_ascii_case(parent));
            if below && child.status == Status::Active {
                child.set_status(Status::Suspended, at);
            }
        }
    }
}

impl Subscription {
    /// Sets the status and counts the change.
    pub(super) fn set_status(&mut self, status: Status, at: Timestamp) {
        if self.status != status {
            self.status = status;
            self.status_since = at;
            self.version += 1;
        }
    }

    /// Applies a change that was found valid. Suspending a new-commerce subscription switches its
    /// renewal off and drops what was scheduled (documented by Microsoft).
    pub(super) fn apply(&mut self, change: &Change, at: Timestamp) {
        self.quantity = change.quantity;
        self.friendly_name.clone_from(&change.friendly_name);
        self.auto_renew = change.auto_renew;
        self.scheduled_actions.clone_from(&change.scheduled_actions);
        self.next_term_instructions
            .clone_from(&change.next_term_instructions);
        self.next_charge_instructions
            .clone_from(&change.next_charge_instructions);
        self.version += 1;
        if change.status != self.status {
            self.status = change.status;
            self.status_since = at;
            if !self.kind.is_legacy() && change.status == Status::Suspended {
                self.auto_renew = false;
                self.scheduled_actions.clear();
                self.next_term_instructions = None;
                self.next_charge_instructions = None;
            }
            if change.status == Status::Deleted {
                self.auto_renew = false;
                self.cancel_until = None;
            }
        }
    }

    fn settle(&mut self, behaviour: &Behaviour, now: Timestamp) {
        for azure in &mut self.azure {
            if azure.inactive_at.take_if(|at| *at <= now).is_some() {
                azure.active = false;
            }
        }
        if self.status == Status::Pending
            && let Some(at) = self.pending_until.take_if(|at| *at <= now)
        {
            self.set_status(Status::Active, at);
        }
        // Several terms may have passed at once.
        while let Some((at, next)) = self.due(behaviour, now) {
            match next {
                Next::Status(status) => self.set_status(status, at),
                Next::Renew => {
                    self.start = self.term_end;
                    self.term_end = self.next_term_end();
                    self.cancel_until = (!self.kind.is_legacy())
                        .then(|| add(self.start, 7.days()).unwrap_or(Timestamp::MAX));
                    self.next_term_instructions = None;
                    self.version += 1;
                    if self.kind == SubscriptionKind::NewCommerceTrial {
                        // By default a trial turns into a paid year (documented by Microsoft).
                        self.kind = SubscriptionKind::NewCommerce;
                        self.term = "P1Y".to_owned();
                        self.billing_cycle = "monthly".to_owned();
                        self.term_end = add(self.start, 1.year()).unwrap_or(Timestamp::MAX);
                    }
                }
                Next::Extend => {
                    self.start = self.term_end;
                    self.term = "P1M".to_owned();
                    self.extended = true;
                    self.term_end = add(self.start, 1.month()).unwrap_or(Timestamp::MAX);
                    self.cancel_until = Some(self.term_end);
                    self.version += 1;
                }
            }
        }
        let (refreshed, _, _) = self.provisioning;
        if now.duration_since(refreshed).as_secs() >= 900 {
            self.provisioning = (now, self.status, self.quantity);
        }
    }

    /// What falls due next, if it has fallen due by `now`.
    fn due(&self, behaviour: &Behaviour, now: Timestamp) -> Option<(Timestamp, Next)> {
        let later = |days: i64| add(self.status_since, days.days()).unwrap_or(Timestamp::MAX);
        let legacy = self.kind.is_legacy();
        let (at, next) = match self.status {
            Status::Active => {
                let next = if legacy && !self.auto_renew {
                    Next::Status(Status::Deleted)
                } else if legacy {
                    Next::Renew
                } else if self.ends_at_term() {
                    Next::Status(Status::Expired)
                } else if self.auto_renew {
                    Next::Renew
                } else if self.extended
                    || (behaviour.extended_service_term
                        && self.kind == SubscriptionKind::NewCommerce)
                {
                    Next::Extend
                } else {
                    Next::Status(Status::Expired)
                };
                (self.term_end, next)
            }
            // Legacy data is deleted after 90 days of suspension (documented by Microsoft).
            Status::Suspended if legacy => {
                (later(90).min(self.term_end), Next::Status(Status::Deleted))
            }
            Status::Suspended => (self.term_end, Next::Status(Status::Expired)),
            Status::Expired => (later(30), Next::Status(Status::Disabled)),
            Status::Disabled => (later(90), Next::Status(Status::Deleted)),
            Status::None | Status::Pending | Status::Deleted => return None,
        };
        (at <= now).then_some((at, next))
    }
}

enum Next {
    Status(Status),
    Renew,
    Extend,
}
