//! Killed at random moments: the service is the real binary, Partner Center the simulator, the judge its
//! journal.
//!
//! A run is a series of lives. In each the service is started, gets the removals that nobody has
//! acknowledged yet and repeats of some that were, and is killed when so many further requests have
//! reached Partner Center, or so many further changes. That is drawn anew for each life; which of the two is
//! steered by what has been achieved so far, so that the work lasts for all kills and yet ends.
//!
//! `KILL_TEST_KILLS` (default 200) and `KILL_TEST_SEED` (default: another one each time) choose a run;
//! `docs/reliability.md` reports a run.

pub(crate) mod service;

use std::collections::BTreeMap;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use relationship_service::grpc::proto::{
    GetOffboardingStatusRequest, ListOffboardingsRequest, Offboarding, OffboardingState, Policy,
    RemoveRelationshipRequest, get_offboarding_status_request::Selector,
};
use relationship_service::simulator::{
    ControlHandle, CustomerSpec, Fault, FaultMatch, FaultRule, JournalEntry, Scenario, Simulator,
};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tonic::{Code, Status};
use uuid::Uuid;

use crate::harness;
use crate::journal::{Expected, Trial, over};
use service::{Client, Installation, Service};

const CUSTOMERS: usize = 50;
const SUBSCRIPTIONS: usize = 3;
/// Requests that a snapshot of such a customer takes.
const SNAPSHOT: u64 = 4 + SUBSCRIPTIONS as u64;
/// How often a test looks at what has happened.
const TURN: Duration = Duration::from_millis(1);
/// The longest step of the clock.
const MINUTE: Duration = Duration::from_secs(60);
/// How long a whole run may take before it is given up.
const PATIENCE: Duration = Duration::from_secs(900);

fn setting(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{name}={text:?} is no number")),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn whenever_it_is_killed_every_offboarding_ends_and_nothing_is_done_blindly() {
    let kills = setting("KILL_TEST_KILLS").unwrap_or(200);
    let seed = setting("KILL_TEST_SEED").unwrap_or_else(rand::random);
    eprintln!("KILL_TEST_KILLS={kills} KILL_TEST_SEED={seed}");
    let began = Instant::now();
    let mut run = Run::new(seed, kills).await;
    while run.killed < kills {
        run.live_and_die().await;
    }
    run.live_to_the_end().await;

    let journal = run.control().journal(0);
    let expected: Vec<Expected> = run
        .customers()
        .iter()
        .map(Expected::suspended_and_removed)
        .collect();
    let restarts = run.restarts();
    let violations = Trial::new(&journal, &restarts, &expected).violations();
    for violation in &violations {
        eprintln!("{violation}");
    }
    let removals = journal
        .iter()
        .filter(|e| e.endpoint == "update_customer")
        .count();
    let [at_work, at_rest, idle] = run.ends;
    let cut = journal.iter().filter(|e| e.finished.is_none()).count();
    eprintln!(
        "{} kills ({at_work} at work, {at_rest} at rest, {idle} when all was done; {} before it served), \
         {} starts seen upstream, {} journal entries ({cut} broken off), {removals} removals sent for \
         {CUSTOMERS} customers, {} repeats of request ids, {} violations, {:.0?}",
        run.killed,
        run.killed_early,
        restarts.len(),
        journal.len(),
        run.repeats,
        violations.len(),
        began.elapsed(),
    );
    assert!(
        violations.is_empty(),
        "{} violations, see above",
        violations.len()
    );
    assert!(
        at_work * 4 >= run.killed * 3,
        "the work ended long before the last kill"
    );
    run.simulator.shutdown().await;
}

/// Removals that callers wait for, by their place in the list.
type Calls = JoinSet<(usize, Result<Offboarding, Status>)>;

/// When a life ends.
#[derive(Clone, Copy)]
enum Moment {
    /// As soon as it serves.
    Serving,
    /// When so many requests have arrived upstream.
    Requests(u64),
    /// When so many changes have arrived upstream.
    Changes(u64),
}

