//! From `RemoveRelationship` to the removal reaching Partner Center, against the critical path.
//!
//! One customer with 50 active subscriptions, every answer of Partner Center 50 ms late. What has to
//! happen one after the other are eight round trips: three snapshots of two dependent reads each (for the
//! acceptance, before suspending, before the removal), and the read and the change of a suspension, all
//! suspensions side by side. Everything above that is ours. The service, its database file and gRPC are
//! the real ones; Partner Center is the simulator, whose journal holds the times. The token is there, and
//! the limiter lies above the load.
//!
//! Prints where the time goes and fails when the median takes more than 1.3 times the critical path.

#![allow(clippy::unwrap_used, reason = "in a benchmark a panic is the report")]

use std::process::ExitCode;
use std::time::Duration;

use jiff::Timestamp;
use relationship_service::config::{Config, Sources};
use relationship_service::grpc::proto::relationship_service_client::RelationshipServiceClient;
use relationship_service::grpc::proto::{Policy, RemoveRelationshipRequest};
use relationship_service::serve;
use relationship_service::simulator::{
    JournalEntry, Scenario, Simulator, SimulatorConfig, SubscriptionKind,
};
use tokio::net::TcpListener;
use tonic::transport::{Channel, Endpoint};
use uuid::Uuid;

const SUBSCRIPTIONS: usize = 50;
const LATENCY: Duration = Duration::from_millis(50);
const RUNS: usize = 15;
/// Allowed over the critical path.
const LIMIT: f64 = 1.3;
/// How long a run may take before it is given up.
const PATIENCE: Duration = Duration::from_secs(30);

/// What happens between the first request of one round trip and the first of the next: its name, and how
/// many round trips it holds.
const LEGS: [(&str, u32); 9] = [
    ("call, validation, look-ups", 0),
    ("acceptance: customer, subscriptions, …", 1),
    ("acceptance: add-ons; stored; claimed", 1),
    ("before suspending: customer, …", 1),
    ("before suspending: add-ons; intents stored", 1),
    ("reading each subscription", 1),
    ("suspending each; outcomes stored", 1),
    ("before the removal: customer, …", 1),
    ("before the removal: add-ons; intent stored", 1),
];

fn main() -> ExitCode {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut runs = runtime.block_on(measure());
    runs.sort_by(|a, b| a.total().total_cmp(&b.total()));
    report(&runs)
}

/// One run: the length of each leg in milliseconds.
struct Run(Vec<f64>);

impl Run {
    fn total(&self) -> f64 {
        self.0.iter().sum()
    }
}

async fn measure() -> Vec<Run> {
    // One to warm up. Those with an add-on take one snapshot more and are left out.
    let mut scenario = Scenario::seeded((RUNS + 1) * 4 / 3 + 1, SUBSCRIPTIONS, 1);
    let flat = |subscriptions: &[_]| {
        let addon = |s: &relationship_service::simulator::SubscriptionSpec| {
            s.kind == SubscriptionKind::LegacyAddon
        };
        !subscriptions.iter().any(addon)
    };
    scenario.partners[0]
        .customers
        .retain(|customer| flat(&customer.subscriptions));
    let customers: Vec<Uuid> = scenario.partners[0]
        .customers
        .iter()
        .map(|c| c.id)
        .collect();
    assert!(customers.len() > RUNS);

    let folder = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let simulator = SimulatorConfig {
        latency: Some(LATENCY),
        ..SimulatorConfig::new(scenario.clone())
    };
    let simulator = Simulator::start(simulator, listener).await.unwrap();
    let service = serve::start(config(&simulator, &scenario, folder.path()))
        .await
        .unwrap();
    let client = Endpoint::from_shared(format!("http://{}", service.local_addr()))
        .unwrap()
        .connect()
        .await
        .unwrap();
    let client = RelationshipServiceClient::new(client);
    let mut runs = Vec::new();
    for customer in customers.into_iter().take(RUNS + 1) {
        runs.push(remove(&client, &simulator, customer).await);
    }
    service.stop().await.unwrap();
    simulator.shutdown().await;
    runs.remove(0);
    runs
}

fn config(simulator: &Simulator, scenario: &Scenario, folder: &std::path::Path) -> Config {
    let partner = &scenario.partners[0];
    let file = |name: &str, content: &str| {
        let path = folder.join(name);
        std::fs::write(&path, content).unwrap();
        path
    };
    let secret = file("client-secret", partner.client_secret.as_deref().unwrap());
    let refresh = file("refresh-token", &partner.refresh_token);
    let base = simulator.base_url();
    let text = format!(
        r#"
        listen = "127.0.0.1:0"
        database = "{database}"
        [partners.sim]
        tenant = "{tenant}"
        cloud = "custom"
        base_url = "{base}"
        grant = "refresh_token"
        client_id = "{client}"
        client_secret_file = "{secret}"
        refresh_token_file = "{refresh}"
        requests_per_minute = 1000000
        business_clock = "{base}control/clock"
        "#,
        database = folder.join("relationship.db").display(),
        tenant = partner.tenant_id,
        client = partner.client_id,
        secret = secret.display(),
        refresh = refresh.display(),
    );
    let sources = Sources {
        file: Some(file("config.toml", &text)),
        environment: Vec::new(),
        flags: Vec::new(),
    };
    Config::load(&sources).unwrap()
}

