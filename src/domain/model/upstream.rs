//! Upstream: customers' subscriptions, the relationship and the audit, with faults from a tape.

use jiff::SignedDuration;

use super::super::event::{AuditFinding, AuditWitness, Listed, Seen};
use super::super::failure::{FailureClass, UpstreamFailure};
use super::super::ids::{CustomerId, PartnerTenantId, ResourceId};
use super::super::judge::{ChangeResult, RemovalFailure};
use super::super::snapshot::{Customer, Part, PartnerModel, Snapshot, Standing};
use super::super::step::later;
use super::super::subscription::{ChangeableFields, Subscription, SubscriptionStatus};
use super::super::time::Time;

/// Every class, the friendly reading of a tape's number first.
pub(in crate::domain) const CLASSES: [FailureClass; 13] = [
    FailureClass::Unavailable,
    FailureClass::Nonsense,
    FailureClass::Throttled,
    FailureClass::Pending,
    FailureClass::StaleEtag,
    FailureClass::Credentials,
    FailureClass::MfaRequired,
    FailureClass::Forbidden,
    FailureClass::CustomerUnderReview,
    FailureClass::CustomerLocked,
    FailureClass::ResourceNotFound,
    FailureClass::Refused,
    FailureClass::NotRelated,
];

/// Where the choices come from.
#[derive(Debug, Clone)]
pub(in crate::domain) struct Tape {
    numbers: Vec<u16>,
    at: usize,
    /// Fails every changing call, every read or both in this way, for ever.
    pub(in crate::domain) always: Option<(Which, FailureClass)>,
}

/// Which calls always fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::domain) enum Which {
    Reads,
    Changes,
    Removals,
    LookUps,
}

impl Tape {
    pub(in crate::domain) fn new(numbers: Vec<u16>) -> Self {
        Self {
            numbers,
            at: 0,
            always: None,
        }
    }

    /// One of `n` choices; zero once the tape has run out.
    pub(in crate::domain) fn choose(&mut self, n: u16) -> u16 {
        let number = self.numbers.get(self.at).copied().unwrap_or(0);
        self.at += 1;
        number % n
    }

    /// True once in `n`, and never once the tape has run out.
    pub(in crate::domain) fn once_in(&mut self, n: u16) -> bool {
        self.choose(n) == n - 1
    }

    fn failure(&mut self, which: Which, once_in: u16) -> Option<UpstreamFailure> {
        if let Some((always, class)) = self.always {
            return (always == which).then(|| failure(class));
        }
        if !self.once_in(once_in) {
            return None;
        }
        let class = CLASSES[usize::from(self.choose(12))];
        let mut failure = failure(class);
        if self.once_in(4) {
            failure.retry_after_ms = Some(u64::from(self.choose(u16::MAX)) * 10_000);
        }
        Some(failure)
    }
}

pub(in crate::domain) fn failure(class: FailureClass) -> UpstreamFailure {
    UpstreamFailure::new(class, "a call", "as the tape says")
}

/// Whose doing a suspension was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::domain) enum By {
    Nobody,
    Us,
    Others,
}

/// The world upstream.
#[derive(Debug, Clone)]
pub(in crate::domain) struct Upstream {
    pub(in crate::domain) tape: Tape,
    pub(in crate::domain) subscriptions: Vec<(Subscription, By)>,
    /// What the list shows while it lags.
    lagging: Vec<Subscription>,
    pub(in crate::domain) related: bool,
    /// (when, removed or accepted again)
    pub(in crate::domain) audit: Vec<(Time, bool)>,
}

pub(in crate::domain) fn partner() -> PartnerTenantId {
    "11111111-0000-4000-8000-000000000001".parse().unwrap()
}

pub(in crate::domain) fn customer() -> CustomerId {
    "22222222-0000-4000-8000-000000000002".parse().unwrap()
}

pub(in crate::domain) fn legacy(id: &str, parent: Option<&str>) -> Subscription {
    Subscription {
        id: id.into(),
        name: format!("subscription {id}"),
        product: "product".to_owned(),
        offer_id: Some("195416c1-3447-423a-b37b-ee59a99a19c4".to_owned()),
        product_type: None,
        unit_type: "none".to_owned(),
        billing_type: "license".to_owned(),
        status: SubscriptionStatus::Active,
        quantity: 5,
        is_trial: false,
        auto_renew: Some(true),
        term: "P1Y".to_owned(),
        billing_cycle: "monthly".to_owned(),
        order_id: Some("order-1".to_owned()),
        parent: parent.map(ResourceId::from),
        term_end: None,
        cancellation_allowed_until: None,
        cancels_at_term_end: false,
        next_term: None,
        scheduled_actions: None,
        refunds: Vec::new(),
        is_microsoft_product: None,
        reseller_of_record: None,
    }
}

