//! Limiter: how many requests per minute go to one partner, and whose is next.
//!
//! Pure bookkeeping over moments that are passed in; `limit` drives it. Reads and writes have a lane
//! each. A lane has a bucket for the partner, and one for each customer that upstream throttled by
//! itself (until then a customer's bucket could never bind before the partner's).
//!
//! A 429 closes the bucket for as long as `Retry-After` says and halves its rate, once per such
//! window; then one probe goes, and its answer opens the bucket or closes it again. Every answer
//! raises the rate a little. Documented by Microsoft: limits are per partner, or per partner and
//! customer, and move; an answer does not say which one it was. So a first 429 counts against the
//! customer alone, a second one from another customer meanwhile against the partner too.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::limit::Permit;
use crate::application::upstream::Priority;
use crate::domain::ids::CustomerId;

/// How fast to begin, and between what bounds to adapt.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// Requests per minute to begin with; also the largest burst. Documented by Microsoft: 500.
    pub per_minute: u32,
    /// Never faster than this, in requests per minute.
    pub ceiling: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            per_minute: 500,
            ceiling: 2_000,
        }
    }
}

/// Slowest rate that cuts lead to, in requests per minute.
const FLOOR: f64 = 6.0;
/// What a minute of full use without a 429 adds, in requests per minute.
const INCREASE: f64 = 10.0;
/// Customers' own buckets kept before those that have recovered are dropped.
const MANY: usize = 1_000;

/// Rates in force, for metrics.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rates {
    /// Reads per minute.
    pub reads_per_minute: f64,
    /// Writes per minute.
    pub writes_per_minute: f64,
    /// Requests that wait.
    pub waiting: usize,
}

/// Reads or writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lane {
    Read,
    Write,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum State {
    Open,
    Closed { until: Instant },
    Probing,
}

#[derive(Debug)]
struct Bucket {
    /// Per second.
    rate: f64,
    tokens: f64,
    refilled: Instant,
    state: State,
    /// End of the Retry-After window that was already paid for with a cut.
    cut_until: Option<Instant>,
    limits: Limits,
}

impl Bucket {
    fn new(limits: Limits, now: Instant) -> Self {
        Self {
            rate: f64::from(limits.per_minute.max(1)) / 60.0,
            tokens: f64::from(limits.per_minute.max(1)),
            refilled: now,
            state: State::Open,
            cut_until: None,
            limits,
        }
    }

    fn refill(&mut self, now: Instant) {
        let burst = (self.rate * 60.0).min(f64::from(self.limits.per_minute.max(1)));
        let elapsed = now.saturating_duration_since(self.refilled).as_secs_f64();
        self.tokens = (self.tokens + elapsed * self.rate).min(burst.max(1.0));
        self.refilled = now;
    }

    /// From when on a request may go; `None`: when the probe is back.
    fn ready_at(&mut self, now: Instant) -> Option<Instant> {
        match self.state {
            State::Open => {
                self.refill(now);
                let missing = 1.0 - self.tokens;
                if missing <= 1e-9 {
                    return Some(now);
                }
                // Rounded up, so that the timer does not fire a hair too early.
                let wait = Duration::from_secs_f64(missing / self.rate);
                Some(now + wait + Duration::from_micros(10))
            }
            State::Closed { until } => Some(until.max(now)),
            State::Probing => None,
        }
    }

    /// Takes one request; whether it is a probe.
    fn take(&mut self, now: Instant) -> bool {
        match self.state {
            State::Open => {
                self.refill(now);
                self.tokens -= 1.0;
                false
            }
            State::Closed { .. } | State::Probing => {
                self.state = State::Probing;
                true
            }
        }
    }

    fn answered(&mut self, probe: bool, now: Instant) {
        if probe && self.state == State::Probing {
            self.state = State::Open;
            self.tokens = 0.0;
            self.refilled = now;
        }
        let per_minute = self.rate * 60.0;
        let ceiling = f64::from(self.limits.ceiling.max(self.limits.per_minute));
        self.rate = (per_minute + INCREASE / per_minute).min(ceiling) / 60.0;
    }

    fn throttled(&mut self, wait: Duration, now: Instant) {
        if self.cut_until.is_none_or(|until| now >= until) {
            self.rate = (self.rate * 60.0 / 2.0).max(FLOOR) / 60.0;
            self.cut_until = Some(now + wait);
        }
        let until = match self.state {
            State::Closed { until } => until.max(now + wait),
            _ => now + wait,
        };
        self.state = State::Closed { until };
        self.tokens = 0.0;
    }

    fn abandoned(&mut self, probe: bool, now: Instant) {
        if probe && self.state == State::Probing {
            self.state = State::Closed { until: now };
        }
    }