/// What it was doing when it was killed.
#[derive(Clone, Copy)]
enum End {
    /// Something.
    AtWork,
    /// Every offboarding waited for the clock.
    AtRest,
    /// Every offboarding had ended.
    Idle,
}

/// One removal that a caller wants.
#[derive(Clone)]
struct Wanted {
    request: RemoveRelationshipRequest,
    /// The id of the offboarding, once somebody acknowledged it.
    acknowledged: Option<String>,
}

/// A whole run.
struct Run {
    simulator: Simulator,
    scenario: Scenario,
    installation: Installation,
    random: StdRng,
    kills: u64,
    wanted: Vec<Wanted>,
    /// Positions in the journal's order at which the service was dead.
    deaths: Vec<u64>,
    killed: u64,
    /// How often it was killed doing what, by [`End`].
    ends: [u64; 3],
    killed_early: u64,
    repeats: u64,
    /// Highest sequence number seen in the journal.
    arrived: u64,
    /// Changes made upstream, suspensions and removals, and removals alone.
    changes: u64,
    removed: u64,
    deadline: Instant,
}

impl Run {
    async fn new(seed: u64, kills: u64) -> Self {
        let scenario = Scenario::seeded(CUSTOMERS, SUBSCRIPTIONS, 1);
        let simulator = harness::simulator(scenario.clone()).await;
        // Answers that take a while, so that kills land between them.
        simulator.control().add_faults(vec![FaultRule {
            matching: FaultMatch::default(),
            skip: 0,
            count: None,
            probability: None,
            fault: Fault::Latency {
                min_ms: 1,
                max_ms: 10,
            },
        }]);
        let installation = Installation::new(&simulator, &scenario.partners[0]);
        let mut random = StdRng::seed_from_u64(seed);
        let wanted = scenario.partners[0]
            .customers
            .iter()
            .map(|customer| Wanted {
                request: RemoveRelationshipRequest {
                    customer_id: customer.id.to_string(),
                    request_id: Uuid::from_u128(random.random()).to_string(),
                    policy: Some(Policy { suspend: true }),
                    reason: "contract ended".to_owned(),
                    ..Default::default()
                },
                acknowledged: None,
            })
            .collect();
        Self {
            simulator,
            scenario,
            installation,
            random,
            kills,
            wanted,
            deaths: Vec::new(),
            killed: 0,
            ends: [0; 3],
            killed_early: 0,
            repeats: 0,
            arrived: 0,
            changes: 0,
            removed: 0,
            deadline: Instant::now() + PATIENCE,
        }
    }

    fn control(&self) -> &ControlHandle {
        self.simulator.control()
    }

    fn customers(&self) -> &[CustomerSpec] {
        &self.scenario.partners[0].customers
    }

    /// Highest sequence number in the journal. Asks only for what is new.
    fn arrived(&mut self) -> u64 {
        let newest = self.control().journal(self.arrived);
        self.arrived = newest.last().map_or(self.arrived, |entry| entry.seq);
        self.arrived
    }

    /// Takes the requests of a life that is over into account.
    fn bury(&mut self, born: u64) {
        let life = self.control().journal(born);
        let applied = |entry: &&JournalEntry| entry.applied;
        self.changes += life.iter().filter(applied).count() as u64;
        let removals = life
            .iter()
            .filter(|entry| entry.endpoint == "update_customer");
        self.removed += removals.filter(applied).count() as u64;
        let positions = life.iter().map(|entry| over(entry).max(entry.started));
        self.deaths
            .push(positions.max().or(self.deaths.last().copied()).unwrap_or(0));
    }

    /// For each death the position of the first thing that the next life did. Every life has to fetch a
    /// token first; whatever comes before was still sent by the dead.
    fn restarts(&self) -> Vec<u64> {
        let journal = self.control().journal(0);
        let tokens: Vec<u64> = journal
            .iter()
            .filter(|e| e.endpoint == "token")
            .map(|e| e.started)
            .collect();
        let mut marks: Vec<u64> = self
            .deaths
            .iter()
            .filter_map(|death| tokens.iter().copied().find(|token| token > death))
            .collect();
        marks.dedup();
        marks
    }