impl Upstream {
    pub(in crate::domain) fn new(tape: Tape, subscriptions: Vec<Subscription>) -> Self {
        Self {
            tape,
            lagging: subscriptions.clone(),
            subscriptions: subscriptions.into_iter().map(|s| (s, By::Nobody)).collect(),
            related: true,
            audit: Vec::new(),
        }
    }

    fn remember(&mut self) {
        self.lagging = self.subscriptions.iter().map(|(s, _)| s.clone()).collect();
    }

    pub(in crate::domain) fn find(&mut self, id: &ResourceId) -> Option<&mut (Subscription, By)> {
        self.subscriptions.iter_mut().find(|(s, _)| s.id == *id)
    }

    /// Somebody other than this service does something. `touched`: what this run intended already.
    pub(in crate::domain) fn adversary(&mut self, now: Time, touched: &[ResourceId]) {
        let n = self.subscriptions.len() as u16;
        let pick = usize::from(self.tape.choose(n.max(1)));
        match self.tape.choose(5) {
            0 => {}
            1 => {
                self.remember();
                let (subscription, by) = &mut self.subscriptions[pick];
                subscription.status = SubscriptionStatus::Active;
                subscription.auto_renew = Some(false);
                *by = By::Others;
            }
            2 => {
                self.remember();
                // After an intent of ours nobody could tell whose doing it was; the rule says ours.
                let (subscription, by) = &mut self.subscriptions[pick];
                let parent_untouched = subscription
                    .parent
                    .as_ref()
                    .is_none_or(|p| !touched.contains(p));
                if !touched.contains(&subscription.id)
                    && parent_untouched
                    && subscription.status == SubscriptionStatus::Active
                {
                    subscription.status = SubscriptionStatus::Suspended;
                    *by = By::Others;
                }
            }
            3 if self.subscriptions.len() < 6 => {
                self.remember();
                let bought = legacy(&format!("bought-{}", self.subscriptions.len()), None);
                self.subscriptions.push((bought, By::Nobody));
            }
            4 => {
                if self.related {
                    self.related = false;
                } else {
                    self.related = true;
                    self.audit.push((now, false));
                }
            }
            _ => {}
        }
    }

    pub(in crate::domain) fn snapshot(&mut self, began: Time) -> Snapshot {
        let lags = self.tape.once_in(8);
        let standing = match self.tape.failure(Which::Reads, 12) {
            Some(failure) if failure.class != FailureClass::NotRelated => Err(failure),
            _ if self.related => Ok(Standing::Related(Customer {
                name: "Contoso".to_owned(),
                domain: String::new(),
                relationship: "reseller".to_owned(),
                delegated_admin: None,
            })),
            _ => Ok(Standing::NotRelated(failure(FailureClass::NotRelated))),
        };
        let subscriptions = match self.tape.failure(Which::Reads, 12) {
            Some(failure) => Err(failure),
            None if !self.related => Err(failure(FailureClass::NotRelated)),
            None if lags => Ok(self.lagging.clone()),
            None => Ok(self.subscriptions.iter().map(|(s, _)| s.clone()).collect()),
        };
        let part = |value| Part { at: began, value };
        Snapshot {
            partner: partner(),
            customer: customer(),
            began,
            standing: Part {
                at: began,
                value: standing,
            },
            subscriptions: part(subscriptions),
            add_ons: Vec::new(),
            azure: Vec::new(),
            entitlements: Part::read(began, Vec::new()),
            transfers: Part::read(began, Vec::new()),
            partner_model: Part::read(began, PartnerModel::MayRemove),
        }
    }

    pub(in crate::domain) fn read(
        &mut self,
        id: &ResourceId,
    ) -> Result<ChangeableFields, UpstreamFailure> {
        if let Some(failure) = self.tape.failure(Which::Reads, 10) {
            return Err(failure);
        }
        if !self.related {
            return Err(failure(FailureClass::NotRelated));
        }
        self.find(id)
            .map(|(s, _)| s.fields())
            .ok_or_else(|| failure(FailureClass::ResourceNotFound))
    }

