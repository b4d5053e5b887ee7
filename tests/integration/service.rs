//! The running service and its commands, each a process of its own, as an operator uses them.

use std::net::SocketAddr;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use relationship_service::grpc::proto::ListOffboardingsRequest;
use relationship_service::simulator::{
    ControlHandle, Fault, FaultMatch, FaultRule, Scenario, Simulator,
};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use uuid::Uuid;

use crate::harness::{self, PATIENCE};
use crate::journal::{Expected, Trial, over};
use crate::kill::service::{Client, Installation, Service};

/// How often a test looks at what has happened.
const TURN: Duration = Duration::from_millis(10);

/// A simulated Partner Center and a service that runs.
struct Site {
    scenario: Scenario,
    simulator: Simulator,
    installation: Installation,
    /// None while it is being replaced.
    service: Option<Service>,
    address: SocketAddr,
}

/// What a command answered.
struct Answer {
    status: ExitStatus,
    stdout: String,
    stderr: String,
}

impl Answer {
    /// Fails unless the command ended with this code.
    #[track_caller]
    fn ends_with(self, code: i32) -> Self {
        assert_eq!(
            self.status.code(),
            Some(code),
            "{}\n{}",
            self.stdout,
            self.stderr
        );
        self
    }

    #[track_caller]
    fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap()
    }

    fn lines(&self) -> Vec<Value> {
        self.stdout
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// The reason of the error.
    #[track_caller]
    fn reason(&self) -> Value {
        let line = self.stderr.lines().last().unwrap();
        serde_json::from_str::<Value>(line).unwrap()["error"]["reason"].clone()
    }
}

impl Site {
    async fn new(customers: usize, subscriptions: usize) -> Self {
        let scenario = Scenario::seeded(customers, subscriptions, 1);
        let simulator = harness::simulator(scenario.clone()).await;
        let installation = Installation::new(&simulator, &scenario.partners[0]);
        let mut service = installation.start();
        let address = serving(&mut service).await;
        Self {
            scenario,
            simulator,
            installation,
            service: Some(service),
            address,
        }
    }

    /// Starts the service where it was before.
    async fn start_again(&mut self) {
        let mut service = self.start_another();
        serving(&mut service).await;
        self.service = Some(service);
    }

    /// Starts a service with the same configuration; does not wait until it serves.
    fn start_another(&self) -> Service {
        self.installation
            .start_with(&["--listen", &self.address.to_string()])
    }

    fn control(&self) -> &ControlHandle {
        self.simulator.control()
    }

    fn customer(&self, n: usize) -> String {
        self.scenario.partners[0].customers[n].id.to_string()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_relationship-service"));
        command
            .args(arguments)
            .env("RELATIONSHIP_SERVER", format!("http://{}", self.address))
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }

    async fn run(&self, arguments: &[&str]) -> Answer {
        let output = tokio::time::timeout(PATIENCE, self.command(arguments).output());
        let output = output.await.unwrap().unwrap();
        Answer {
            status: output.status,
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Moves the business clock by a minute whenever every unfinished offboarding waits for it.
    fn keep_time(&self) -> JoinHandle<()> {
        let control = self.control().clone();
        let mut client = Client::at(self.address);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(TURN).await;
                let Ok(page) = client
                    .0
                    .list_offboardings(ListOffboardingsRequest::default())
                    .await
                else {
                    continue;
                };
                let offboardings = page.into_inner().offboardings;
                let now = control.now().as_second();
                let waits = offboardings
                    .iter()
                    .filter_map(|offboarding| offboarding.next_action_time.as_ref())
                    .collect::<Vec<_>>();
                if !waits.is_empty() && waits.iter().all(|at| at.seconds > now) {
                    control.advance(Duration::from_secs(60));
                }
            }
        })
    }

    async fn stop(self) {
        self.service.unwrap().terminate().await;
        self.simulator.shutdown().await;
    }
}

