//! Stage: the simulator, the real service in front of it, a client, and the passing of time.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::cli::connection::Service;
use crate::cli::failure::Failure;
use crate::config::{Config, DatabaseUrl, LogConfig, PartnerConfig};
use crate::domain::ids::PartnerTenantId;
use crate::domain::step::Timing;
use crate::grpc::proto::{ListOffboardingsRequest, OffboardingFilter, OffboardingState};
use crate::http::{ClientProof, Credentials, Grant, Limits, SecretSource, TokenEndpoint};
use crate::partner_center::{Cloud, PartnerSettings};
use crate::serve::Running;
use crate::simulator::{ControlHandle, PartnerSpec, Scenario, Simulator, SimulatorConfig};
use crate::telemetry::LogFormat;

/// What an answer of a distant Partner Center takes; without it there would be no progress to watch.
const LATENCY: Duration = Duration::from_millis(150);

/// The business clock is never moved by more at once.
pub(super) const STEP: Duration = Duration::from_secs(60);

/// How often time looks whether somebody waits for it.
const GLANCE: Duration = Duration::from_millis(250);

/// The alias of the partner.
pub(super) const PARTNER: &str = "demo";

/// Everything the play needs.
pub(super) struct Stage {
    /// A client of the service.
    pub(super) service: Service,
    /// Steers the simulator.
    pub(super) control: ControlHandle,
    /// The customer of the play.
    pub(super) customer: Uuid,
    /// Another customer, for whoever wants to try by hand.
    pub(super) spare: Uuid,
    /// How far time was moved.
    pub(super) moved: Arc<Moved>,
    simulator: Simulator,
    running: Running,
    time: JoinHandle<()>,
    _folder: TempDir,
}

/// How far and how often the business clock was moved.
#[derive(Debug, Default)]
pub(super) struct Moved {
    pub(super) seconds: AtomicU64,
    pub(super) steps: AtomicU64,
}

impl Stage {
    /// Starts everything.
    pub(super) async fn build(listen: SocketAddr) -> Result<Self, Failure> {
        let failed = |error: &dyn std::error::Error| Failure::Other(crate::cli::with_causes(error));
        let folder = tempfile::tempdir().map_err(|error| failed(&error))?;
        let mut scenario = Scenario::demo();
        let partner = scenario
            .partners
            .first_mut()
            .ok_or_else(|| Failure::Other("the scenario has no partner".to_owned()))?;
        let spares = Scenario::seeded(1, 4, 7).partners.into_iter();
        partner.customers.extend(spares.flat_map(|p| p.customers));
        let (customer, spare) = match &partner.customers[..] {
            [customer, spare] => (customer.id, spare.id),
            _ => {
                return Err(Failure::Other(
                    "the scenario has other customers".to_owned(),
                ));
            }
        };
        let partner = partner.clone();

        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .map_err(|error| failed(&error))?;
        let config = SimulatorConfig {
            latency: Some(LATENCY),
            ..SimulatorConfig::new(scenario)
        };
        let simulator = Simulator::start(config, listener)
            .await
            .map_err(|error| failed(&error))?;
        let config = service_config(listen, &simulator, &partner, &folder)?;
        let running = crate::serve::start(config)
            .await
            .map_err(|error| failed(&error))?;
        let server = format!("http://{}", running.local_addr());
        let service = Service::connect(&server, Duration::from_secs(60)).await?;
        let control = simulator.control().clone();
        let moved = Arc::new(Moved::default());
        let time = tokio::spawn(pass_time(service.clone(), control.clone(), moved.clone()));
        Ok(Self {
            service,
            control,
            customer,
            spare,
            moved,
            simulator,
            running,
            time,
            _folder: folder,
        })
    }

    /// Where the service serves.
    pub(super) fn address(&self) -> SocketAddr {
        self.running.local_addr()
    }

    /// Where the simulator serves.
    pub(super) fn simulator_url(&self) -> String {
        self.simulator.base_url().to_string()
    }

    /// Stops everything.
    pub(super) async fn strike(self) -> Result<(), Failure> {
        self.time.abort();
        drop(self.service);
        let stopped = self.running.stop().await;
        self.simulator.shutdown().await;
        stopped.map_err(|error| Failure::Other(error.to_string()))
    }
}

fn service_config(
    listen: SocketAddr,
    simulator: &Simulator,
    partner: &PartnerSpec,
    folder: &TempDir,
) -> Result<Config, Failure> {
    let wrong = |error: &dyn std::error::Error| Failure::Other(error.to_string());
    let base_url = simulator.base_url();
    let at = |path: &str| base_url.join(path).map_err(|error| wrong(&error));
    let secret = |text: &str| SecretSource::Value(text.into());
    let credentials = Credentials {
        client_id: partner.client_id.to_string(),
        proof: ClientProof::Secret(secret(partner.client_secret.as_deref().unwrap_or_default())),
        grant: Grant::AppUser {
            refresh_token: secret(&partner.refresh_token),
        },
        endpoint: TokenEndpoint::default(),
    };
    let cloud = Cloud::Custom {
        token_url: at(&format!("{}/oauth2/token", partner.tenant_id))?,
        base_url: base_url.clone(),
        resource: None,
    };
    let mut settings = PartnerSettings::new(PartnerTenantId(partner.tenant_id), cloud, credentials);
    settings.limits = Limits {
        per_minute: 10_000,
        ceiling: 10_000,
    };
    Ok(Config {
        listen,
        insecure_listen: false,
        database: DatabaseUrl::Sqlite(folder.path().join("demo.db")),
        partners: vec![PartnerConfig {
            alias: PARTNER.parse().map_err(|error| wrong(&error))?,
            settings,
            business_clock: Some(at("control/clock")?),
        }],
        timing: Timing::default(),
        log: LogConfig {
            format: LogFormat::Human,
            level: "error".to_owned(),
        },
    })
}

/// Moves the business clock forward to the moment at which a verification wants to look again, by at
/// most [`STEP`] at once, and looks in between: nothing may be skipped.
async fn pass_time(mut service: Service, control: ControlHandle, moved: Arc<Moved>) {
    loop {
        tokio::time::sleep(GLANCE).await;
        let request = service.request(ListOffboardingsRequest {
            filter: Some(OffboardingFilter {
                states: vec![OffboardingState::Verifying as i32],
                ..Default::default()
            }),
            ..Default::default()
        });
        // A service that does not answer is the play's matter; time just goes on.
        let Ok(response) = service.client.list_offboardings(request).await else {
            continue;
        };
        let next = response
            .into_inner()
            .offboardings
            .iter()
            .filter_map(|offboarding| offboarding.next_action_time)
            .filter_map(|at| jiff::Timestamp::new(at.seconds, at.nanos).ok())
            .min();
        let Some(ahead) = next
            .and_then(|next| Duration::try_from(next.duration_since(control.now())).ok())
            .filter(|ahead| !ahead.is_zero())
        else {
            continue;
        };
        let step = ahead.min(STEP);
        control.advance(step);
        moved.steps.fetch_add(1, Ordering::Relaxed);
        moved.seconds.fetch_add(
            step.as_secs() + u64::from(step.subsec_nanos() > 0),
            Ordering::Relaxed,
        );
    }
}