/// Removes one customer and measures.
async fn remove(
    client: &RelationshipServiceClient<Channel>,
    simulator: &Simulator,
    customer: Uuid,
) -> Run {
    let request = RemoveRelationshipRequest {
        customer_id: customer.to_string(),
        request_id: Uuid::new_v4().to_string(),
        policy: Some(Policy { suspend: true }),
        reason: "contract ended".to_owned(),
        ..Default::default()
    };
    let control = simulator.control();
    let before = control.journal(0).last().map_or(0, |entry| entry.seq);
    let deadline = tokio::time::Instant::now() + PATIENCE;
    let sent = Timestamp::now();
    client.clone().remove_relationship(request).await.unwrap();
    loop {
        assert!(tokio::time::Instant::now() < deadline, "no removal arrived");
        tokio::time::sleep(Duration::from_millis(50)).await;
        let place = format!("/v1/customers/{customer}");
        let mut journal = control.journal(before);
        journal.retain(|entry| entry.path.starts_with(&place));
        if let Some(end) = journal
            .iter()
            .position(|entry| entry.endpoint == "update_customer")
        {
            journal.truncate(end + 1);
            return legs(sent, &journal);
        }
    }
}

/// Takes a journal from the call to the removal apart.
fn legs(sent: Timestamp, journal: &[JournalEntry]) -> Run {
    let first = |endpoint: &str, nth: usize| {
        let mut found = journal.iter().filter(|entry| entry.endpoint == endpoint);
        found
            .nth(nth)
            .unwrap_or_else(|| panic!("{endpoint} {nth} is missing"))
            .real_time
    };
    let count = |endpoint| {
        journal
            .iter()
            .filter(|entry| entry.endpoint == endpoint)
            .count()
    };
    // The path is what it is said to be: a snapshot less would make it cheaper, and wrong.
    for (endpoint, times) in [
        ("get_customer", 3),
        ("list_subscriptions", 3),
        ("list_entitlements", 3),
        ("list_transfers", 3),
        ("list_addons", 3 * SUBSCRIPTIONS),
        ("get_subscription", SUBSCRIPTIONS),
        ("update_subscription", SUBSCRIPTIONS),
    ] {
        assert_eq!(count(endpoint), times, "{endpoint}");
    }
    let moments = [
        sent,
        first("get_customer", 0),
        first("list_addons", 0),
        first("get_customer", 1),
        first("list_addons", SUBSCRIPTIONS),
        first("get_subscription", 0),
        first("update_subscription", 0),
        first("get_customer", 2),
        first("list_addons", 2 * SUBSCRIPTIONS),
        first("update_customer", 0),
    ];
    let length = |pair: &[Timestamp]| pair[1].duration_since(pair[0]).as_secs_f64() * 1e3;
    Run(moments.windows(2).map(length).collect())
}

/// Prints where the time goes; `runs` are sorted by their length.
fn report(runs: &[Run]) -> ExitCode {
    let latency = LATENCY.as_secs_f64() * 1e3;
    let path: f64 = LEGS
        .iter()
        .map(|(_, trips)| f64::from(*trips) * latency)
        .sum();
    let middle = |mut values: Vec<f64>| {
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    println!(
        "{SUBSCRIPTIONS} subscriptions, {latency} ms latency, {} runs, {} processors",
        runs.len(),
        std::thread::available_parallelism().map_or(0, usize::from),
    );
    println!(
        "{:<46} {:>9} {:>9} {:>9}",
        "median of each leg", "ms", "path", "ours"
    );
    for (n, (name, trips)) in LEGS.iter().enumerate() {
        let took = middle(runs.iter().map(|run| run.0[n]).collect());
        let due = f64::from(*trips) * latency;
        println!("{name:<46} {took:>9.1} {due:>9.1} {:>9.1}", took - due);
    }
    let totals: Vec<f64> = runs.iter().map(Run::total).collect();
    let (best, worst) = (totals[0], totals[totals.len() - 1]);
    let median = middle(totals);
    println!(
        "{:<46} {median:>9.1} {path:>9.1} {:>9.1}",
        "median of the whole",
        median - path
    );
    println!("best {best:.1} ms, worst {worst:.1} ms");
    let ratio = median / path;
    println!("ratio {ratio:.2} of the critical path (at most {LIMIT})");
    if ratio <= LIMIT {
        ExitCode::SUCCESS
    } else {
        eprintln!("too slow");
        ExitCode::FAILURE
    }
}
