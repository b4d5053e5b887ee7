//! Serve: configuration → store, upstream clients, use cases, worker, gRPC server → running → stopped.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::application::clock::{Clock, SystemClock};
use crate::application::service::{Partner, Service};
use crate::application::store::Store;
use crate::application::worker::{Worker, WorkerSettings};
use crate::config::{Config, DatabaseUrl, PartnerConfig};
use crate::grpc::server;
use crate::partner_center::{
    BusinessClock, BusinessClockError, PartnerCenterClient, SettingsError,
};
use crate::store::{OpenError, Options, SqliteStore};

/// Why the service could not start, or stopped working. Every text says what to do.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}; choose another address with --listen")]
    Listen {
        /// Which.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The database cannot be opened.
    #[error(transparent)]
    Database(#[from] OpenError),
    /// A partner's settings do not work.
    #[error("partner {alias}: {source}")]
    Partner {
        /// Which.
        alias: String,
        /// Why.
        source: Box<SettingsError>,
    },
    /// A partner's business clock does not answer.
    #[error("partner {alias}: {source}")]
    Clock {
        /// Which.
        alias: String,
        /// Why.
        source: Box<BusinessClockError>,
    },
    /// The gRPC server failed.
    #[error("the gRPC server failed: {0}")]
    Server(String),
}

/// Everything but the server: store, upstream clients, use cases and the worker.
pub struct Engine {
    service: Service,
    database: Arc<SqliteStore>,
    shutdown: CancellationToken,
    worker: Option<JoinHandle<()>>,
}

impl Engine {
    /// Opens the database, connects the partners and starts the worker.
    ///
    /// # Errors
    /// Why it could not start; nothing is left running then.
    pub async fn start(config: &Config) -> Result<Self, ServeError> {
        let DatabaseUrl::Sqlite(path) = &config.database;
        let database = Arc::new(SqliteStore::open(path, Options::default()).await?);
        let store: Arc<dyn Store> = database.clone();
        let mut partners = Vec::with_capacity(config.partners.len());
        for partner in &config.partners {
            partners.push(connect(partner).await?);
        }
        let partners = Arc::new(partners);
        let timing = config.timing;
        let work = Arc::new(Notify::new());
        let shutdown = CancellationToken::new();
        let service = Service::new(partners.clone(), store.clone(), timing, work.clone());
        let worker = Worker {
            partners,
            store,
            timing,
            settings: worker_settings(config),
            work,
            shutdown: shutdown.clone(),
        };
        Ok(Self {
            service,
            database,
            shutdown,
            worker: Some(tokio::spawn(worker.run())),
        })
    }

    /// The use cases.
    pub fn service(&self) -> &Service {
        &self.service
    }

    /// The database, for benchmarks and tests that read its counters.
    pub fn database(&self) -> &SqliteStore {
        &self.database
    }

    /// Stops the worker: finishes what was sent upstream, gives claims back, closes the database.
    pub async fn stop(&mut self) {
        self.shutdown.cancel();
        if let Some(worker) = self.worker.take()
            && let Err(panic) = worker.await
        {
            tracing::error!(%panic, "the worker failed");
        }
        self.database.close().await;
    }
}

/// A running service.
pub struct Running {
    address: SocketAddr,
    engine: Engine,
    server: JoinHandle<Result<(), ServeError>>,
}

impl Running {
    /// Where gRPC is served.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// What runs behind the server.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Stops: takes no new calls, then stops the engine.
    ///
    /// # Errors
    /// Why the server had failed.
    pub async fn stop(self) -> Result<(), ServeError> {
        self.engine.shutdown.cancel();
        self.finish().await
    }

    async fn finish(mut self) -> Result<(), ServeError> {
        let served = self
            .server
            .await
            .unwrap_or_else(|panic| Err(ServeError::Server(panic.to_string())));
        // Whatever ended the server, the worker must not go on alone.
        self.engine.stop().await;
        served
    }
}

/// Runs the service until `shutdown` resolves.
///
/// # Errors
/// Why it could not start, or stopped.
pub async fn run(
    config: Config,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), ServeError> {
    let running = start(config).await?;
    let stop = running.engine.shutdown.clone();
    let mut finish = std::pin::pin!(running.finish());
    tokio::select! {
        // The server failed by itself.
        served = &mut finish => return served,
        () = shutdown => stop.cancel(),
    }
    tracing::info!("stopping: finishing what was sent, giving claims back");
    finish.await
}

/// Starts the service; returns when it serves.
///
/// # Errors
/// Why it could not start; nothing is left running then.
pub async fn start(config: Config) -> Result<Running, ServeError> {
    let cannot_listen = |source| ServeError::Listen {
        address: config.listen,
        source,
    };
    let listener = TcpListener::bind(config.listen)
        .await
        .map_err(cannot_listen)?;
    let address = listener.local_addr().map_err(cannot_listen)?;
    let engine = Engine::start(&config).await?;
    let service = engine.service.clone();
    let stop = engine.shutdown.clone().cancelled_owned();
    let server = tokio::spawn(async move {
        server::serve(service, listener, stop, server::Options::default())
            .await
            .map_err(|error| ServeError::Server(error.to_string()))
    });
    tracing::info!(%address, partners = config.partners.len(), "serving");
    Ok(Running {
        address,
        engine,
        server,
    })
}

fn worker_settings(config: &Config) -> WorkerSettings {
    let defaults = WorkerSettings::default();
    // The slowest partner decides how long an unanswered request may still take effect.
    let request_timeout = config
        .partners
        .iter()
        .map(|partner| partner.settings.request_timeout)
        .max()
        .unwrap_or(defaults.request_timeout);
    WorkerSettings {
        request_timeout,
        // A claim must outlive a request begun just before its renewal.
        lease: defaults.lease.max((request_timeout + defaults.margin) * 2),
        ..defaults
    }
}

async fn connect(config: &PartnerConfig) -> Result<Partner, ServeError> {
    let alias = config.alias.to_string();
    let clock: Arc<dyn Clock> = match &config.business_clock {
        None => Arc::new(SystemClock),
        Some(url) => Arc::new(
            BusinessClock::connect(url.clone())
                .await
                .map_err(|source| ServeError::Clock {
                    alias: alias.clone(),
                    source: Box::new(source),
                })?,
        ),
    };
    let upstream =
        PartnerCenterClient::new(config.settings.clone(), clock.clone()).map_err(|source| {
            ServeError::Partner {
                alias,
                source: Box::new(source),
            }
        })?;
    Ok(Partner {
        alias: config.alias.clone(),
        tenant: config.settings.tenant,
        upstream: Arc::new(upstream),
        clock,
    })
}