    /// How long it stays closed; `None` when it is open.
    fn closed_for(&self, now: Instant) -> Option<Duration> {
        match self.state {
            State::Open => None,
            State::Closed { until } => Some(until.saturating_duration_since(now)),
            State::Probing => Some(Duration::ZERO),
        }
    }

    fn recovered(&self) -> bool {
        self.state == State::Open && self.rate * 60.0 >= f64::from(self.limits.per_minute)
    }
}

/// What a permit has to give back.
#[derive(Debug, Clone, Copy)]
pub(super) struct Grant {
    pub(super) lane: Lane,
    pub(super) customer: Option<CustomerId>,
    partner_probe: bool,
    customer_probe: bool,
}

/// How a permitted request ended.
#[derive(Debug, Clone, Copy)]
pub(super) enum Ended {
    /// With an answer that was not 429.
    Answered,
    /// With 429 and this wait.
    Throttled(Duration),
    /// Without answer.
    NoAnswer,
}

pub(super) type Waiter = oneshot::Sender<Permit>;

/// Requests of one priority, one of each customer in turn.
#[derive(Debug, Default)]
struct Ring {
    turn: VecDeque<Option<CustomerId>>,
    waiting: HashMap<Option<CustomerId>, VecDeque<Waiter>>,
}

#[derive(Debug)]
struct LaneState {
    lane: Lane,
    limits: Limits,
    partner: Bucket,
    customers: HashMap<CustomerId, Bucket>,
    rings: [Ring; 3],
    /// When the timer that was set last goes off.
    armed: Option<Instant>,
}

impl LaneState {
    fn new(lane: Lane, limits: Limits, now: Instant) -> Self {
        Self {
            lane,
            limits,
            partner: Bucket::new(limits, now),
            customers: HashMap::new(),
            rings: Default::default(),
            armed: None,
        }
    }

    fn enqueue(&mut self, customer: Option<CustomerId>, priority: Priority, waiter: Waiter) {
        let ring = &mut self.rings[match priority {
            Priority::Interactive => 0,
            Priority::Started => 1,
            Priority::Background => 2,
        }];
        let queue = ring.waiting.entry(customer).or_default();
        if queue.is_empty() {
            ring.turn.push_back(customer);
        }
        queue.push_back(waiter);
    }

    /// Everything that may go now, and when to ask again.
    fn pump(&mut self, now: Instant) -> (Vec<(Waiter, Grant)>, Option<Instant>) {
        let mut granted = Vec::new();
        loop {
            match self.partner.ready_at(now) {
                Some(at) if at <= now => {}
                later => {
                    self.forget_the_gone();
                    let anyone = self.rings.iter().any(|ring| !ring.turn.is_empty());
                    return (granted, later.filter(|_| anyone));
                }
            }
            let (next, wake) = self.next_waiter(now);
            let Some((customer, waiter)) = next else {
                return (granted, wake);
            };
            let customer_probe = customer
                .and_then(|id| self.customers.get_mut(&id))
                .is_some_and(|bucket| bucket.take(now));
            let grant = Grant {
                lane: self.lane,
                customer,
                partner_probe: self.partner.take(now),
                customer_probe,
            };
            granted.push((waiter, grant));
        }
    }

    /// Takes the next waiter whose customer's bucket lets it go, or says when one may.
    #[allow(clippy::type_complexity)]
    fn next_waiter(
        &mut self,
        now: Instant,
    ) -> (Option<(Option<CustomerId>, Waiter)>, Option<Instant>) {
        let mut wake: Option<Instant> = None;
        for ring in &mut self.rings {
            for _ in 0..ring.turn.len() {
                let Some(customer) = ring.turn.pop_front() else {
                    break;
                };
                let Some(queue) = ring.waiting.get_mut(&customer) else {
                    continue;
                };
                queue.retain(|waiter| !waiter.is_closed());
                if queue.is_empty() {
                    ring.waiting.remove(&customer);
                    continue;
                }
                let ready = match customer.and_then(|id| self.customers.get_mut(&id)) {
                    Some(bucket) => bucket.ready_at(now),
                    None => Some(now),
                };
                if ready.is_none_or(|at| at > now) {
                    wake = match (wake, ready) {
                        (Some(a), Some(b)) => Some(a.min(b)),
                        (a, b) => a.or(b),
                    };
                    ring.turn.push_back(customer);
                    continue;
                }
                let waiter = queue.pop_front();
                if queue.is_empty() {
                    ring.waiting.remove(&customer);
                } else {
                    ring.turn.push_back(customer);
                }
                if let Some(waiter) = waiter {
                    return (Some((customer, waiter)), wake);
                }
            }
        }
        (None, wake)
    }