    /// Starts the service, lets it work until the moment drawn for this life, and kills it.
    async fn live_and_die(&mut self) {
        let moment = self.draw();
        let born = self.arrived();
        let mut service = self.installation.start();
        let mut calls = JoinSet::new();
        let mut client = None;
        let (mut quiet, mut minutes) = (0, 0);
        let end = loop {
            self.check(&mut service);
            if client.is_none()
                && let Some(address) = service.address()
            {
                let connected = Client::at(address);
                self.call(&mut calls, &connected);
                client = Some(connected);
            }
            let before = self.arrived();
            tokio::time::sleep(TURN).await;
            while let Some(answer) = calls.try_join_next() {
                self.take(answer.unwrap());
            }
            let arrived = self.arrived();
            let has_come = match moment {
                Moment::Serving => client.is_some(),
                Moment::Requests(number) => arrived >= born + number,
                Moment::Changes(number) => self.changes_since(born) >= number,
            };
            if has_come {
                break End::AtWork;
            }
            quiet = if arrived == before && calls.is_empty() {
                quiet + 1
            } else {
                0
            };
            // Nothing happens. Waiting for another claim's request to be over looks the same.
            if quiet % 50 == 49
                && let Some(client) = &mut client
            {
                let unfinished = client.unfinished().await;
                if unfinished.is_empty() && self.everybody_called() {
                    break End::Idle;
                }
                if self.all_rest(&unfinished) {
                    // The clock is for the last kills, a minute for each.
                    let late = self.killed * 10 >= self.kills * 9;
                    if !late || minutes > 0 {
                        break End::AtRest;
                    }
                    self.control().advance(MINUTE);
                    minutes += 1;
                }
            }
        };
        self.ends[end as usize] += 1;
        self.killed_early += u64::from(client.is_none());
        service.kill().await;
        self.bury(born);
        while let Some(answer) = calls.join_next().await {
            self.take(answer.unwrap());
        }
        self.killed += 1;
    }

    /// When the next life ends. As soon as there were more changes than planned, among the reads that
    /// every life begins with, so that the work lasts for all kills.
    fn draw(&mut self) -> Moment {
        let all = (CUSTOMERS * (SUBSCRIPTIONS + 1)) as u64;
        let open = CUSTOMERS as u64 - self.removed;
        let ahead = self.changes * self.kills * 9 > all * self.killed * 10;
        match self.random.random_range(0..20) {
            0 => Moment::Serving,
            1..=4 => Moment::Requests(self.random.random_range(1..=open * SNAPSHOT + 40)),
            _ if ahead => Moment::Requests(self.random.random_range(1..=open * SNAPSHOT / 2 + 1)),
            _ => Moment::Changes(self.random.random_range(1..=2 * all / self.kills + 2)),
        }
    }

    /// Changes that have arrived in this life, whether they took effect or not.
    fn changes_since(&self, born: u64) -> u64 {
        let life = self.control().journal(born);
        life.iter().filter(|entry| entry.method == "PATCH").count() as u64
    }

    fn check(&self, service: &mut Service) {
        assert!(
            Instant::now() < self.deadline,
            "not done in time: {}",
            service.log()
        );
        if let Some(status) = service.ended() {
            panic!(
                "the service ended by itself with {status}: {}",
                service.log()
            );
        }
    }

    /// Starts the service a last time and lets it finish.
    async fn live_to_the_end(&mut self) {
        let mut service = self.installation.start();
        let address = loop {
            self.check(&mut service);
            if let Some(address) = service.address() {
                break address;
            }
            tokio::time::sleep(TURN).await;
        };
        let mut client = Client::at(address);
        // Everybody asks again: what was acknowledged is there, what was not is accepted now.
        let mut calls = JoinSet::new();
        self.call_all(&mut calls, &client, |_| true);
        while let Some(answer) = calls.join_next().await {
            self.take(answer.unwrap());
        }
        loop {
            self.check(&mut service);
            let unfinished = client.unfinished().await;
            if unfinished.is_empty() {
                break;
            }
            if self.all_rest(&unfinished) {
                self.control().advance(MINUTE);
            }
            tokio::time::sleep(20 * TURN).await;
        }
        for wanted in &self.wanted {
            let id = wanted
                .acknowledged
                .clone()
                .expect("everybody got an answer");
            let ended = client.status(&id).await;
            assert_eq!(ended.customer_id, wanted.request.customer_id);
            assert_eq!(ended.state(), OffboardingState::Succeeded, "{ended:#?}");
        }
        assert_eq!(
            client.all().await.len(),
            CUSTOMERS,
            "one offboarding per customer"
        );
        service.terminate().await;
    }

