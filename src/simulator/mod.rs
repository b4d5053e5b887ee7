//! A simulated Partner Center: a program that speaks real HTTP, keeps state, follows a clock that
//! can be moved, and behaves as documented, oddities included.
//!
//! It shares no type with any client of Partner Center. A request passes through `server`
//! (journal, faults, token, repeats), is given to one function by `api`, which changes the plain data of
//! `model` under one lock, and is answered by `wire`, `answer` and
//! `respond`. `build` makes that data from a scenario. `lifecycle` is what time does.
//! `control` steers it all from within the process, `control_http` from outside.
//! `docs/simulator.md` describes it for people.

mod act;
mod answer;
mod api;
mod audit;
mod build;
mod clock;
pub mod command;
mod connection;
mod control;
mod control_http;
mod customers;
mod error;
mod faults;
mod journal;
mod lifecycle;
mod model;
mod moment;
mod paging;
mod reads;
mod replays;
mod request;
mod respond;
mod scenario;
mod seed;
mod server;
mod subscriptions;
mod token;
mod wire;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use url::Url;

pub use act::{Act, Action, Actor};
pub use control::{ClockReading, ControlHandle};
pub use customers::Obstacle;
pub use error::SimulatorError;
pub use faults::{Fault, FaultMatch, FaultRule};
pub use journal::{Authorization, JournalEntry};
pub use moment::Moment;
pub use scenario::{
    AzureSubscriptionSpec, Behaviour, CancelledReservation, CustomerSpec, GoneAnswer, PartnerModel,
    PartnerRelationshipSpec, PartnerSpec, ReservationSpec, Scenario, SoftwareSpec,
    SubscriptionKind, SubscriptionSpec, SubscriptionStatus, TransferSpec,
};

use connection::{BreakableListener, Breaker};

/// What a simulator starts from.
#[derive(Debug, Clone)]
pub struct SimulatorConfig {
    /// Who exists.
    pub scenario: Scenario,
    /// Constant delay of every answer of the token endpoint and the REST API.
    pub latency: Option<Duration>,
}

impl SimulatorConfig {
    /// This scenario without delay.
    #[must_use]
    pub fn new(scenario: Scenario) -> Self {
        Self {
            scenario,
            latency: None,
        }
    }
}

/// A running simulator. Dropping it stops it without waiting.
#[derive(Debug)]
pub struct Simulator {
    address: SocketAddr,
    control: ControlHandle,
    stop: Option<oneshot::Sender<()>>,
    server: JoinHandle<()>,
}

impl Simulator {
    /// Starts serving on `listener`, which must be bound to a loopback address.
    ///
    /// # Errors
    /// [`SimulatorError::NotLoopback`], [`SimulatorError::Listen`], or
    /// [`SimulatorError::Scenario`] where the scenario contradicts itself.
    pub async fn start(
        config: SimulatorConfig,
        listener: TcpListener,
    ) -> Result<Self, SimulatorError> {
        let address = listener.local_addr().map_err(SimulatorError::Listen)?;
        if !address.ip().is_loopback() {
            return Err(SimulatorError::NotLoopback(address));
        }
        let clock = clock::Clock::new();
        let world = model::World::new(&config.scenario, clock.now())?;
        let shared = Arc::new(server::Shared::new(world, clock, config.latency));
        let control = ControlHandle {
            shared: Arc::clone(&shared),
        };
        let router = Router::new()
            .fallback(server::serve)
            .with_state(shared)
            .nest("/control", control_http::routes(control.clone()));
        let (stop, stopped) = oneshot::channel::<()>();
        let service = router.into_make_service_with_connect_info::<Breaker>();
        let server = tokio::spawn(async move {
            let serving = axum::serve(BreakableListener(listener), service);
            tokio::select! {
                // Connections that idle would keep a graceful shutdown waiting; nothing here is
                // worth waiting for.
                _ = stopped => {}
                _ = serving => {}
            }
        });
        Ok(Self {
            address,
            control,
            stop: Some(stop),
            server,
        })
    }

    /// Root of everything served: `http://127.0.0.1:PORT/`.
    #[must_use]
    #[allow(clippy::missing_panics_doc)]
    pub fn base_url(&self) -> Url {
        // A socket address always makes a URL; `Url` only has no way to say so.
        #[allow(clippy::expect_used)]
        Url::parse(&format!("http://{}/", self.address)).expect("an address makes a URL")
    }

    /// The handle that steers this simulator.
    #[must_use]
    pub fn control(&self) -> &ControlHandle {
        &self.control
    }

    /// Stops serving and waits until the listener is closed.
    pub async fn shutdown(mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        let _ = (&mut self.server).await;
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.server.abort();
    }
}