/// Waits until the service serves.
async fn serving(service: &mut Service) -> SocketAddr {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(address) = service.address() {
            return address;
        }
        assert!(service.ended().is_none(), "it ended: {}", service.log());
        assert!(
            Instant::now() < deadline,
            "it does not serve: {}",
            service.log()
        );
        tokio::time::sleep(TURN).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn from_the_preview_to_the_proof_by_commands_alone() {
    let site = Site::new(1, 3).await;
    let customer = &site.customer(0);

    let preview = site.run(&["preview", customer, "--json"]).await;
    let preview = preview.ends_with(0).json();
    assert_eq!(preview["removable"], false);
    assert_eq!(preview["blockers"].as_array().unwrap().len(), 3);
    let blocked = site.run(&["preview", customer, "--exit-code"]).await;
    assert!(!blocked.ends_with(3).stdout.contains('\u{1b}'));

    let refused = site
        .run(&["remove", customer, "--reason", "contract ended", "--json"])
        .await
        .ends_with(3);
    assert_eq!(refused.reason(), "BLOCKED");

    let planned = site
        .run(&["preview", customer, "--suspend", "--json"])
        .await;
    let hash = planned.ends_with(0).json()["plan"]["plan_hash"]
        .as_str()
        .unwrap()
        .to_owned();
    let request = Uuid::new_v4().to_string();
    let mut remove = vec![
        "remove",
        customer,
        "--reason",
        "contract ended",
        "--suspend",
        "--request-id",
        &request,
        "--plan-hash",
        &hash,
        "--json",
    ];
    let other = "0".repeat(64);
    remove[8] = &other;
    assert_eq!(
        site.run(&remove).await.ends_with(8).reason(),
        "PLAN_CHANGED"
    );
    remove[8] = &hash;
    let time = site.keep_time();
    let removed = site.run(&[&remove[..], &["--wait"]].concat()).await;
    time.abort();
    let lines = removed.ends_with(0).lines();
    let end = lines.last().unwrap();
    assert_eq!(end["status"]["state"], "OFFBOARDING_STATE_SUCCEEDED");
    let events: Vec<i64> = lines
        .iter()
        .filter_map(|line| line["event"]["sequence"].as_i64())
        .collect();
    let last = end["status"]["sequence"].as_i64().unwrap();
    assert_eq!(events, (1..=last).collect::<Vec<_>>());

    let id = end["status"]["offboarding_id"].as_str().unwrap();
    let log = site.run(&["events", id, "--json"]).await.ends_with(0);
    assert_eq!(
        log.json()["events"].as_array().unwrap().len(),
        events.len(),
        "the log has what the watch showed"
    );
    let again = site.run(&remove).await.ends_with(0).json();
    assert_eq!(again["offboarding_id"], id, "the same request id");
    let status = site.run(&["status", "--customer", customer]).await;
    assert!(status.ends_with(0).stdout.contains("SUCCEEDED"));
    let list = site.run(&["list", "--state", "succeeded", "--json"]).await;
    assert_eq!(
        list.ends_with(0).json()["offboardings"][0]["offboarding_id"],
        id
    );
    let cancel = site
        .run(&["cancel", id, "--reason", "too late", "--json"])
        .await;
    assert_eq!(cancel.ends_with(3).reason(), "OFFBOARDING_ENDED");
    let link = site.run(&["link"]).await.ends_with(0);
    assert!(link.stdout.starts_with("https://"), "{}", link.stdout);
    let nobody = Uuid::new_v4().to_string();
    let missing = site.run(&["status", &nobody, "--json"]).await.ends_with(4);
    assert_eq!(missing.reason(), "OFFBOARDING_NOT_FOUND");
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_cancelled_before_it_began_tells_so_by_its_exit_code() {
    let site = Site::new(1, 1).await;
    let customer = &site.customer(0);
    let remove = [
        "remove",
        customer,
        "--reason",
        "r",
        "--suspend",
        "--json",
        "--not-before",
    ];
    let later = site
        .run(&[&remove[..], &["2090-01-01T00:00:00Z"]].concat())
        .await;
    let scheduled = later.ends_with(0).json();
    assert_eq!(scheduled["state"], "OFFBOARDING_STATE_SCHEDULED");
    let id = scheduled["offboarding_id"].as_str().unwrap();

    let second = site.run(&remove[..6]).await.ends_with(8);
    assert_eq!(second.reason(), "OFFBOARDING_IN_PROGRESS");
    site.run(&["cancel", id, "--reason", "stays", "--wait"])
        .await
        .ends_with(0);
    site.run(&["watch", id]).await.ends_with(6);
    let changes = site.control().journal(0);
    assert!(
        changes.iter().all(|entry| !entry.applied),
        "nothing was changed"
    );
    site.stop().await;
}

/// Reads the lines of a watch up to one that says what is looked for; remembers the sequences.
async fn read_until(
    lines: &mut Lines<BufReader<ChildStdout>>,
    seen: &mut Vec<i64>,
    found: impl Fn(&Value) -> bool,
) {
    loop {
        let line = tokio::time::timeout(PATIENCE, lines.next_line()).await;
        let line = line.unwrap().unwrap().expect("the watch ended");
        let line: Value = serde_json::from_str(&line).unwrap();
        seen.extend(line["event"]["sequence"].as_i64());
        if found(&line) {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_goes_on_where_the_service_died() {
    let mut site = Site::new(1, 2).await;
    let customer = &site.customer(0);
    let accepted = site
        .run(&["remove", customer, "--reason", "r", "--suspend", "--json"])
        .await;
    let accepted = accepted.ends_with(0).json();
    let id = accepted["offboarding_id"].as_str().unwrap().to_owned();
    let mut watch: Child = site
        .command(&["watch", &id, "--json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(watch.stdout.take().unwrap()).lines();
    let mut seen = Vec::new();
    // It waits for witnesses now, since nobody moves the clock.
    read_until(&mut lines, &mut seen, |line| {
        line["event"]["type"] == "observed"
    })
    .await;

    let mut another = site.start_another();
    let refused = loop {
        if let Some(status) = another.ended() {
            break status;
        }
        tokio::time::sleep(TURN).await;
    };
    assert_eq!(refused.code(), Some(1), "two services on one database");
    let mut first = site.service.take().unwrap();
    assert!(first.ended().is_none(), "the first goes on");
    first.kill().await;
    site.start_again().await;

    let time = site.keep_time();
    read_until(&mut lines, &mut seen, |line| {
        line["status"]["state"] == "OFFBOARDING_STATE_SUCCEEDED"
    })
    .await;
    time.abort();
    assert_eq!(watch.wait().await.unwrap().code(), Some(0));
    let newest = *seen.last().unwrap();
    assert_eq!(
        seen,
        (1..=newest).collect::<Vec<_>>(),
        "each event once, in order"
    );
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_in_the_middle_loses_nothing() {
    const CUSTOMERS: usize = 6;
    let mut site = Site::new(CUSTOMERS, 2).await;
    site.control().add_faults(vec![FaultRule {
        matching: FaultMatch::default(),
        skip: 0,
        count: None,
        probability: None,
        fault: Fault::Latency {
            min_ms: 20,
            max_ms: 60,
        },
    }]);
    for n in 0..CUSTOMERS {
        let customer = &site.customer(n);
        site.run(&["remove", customer, "--reason", "r", "--suspend"])
            .await
            .ends_with(0);
    }
    let deadline = Instant::now() + PATIENCE;
    while !site.control().journal(0).iter().any(|entry| entry.applied) {
        assert!(
            Instant::now() < deadline,
            "nothing was changed: {}",
            site.service.as_ref().unwrap().log()
        );
        tokio::time::sleep(TURN).await;
    }
    site.service.take().unwrap().terminate().await;
    let journal = site.control().journal(0);
    let death = journal.iter().map(over).max().unwrap();
    let cut = journal.iter().filter(|e| e.finished.is_none()).count();
    assert_eq!(
        cut, 0,
        "what was being asked of Partner Center was waited for"
    );

    site.start_again().await;
    let time = site.keep_time();
    for n in 0..CUSTOMERS {
        let status = site
            .run(&["status", "--customer", &site.customer(n), "--json"])
            .await;
        let id = status.ends_with(0).json()["offboarding_id"]
            .as_str()
            .unwrap()
            .to_owned();
        site.run(&["watch", &id]).await.ends_with(0);
    }
    time.abort();
    let expected: Vec<Expected> = site.scenario.partners[0]
        .customers
        .iter()
        .map(Expected::suspended_and_removed)
        .collect();
    let journal = site.control().journal(0);
    let violations = Trial::new(&journal, &[death + 1], &expected).violations();
    assert!(violations.is_empty(), "{violations:#?}");
    site.stop().await;
}