    /// Some of those whom nobody has answered yet ask (again), and a few of the others.
    fn call(&mut self, calls: &mut Calls, client: &Client) {
        let mut chosen = Vec::with_capacity(self.wanted.len());
        for wanted in &self.wanted {
            let chance = if wanted.acknowledged.is_some() {
                0.05
            } else {
                0.3
            };
            chosen.push(self.random.random_bool(chance));
        }
        self.call_all(calls, client, |n| chosen[n]);
    }

    fn call_all(&self, calls: &mut Calls, client: &Client, which: impl Fn(usize) -> bool) {
        for (n, wanted) in self.wanted.iter().enumerate() {
            if which(n) {
                let (client, request) = (client.clone(), wanted.request.clone());
                calls.spawn(async move { (n, client.remove(request).await) });
            }
        }
    }

    /// An answer to a caller: the same offboarding for ever, or no answer at all.
    fn take(&mut self, (n, answer): (usize, Result<Offboarding, Status>)) {
        let wanted = &mut self.wanted[n];
        match (answer, &wanted.acknowledged) {
            (Ok(offboarding), None) => wanted.acknowledged = Some(offboarding.offboarding_id),
            (Ok(offboarding), Some(known)) => {
                assert_eq!(
                    &offboarding.offboarding_id, known,
                    "another one for the same request id"
                );
                self.repeats += 1;
            }
            // The connection died with the service, perhaps after the headers of an answer. Whatever the
            // service refuses itself carries details.
            (Err(status), _) => assert!(
                matches!(
                    status.code(),
                    Code::Unavailable | Code::Unknown | Code::Cancelled | Code::Internal
                ) && status.details().is_empty(),
                "refused: {status:?}"
            ),
        }
    }

    /// Whether nothing happens until the clock moves or somebody calls.
    fn all_rest(&self, unfinished: &[Offboarding]) -> bool {
        let now = self.control().now();
        unfinished.iter().all(|offboarding| {
            offboarding.next_action_time.is_some_and(|at| {
                (at.seconds, at.nanos) > (now.as_second(), now.subsec_nanosecond())
            })
        })
    }

    fn everybody_called(&self) -> bool {
        self.wanted
            .iter()
            .all(|wanted| wanted.acknowledged.is_some())
    }
}

impl Client {
    async fn status(&mut self, id: &str) -> Offboarding {
        let request = GetOffboardingStatusRequest {
            selector: Some(Selector::OffboardingId(id.to_owned())),
        };
        let answer = self.0.get_offboarding_status(request).await.unwrap();
        answer.into_inner().offboarding.unwrap()
    }

    async fn all(&mut self) -> BTreeMap<String, Offboarding> {
        let request = ListOffboardingsRequest {
            page_size: 1000,
            ..Default::default()
        };
        let answer = self
            .0
            .list_offboardings(request)
            .await
            .unwrap()
            .into_inner();
        assert_eq!(answer.next_page_token, "");
        answer
            .offboardings
            .into_iter()
            .map(|o| (o.offboarding_id.clone(), o))
            .collect()
    }

    /// What has not ended.
    async fn unfinished(&mut self) -> Vec<Offboarding> {
        let all = self.all().await.into_values();
        all.filter(|offboarding| offboarding.outcome.is_none())
            .collect()
    }

    async fn remove(mut self, request: RemoveRelationshipRequest) -> Result<Offboarding, Status> {
        let answer = self.0.remove_relationship(request).await?.into_inner();
        Ok(answer.offboarding.unwrap())
    }
}
