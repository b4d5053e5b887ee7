//! Harness: a service with its own simulated Partner Center and its own database file.

use std::path::Path;
use std::time::Duration;

use relationship_service::application::service::{Caller, Removal, Selector, Status, Terms};
use relationship_service::config::{Config, DatabaseUrl, LogConfig, PartnerConfig};
use relationship_service::domain::ids::{CallerId, CustomerId, OffboardingId, RequestId};
use relationship_service::domain::policy::Policy;
use relationship_service::domain::step::Timing;
use relationship_service::http::{
    ClientProof, Credentials, Grant, Limits, SecretSource, TokenEndpoint,
};
use relationship_service::partner_center::{Cloud, PartnerSettings};
use relationship_service::serve::Engine;
use relationship_service::simulator::{PartnerSpec, Scenario, Simulator, SimulatorConfig};
use relationship_service::telemetry::LogFormat;
use tokio::net::TcpListener;
use uuid::Uuid;

/// How long anything may take before a test gives up waiting for it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The policy that suspends.
pub(crate) const SUSPEND: Policy = Policy { suspend: true };

/// Starts a simulator on a free loopback port.
pub(crate) async fn simulator(scenario: Scenario) -> Simulator {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    Simulator::start(SimulatorConfig::new(scenario), listener)
        .await
        .unwrap()
}

/// The configuration of a service whose only partner is the simulator's first.
pub(crate) fn config(simulator: &Simulator, partner: &PartnerSpec, database: &Path) -> Config {
    let base = simulator.base_url();
    let secret = |text: &str| SecretSource::Value(text.to_owned().into());
    let tenant = partner.tenant_id.to_string().parse().unwrap();
    let cloud = Cloud::Custom {
        base_url: base.clone(),
        token_url: base
            .join(&format!("{}/oauth2/token", partner.tenant_id))
            .unwrap(),
        resource: None,
    };
    let credentials = Credentials {
        client_id: partner.client_id.to_string(),
        proof: ClientProof::Secret(secret(partner.client_secret.as_deref().unwrap())),
        grant: Grant::AppUser {
            refresh_token: secret(&partner.refresh_token),
        },
        endpoint: TokenEndpoint::default(),
    };
    Config {
        listen: ([127, 0, 0, 1], 0).into(),
        insecure_listen: false,
        database: DatabaseUrl::Sqlite(database.to_owned()),
        partners: vec![PartnerConfig {
            alias: "sim".parse().unwrap(),
            settings: PartnerSettings {
                limits: Limits {
                    per_minute: 100_000,
                    ceiling: 100_000,
                },
                request_timeout: Duration::from_secs(2),
                ..PartnerSettings::new(tenant, cloud, credentials)
            },
            business_clock: Some(base.join("control/clock").unwrap()),
        }],
        timing: Timing::default(),
        log: LogConfig {
            format: LogFormat::Human,
            level: "info".to_owned(),
        },
    }
}

/// A running engine with its simulator.
pub(crate) struct World {
    /// Partner Center.
    pub(crate) simulator: Simulator,
    /// The scenario's first partner.
    pub(crate) partner: PartnerSpec,
    /// Everything but the server.
    pub(crate) engine: Engine,
    /// The configuration, to start it again.
    pub(crate) config: Config,
    directory: tempfile::TempDir,
}

impl World {
    /// A world in which the scenario holds.
    pub(crate) async fn new(scenario: Scenario) -> Self {
        Self::with(scenario, |_| {}).await
    }

    /// A world whose configuration was changed before the start.
    pub(crate) async fn with(scenario: Scenario, change: impl FnOnce(&mut Config)) -> Self {
        let partner = scenario.partners[0].clone();
        let simulator = simulator(scenario).await;
        let directory = tempfile::tempdir().unwrap();
        let mut config = config(&simulator, &partner, &directory.path().join("test.db"));
        change(&mut config);
        let engine = Engine::start(&config).await.unwrap();
        Self {
            simulator,
            partner,
            engine,
            config,
            directory,
        }
    }

    /// The n-th customer.
    pub(crate) fn customer(&self, n: usize) -> CustomerId {
        CustomerId(self.partner.customers[n].id)
    }

    /// Stops everything and asserts that the database can be opened again.
    pub(crate) async fn stop(mut self) {
        self.engine.stop().await;
        self.simulator.shutdown().await;
        drop(self.directory);
    }

    /// Asks for a removal.
    pub(crate) async fn remove(
        &self,
        customer: CustomerId,
        policy: Policy,
    ) -> Result<Status, relationship_service::application::error::Error> {
        self.engine
            .service()
            .remove(&caller(), removal(customer, policy))
            .await
    }

    /// Where an offboarding stands.
    pub(crate) async fn status(&self, id: OffboardingId) -> Status {
        self.engine
            .service()
            .status(&caller(), Selector::Id(id))
            .await
            .unwrap()
    }

    /// Waits until `until` holds for the offboarding, moving the business clock by a minute whenever
    /// nothing happens before a due time.
    pub(crate) async fn wait(&self, id: OffboardingId, until: impl Fn(&Status) -> bool) -> Status {
        let mut watch = self.engine.service().watch(&caller(), id, 0).await.unwrap();
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let status = self.status(id).await;
            if until(&status) || status.offboarding.state.is_terminal() {
                return status;
            }
            assert!(tokio::time::Instant::now() < deadline, "still {status:#?}");
            let now = self.simulator.control().now();
            let rests = status.next_action.is_some_and(|at| at > now);
            if rests {
                self.simulator.control().advance(Duration::from_secs(60));
            }
            // Either something happens, or it is time to look at the clock again.
            let _ = tokio::time::timeout(Duration::from_millis(50), watch.next()).await;
        }
    }

    /// Waits until `until` holds, with the business clock left alone.
    pub(crate) async fn wait_without_clock(
        &self,
        id: OffboardingId,
        until: impl Fn(&Status) -> bool,
    ) -> Status {
        let mut watch = self.engine.service().watch(&caller(), id, 0).await.unwrap();
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let status = self.status(id).await;
            if until(&status) {
                return status;
            }
            assert!(
                !status.offboarding.state.is_terminal(),
                "ended: {status:#?}"
            );
            assert!(tokio::time::Instant::now() < deadline, "still {status:#?}");
            let _ = tokio::time::timeout(Duration::from_millis(50), watch.next()).await;
        }
    }

    /// Stops the service and starts it again on the same database.
    pub(crate) async fn restart(&mut self) {
        self.engine.stop().await;
        self.engine = Engine::start(&self.config).await.unwrap();
    }

    /// Waits for the end.
    pub(crate) async fn end(&self, id: OffboardingId) -> Status {
        self.wait(id, |_| false).await
    }
}

/// The caller of every test.
pub(crate) fn caller() -> Caller {
    Caller {
        id: CallerId::local(),
        deadline: None,
    }
}

/// A request to remove.
pub(crate) fn removal(customer: CustomerId, policy: Policy) -> Removal {
    Removal {
        partner: String::new(),
        customer,
        request_id: RequestId(Uuid::new_v4()),
        validate_only: false,
        terms: Terms {
            policy,
            reason: "contract ended".to_owned(),
            ..Terms::default()
        },
    }
}