    /// Changes a subscription, unless the tape says otherwise. `us`: for whom.
    pub(in crate::domain) fn change(
        &mut self,
        id: &ResourceId,
        to: &ChangeableFields,
    ) -> ChangeResult {
        if self.tape.once_in(15) {
            return ChangeResult::NotSent("the gate was closed".to_owned());
        }
        let failure = self.tape.failure(Which::Changes, 5);
        let lost_but_done = failure
            .as_ref()
            .is_some_and(|f| f.class.leaves_outcome_unknown() && self.tape.once_in(2));
        if failure.is_none() || lost_but_done {
            self.remember();
            self.carry_out(id, to);
        }
        match (failure, self.find(id)) {
            (Some(failure), _) => ChangeResult::Failed(failure),
            (None, Some((s, _))) => ChangeResult::Done(s.fields()),
            (None, None) => ChangeResult::Failed(self::failure(FailureClass::ResourceNotFound)),
        }
    }

    fn carry_out(&mut self, id: &ResourceId, to: &ChangeableFields) {
        let suspends = to.status == SubscriptionStatus::Suspended;
        for (subscription, by) in &mut self.subscriptions {
            let own = subscription.id == *id;
            let taken_along = suspends
                && subscription.parent.as_ref() == Some(id)
                && subscription.status == SubscriptionStatus::Active;
            if own || taken_along {
                subscription.status = to.status.clone();
                *by = if suspends { By::Us } else { By::Nobody };
            }
            if own {
                subscription.auto_renew = to.auto_renew;
            }
        }
    }

    pub(in crate::domain) fn remove(&mut self, now: Time) -> Result<(), RemovalFailure> {
        if self.tape.once_in(10) {
            return Err(RemovalFailure::NotSent("the gate was closed".to_owned()));
        }
        let failed = |class| Err(RemovalFailure::Failed(failure(class)));
        let fault = self.tape.failure(Which::Removals, 3);
        if let Some(fault) = fault.clone().filter(|f| !f.class.leaves_outcome_unknown()) {
            return Err(RemovalFailure::Failed(fault));
        }
        if !self.related {
            return failed(FailureClass::NotRelated);
        }
        let active = |(s, _): &(Subscription, By)| s.status == SubscriptionStatus::Active;
        if self.subscriptions.iter().any(active) {
            return failed(FailureClass::Refused);
        }
        match fault {
            None => {}
            Some(fault) if self.tape.once_in(2) => {
                self.related = false;
                self.audit.push((now, true));
                return Err(RemovalFailure::Failed(fault));
            }
            Some(fault) => return Err(RemovalFailure::Failed(fault)),
        }
        self.related = false;
        self.audit.push((now, true));
        Ok(())
    }

    pub(in crate::domain) fn seen(&mut self) -> Seen {
        // Reading may still show what is gone, or fail.
        match self.tape.failure(Which::LookUps, 8) {
            Some(failure) => Seen::Unreadable { failure },
            None if self.related || self.tape.once_in(8) => Seen::Present {
                relationship: "reseller".to_owned(),
            },
            None => Seen::Gone {
                answer: failure(FailureClass::NotRelated),
            },
        }
    }

    pub(in crate::domain) fn audit(&mut self, since: Time) -> AuditFinding {
        if let Some(failure) = self.tape.failure(Which::LookUps, 8) {
            return AuditFinding::Unreadable { failure };
        }
        let record = |at| AuditWitness {
            id: String::new(),
            at,
            correlated: true,
            by: None,
        };
        let newest = |removed: bool| {
            let of_kind = |(at, what): &&(Time, bool)| *what == removed && *at >= since;
            self.audit.iter().filter(of_kind).map(|(at, _)| *at).max()
        };
        match (newest(false), newest(true)) {
            (Some(at), _) => AuditFinding::Reaccepted { record: record(at) },
            (None, Some(at)) => AuditFinding::Removed { record: record(at) },
            (None, None) => AuditFinding::Nothing,
        }
    }

    pub(in crate::domain) fn listed(&mut self) -> Listed {
        match self.tape.failure(Which::LookUps, 8) {
            Some(failure) => Listed::Unreadable { failure },
            None if self.related => Listed::Present,
            None => Listed::Absent,
        }
    }
}

/// The clock, moved on by the tape: mostly not at all.
pub(in crate::domain) fn tick(tape: &mut Tape, now: Time) -> Time {
    match tape.choose(6) {
        4 => later(now, SignedDuration::from_secs(i64::from(tape.choose(200)))),
        5 => later(
            now,
            SignedDuration::from_mins(i64::from(tape.choose(2_000))),
        ),
        _ => now,
    }
}
