//! Limiter: how many requests per minute go to one partner, and whose is next.
//!
//! Pure bookkeeping over moments that are passed in; `limit` drives it. Reads and writes have a lane
//! each. A lane has a bucket for the partner, and one for each customer that upstream throttled by
//! itself (until then a customer's bucket could never bind before the partner's).
//!
//! A 429 closes the bucket for as long as `Retry-After` says and halves its rate, once per such
//! window; then one probe goes, and its answer opens the bucket or closes it again, without another cut. Every answer
//! raises the rate a little. Documented by Microsoft: limits are per partner, or per partner and
//! customer, and move; an answer does not say which one it was. So a first 429 counts against the
//! customer alone, a second one from another customer meanwhile against the partner too.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::bucket::Bucket;
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
            reads_per_minute: self.reads.partner.per_minute(),
            writes_per_minute: self.writes.partner.per_minute(),
            waiting: self.reads.waiting() + self.writes.waiting(),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const LANE: Lane = Lane::Read;

    fn book(per_minute: u32, now: Instant) -> Book {
        let limits = Limits {
            per_minute,
            ceiling: per_minute * 2,
        };
        Book::new(limits, now)
    }

    fn customer(n: u128) -> Option<CustomerId> {
        Some(CustomerId(uuid::Uuid::from_u128(n)))
    }

    /// Waiters stay in `kept`: a dropped receiver gives its place up.
    fn wait(
        book: &mut Book,
        who: Option<CustomerId>,
        priority: Priority,
        kept: &mut Vec<oneshot::Receiver<Permit>>,
    ) {
        let (waiter, permit) = oneshot::channel();
        book.enqueue(LANE, who, priority, waiter);
        kept.push(permit);
    }

    fn go(book: &mut Book, now: Instant) -> (Vec<Grant>, Option<Instant>) {
        let (granted, wake) = book.pump(LANE, now);
        (granted.into_iter().map(|(_, grant)| grant).collect(), wake)
    }

    fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    #[test]
    fn the_burst_goes_at_once_and_the_rest_at_the_rate() {
        let now = Instant::now();
        let mut book = book(60, now);
        let mut kept = Vec::new();
        for _ in 0..62 {
            wait(&mut book, customer(1), Priority::Background, &mut kept);
        }
        let (first, wake) = go(&mut book, now);
        assert_eq!(first.len(), 60);
        let wake = wake.unwrap();
        assert!(wake > now && wake <= now + seconds(1) + Duration::from_millis(1));
        assert_eq!(go(&mut book, wake).0.len(), 1);
        assert_eq!(go(&mut book, now + seconds(5)).0.len(), 1);
    }

    #[test]
    fn who_waits_for_somebody_goes_first_and_customers_take_turns() {
        let now = Instant::now();
        let mut book = book(60, now);
        let mut kept = Vec::new();
        for _ in 0..3 {
            wait(&mut book, customer(1), Priority::Background, &mut kept);
        }
        wait(&mut book, customer(2), Priority::Background, &mut kept);
        wait(&mut book, customer(3), Priority::Started, &mut kept);
        wait(&mut book, customer(4), Priority::Interactive, &mut kept);
        let order: Vec<_> = go(&mut book, now).0.iter().map(|g| g.customer).collect();
        assert_eq!(order, [4, 3, 1, 2, 1, 1].map(customer));
    }

    #[test]
    fn one_customers_pause_holds_only_that_customer_and_ends_with_one_probe() {
        let now = Instant::now();
        let mut book = book(600, now);
        let mut kept = Vec::new();
        wait(&mut book, customer(1), Priority::Started, &mut kept);
        let first = go(&mut book, now).0[0];
        book.ended(&first, Ended::Throttled(seconds(30)), now);
        assert_eq!(book.closed_for(LANE, customer(1), now), Some(seconds(30)));
        assert_eq!(book.closed_for(LANE, customer(2), now), None);

        for who in [1, 1, 2] {
            wait(&mut book, customer(who), Priority::Started, &mut kept);
        }
        let (granted, wake) = go(&mut book, now);
        assert_eq!(granted.len(), 1);
        assert_eq!(granted[0].customer, customer(2));
        assert_eq!(wake, Some(now + seconds(30)));

        let later = now + seconds(30);
        let (probe, wake) = go(&mut book, later);
        assert_eq!((probe.len(), wake), (1, None));
        book.ended(&probe[0], Ended::Answered, later);
        let (rest, wake) = go(&mut book, later);
        assert!(rest.is_empty());
        assert_eq!(go(&mut book, wake.unwrap()).0.len(), 1);
    }

    #[test]
    fn a_probe_without_answer_lets_another_one_go() {
        let now = Instant::now();
        let mut book = book(600, now);
        let mut kept = Vec::new();
        wait(&mut book, None, Priority::Started, &mut kept);
        let first = go(&mut book, now).0[0];
        book.ended(&first, Ended::Throttled(seconds(5)), now);
        let later = now + seconds(5);
        for _ in 0..2 {
            wait(&mut book, None, Priority::Started, &mut kept);
            let probe = go(&mut book, later).0;
            assert_eq!(probe.len(), 1);
            book.ended(&probe[0], Ended::NoAnswer, later);
        }
    }

    #[test]
    fn two_throttled_customers_mean_the_partner() {
        let now = Instant::now();
        let mut book = book(600, now);
        let mut kept = Vec::new();
        for who in [1, 2] {
            wait(&mut book, customer(who), Priority::Started, &mut kept);
        }
        let granted = go(&mut book, now).0;
        book.ended(&granted[0], Ended::Throttled(seconds(30)), now);
        book.ended(&granted[1], Ended::Throttled(seconds(30)), now);
        assert_eq!(book.closed_for(LANE, customer(3), now), Some(seconds(30)));
        assert_eq!(book.closed_for(Lane::Write, customer(3), now), None);
        assert_eq!(book.rates().reads_per_minute.round(), 300.0);
    }

    #[test]
    fn the_rate_is_cut_once_per_window_and_grows_again() {
        let now = Instant::now();
        let mut book = book(600, now);
        let mut kept = Vec::new();
        for _ in 0..10 {
            wait(&mut book, None, Priority::Started, &mut kept);
        }
        let granted = go(&mut book, now).0;
        for grant in &granted[..5] {
            book.ended(grant, Ended::Throttled(seconds(30)), now);
        }
        assert_eq!(book.rates().reads_per_minute.round(), 300.0);
        book.ended(
            &granted[5],
            Ended::Throttled(seconds(30)),
            now + seconds(31),
        );
        assert_eq!(book.rates().reads_per_minute.round(), 150.0);
        book.ended(&granted[6], Ended::Answered, now + seconds(90));
        assert!(book.rates().reads_per_minute > 150.0);
    }

    #[test]
    fn a_probe_that_is_turned_away_cuts_nothing_more() {
        let mut now = Instant::now();
        let mut book = book(600, now);
        let mut kept = Vec::new();
        for _ in 0..5 {
            wait(&mut book, None, Priority::Started, &mut kept);
        }
        let granted = go(&mut book, now).0;
        book.ended(&granted[0], Ended::Throttled(seconds(2)), now);
        for _ in 0..4 {
            now += seconds(3);
            wait(&mut book, None, Priority::Started, &mut kept);
            let probe = go(&mut book, now).0;
            assert_eq!(probe.len(), 1);
            book.ended(&probe[0], Ended::Throttled(seconds(2)), now);
        }
        assert_eq!(book.rates().reads_per_minute.round(), 300.0);
    }

    #[test]
    fn who_has_gone_takes_nobodys_turn() {
        let now = Instant::now();
        let mut book = book(60, now);
        let mut gone = Vec::new();
        let mut kept = Vec::new();
        wait(&mut book, customer(1), Priority::Interactive, &mut gone);
        wait(&mut book, customer(1), Priority::Background, &mut kept);
        gone.clear();
        assert_eq!(go(&mut book, now).0.len(), 1);
        assert_eq!(book.rates().waiting, 0);
    }
}