    /// Drops waiters that nobody waits behind any more.
    fn forget_the_gone(&mut self) {
        for ring in &mut self.rings {
            ring.waiting.retain(|_, queue| {
                queue.retain(|waiter| !waiter.is_closed());
                !queue.is_empty()
            });
            ring.turn
                .retain(|customer| ring.waiting.contains_key(customer));
        }
    }

    fn ended(&mut self, grant: &Grant, how: Ended, now: Instant) {
        match how {
            Ended::Answered => {
                self.partner.answered(grant.partner_probe, now);
                if let Some(bucket) = grant.customer.and_then(|id| self.customers.get_mut(&id)) {
                    bucket.answered(grant.customer_probe, now);
                }
            }
            Ended::NoAnswer => {
                self.partner.abandoned(grant.partner_probe, now);
                if let Some(bucket) = grant.customer.and_then(|id| self.customers.get_mut(&id)) {
                    bucket.abandoned(grant.customer_probe, now);
                }
            }
            Ended::Throttled(wait) => self.throttled(grant, wait, now),
        }
    }

    fn throttled(&mut self, grant: &Grant, wait: Duration, now: Instant) {
        let Some(customer) = grant.customer else {
            self.partner.throttled(wait, now);
            return;
        };
        let others_too = self
            .customers
            .iter()
            .any(|(id, bucket)| *id != customer && bucket.closed_for(now).is_some());
        if self.customers.len() >= MANY {
            self.customers.retain(|_, bucket| !bucket.recovered());
        }
        let limits = self.limits;
        self.customers
            .entry(customer)
            .or_insert_with(|| Bucket::new(limits, now))
            .throttled(wait, now);
        if others_too || grant.partner_probe {
            self.partner.throttled(wait, now);
        }
    }

    fn closed_for(&self, customer: Option<CustomerId>, now: Instant) -> Option<Duration> {
        let own = customer
            .and_then(|id| self.customers.get(&id))
            .and_then(|bucket| bucket.closed_for(now));
        self.partner.closed_for(now).max(own)
    }

    fn waiting(&self) -> usize {
        self.rings
            .iter()
            .flat_map(|ring| ring.waiting.values())
            .map(VecDeque::len)
            .sum()
    }
}

/// Both lanes of one partner.
#[derive(Debug)]
pub(super) struct Book {
    reads: LaneState,
    writes: LaneState,
}

impl Book {
    pub(super) fn new(limits: Limits, now: Instant) -> Self {
        Self {
            reads: LaneState::new(Lane::Read, limits, now),
            writes: LaneState::new(Lane::Write, limits, now),
        }
    }

    fn lane(&mut self, lane: Lane) -> &mut LaneState {
        match lane {
            Lane::Read => &mut self.reads,
            Lane::Write => &mut self.writes,
        }
    }

    /// Puts a request into its queue.
    pub(super) fn enqueue(
        &mut self,
        lane: Lane,
        customer: Option<CustomerId>,
        priority: Priority,
        waiter: Waiter,
    ) {
        self.lane(lane).enqueue(customer, priority, waiter);
    }

    /// Everything of a lane that may go now, and when to ask again.
    pub(super) fn pump(
        &mut self,
        lane: Lane,
        now: Instant,
    ) -> (Vec<(Waiter, Grant)>, Option<Instant>) {
        self.lane(lane).pump(now)
    }

    /// Whether a timer for `at` has to be set: none that is set already goes off before.
    pub(super) fn arm(&mut self, lane: Lane, at: Instant) -> bool {
        let armed = &mut self.lane(lane).armed;
        let needed = armed.is_none_or(|set| at < set);
        if needed {
            *armed = Some(at);
        }
        needed
    }

    /// Notes that the timer for `at` went off.
    pub(super) fn disarm(&mut self, lane: Lane, at: Instant) {
        let armed = &mut self.lane(lane).armed;
        if *armed == Some(at) {
            *armed = None;
        }
    }

    /// Notes how a granted request ended.
    pub(super) fn ended(&mut self, grant: &Grant, how: Ended, now: Instant) {
        self.lane(grant.lane).ended(grant, how, now);
    }

    /// How long upstream still wants this customer's requests held back; `None`: it does not.
    pub(super) fn closed_for(
        &mut self,
        lane: Lane,
        customer: Option<CustomerId>,
        now: Instant,
    ) -> Option<Duration> {
        self.lane(lane).closed_for(customer, now)
    }

    /// Rates in force.
    pub(super) fn rates(&self) -> Rates {
        Rates {
            reads_per_minute: self.reads.partner.rate * 60.0,
            writes_per_minute: self.writes.partner.rate * 60.0,
            waiting: self.reads.waiting() + self.writes.waiting(),
        }
    }
}
