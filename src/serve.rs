//! Serve: configuration → store, upstream clients, use cases, worker, gRPC server → running → stopped.

use std::net::SocketAddr;
use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::application::clock::{Clock, SystemClock};
use crate::application::service::{Partner, Service};
use crate::application::store::Store;
use crate::application::worker::{Worker, WorkerSettings};
use crate::config::{self, Config, DatabaseUrl, PartnerConfig};
use crate::domain::step::Timing;
use crate::http::{
    AssertionAlgorithm, ClientCertificate, ClientProof, Credentials, Grant, Limits, SecretSource,
    TokenEndpoint,
};
use crate::partner_center::{
    BusinessClock, BusinessClockError, Cloud, PartnerCenterClient, PartnerSettings, SettingsError,
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
        source: SettingsError,
    },
    /// A partner's certificate cannot be used.
    #[error("partner {alias}: the client certificate cannot be used: {why}")]
    Certificate {
        /// Which.
        alias: String,
        /// Why.
        why: String,
    },
    /// A partner's business clock does not answer.
    #[error("partner {alias}: {source}")]
    Clock {
        /// Which.
        alias: String,
        /// Why.
        source: BusinessClockError,
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
    worker: JoinHandle<()>,
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
        let timing = timing(config);
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
            worker: tokio::spawn(worker.run()),
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
    pub async fn stop(self) {
        self.shutdown.cancel();
        if let Err(panic) = self.worker.await {
            tracing::error!(%panic, "the worker failed");
        }
        self.database.close().await;
    }
}

fn timing(config: &Config) -> Timing {
    let span = |span: std::time::Duration| {
        jiff::SignedDuration::try_from(span).unwrap_or(jiff::SignedDuration::MAX)
    };
    Timing {
        max_suspended: span(config.timing.max_suspended),
        verification_budget: span(config.timing.verification_budget),
        ..Timing::default()
    }
}

fn worker_settings(config: &Config) -> WorkerSettings {
    let defaults = WorkerSettings::default();
    // The slowest partner decides how long an unanswered request may still take effect.
    let request_timeout = config
        .partners
        .iter()
        .map(|partner| partner.request_timeout)
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
                    source,
                })?,
        ),
    };
    let cloud = match &config.cloud {
        config::Cloud::Public => Cloud::Public,
        config::Cloud::UsGovernment => Cloud::UsGovernment,
        config::Cloud::China => Cloud::China21Vianet,
        config::Cloud::Custom {
            base_url,
            token_url,
        } => Cloud::Custom {
            base_url: base_url.clone(),
            token_url: token_url.clone(),
            resource: None,
        },
    };
    let settings = PartnerSettings {
        limits: Limits {
            per_minute: config.requests_per_minute,
            ceiling: Limits::default().ceiling.max(config.requests_per_minute),
        },
        request_timeout: config.request_timeout,
        ..PartnerSettings::new(config.tenant, cloud, credentials(config)?)
    };
    let upstream = PartnerCenterClient::new(settings, clock.clone())
        .map_err(|source| ServeError::Partner { alias, source })?;
    Ok(Partner {
        alias: config.alias.clone(),
        tenant: config.tenant,
        upstream: Arc::new(upstream),
        clock,
    })
}

fn credentials(config: &PartnerConfig) -> Result<Credentials, ServeError> {
    let source = |secret: &config::Secret| match &secret.file {
        Some(path) => SecretSource::File(path.clone()),
        None => SecretSource::Value(secret.value.clone()),
    };
    let proof = match &config.credentials.proof {
        config::Proof::ClientSecret(secret) => ClientProof::Secret(source(secret)),
        config::Proof::Certificate {
            certificate,
            private_key,
        } => {
            let pem = SecretString::from(format!(
                "{}\n{}\n",
                certificate.value.expose_secret(),
                private_key.value.expose_secret()
            ));
            let read =
                ClientCertificate::from_pem(pem.expose_secret(), AssertionAlgorithm::default());
            ClientProof::Certificate(Arc::new(read.map_err(|why| ServeError::Certificate {
                alias: config.alias.to_string(),
                why,
            })?))
        }
    };
    let grant = match &config.credentials.grant {
        config::Grant::RefreshToken(token) => Grant::AppUser {
            refresh_token: source(token),
        },
        config::Grant::ClientCredentials => Grant::AppOnly,
    };
    Ok(Credentials {
        client_id: config.credentials.client_id.clone(),
        proof,
        grant,
        endpoint: TokenEndpoint::default(),
    })
}
