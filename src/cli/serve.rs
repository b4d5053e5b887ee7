//! `serve`: flags and environment to a configuration, logging on, then the service until it is told to stop.

use std::path::PathBuf;

use tokio_util::sync::CancellationToken;

use super::exit::Exit;
use super::failure::Failure;
use crate::config::{Config, FlagValue, Sources};
use crate::telemetry;

/// `serve`
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Every key of the file can be set in the environment too: \
    RELATIONSHIP_LOG__LEVEL is log.level.\nA flag wins over the environment, the environment over the \
    file. docs/configuration.md lists the keys.\n\n\
    Examples:\n  \
    relationship-service serve --config config/example.toml\n  \
    RELATIONSHIP_LOG__FORMAT=json relationship-service serve --config /etc/relationship/config.toml"
)]
pub(crate) struct ServeArgs {
    /// Configuration file (TOML).
    #[arg(long, value_name = "FILE", env = "RELATIONSHIP_CONFIG")]
    config: Option<PathBuf>,
    /// Address and port to serve gRPC on [default: 127.0.0.1:50051]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    /// Allow an address off loopback although callers are not authenticated.
    #[arg(long)]
    insecure_listen: bool,
    /// SQLite file that keeps the offboardings [default: relationship.db]
    #[arg(long, value_name = "FILE")]
    database: Option<String>,
    /// human or json [default: human]
    #[arg(long, value_name = "FORMAT")]
    log_format: Option<String>,
    /// What is logged, e.g. debug or info,sqlx=warn [default: info]
    #[arg(long, value_name = "LEVEL")]
    log_level: Option<String>,
}

impl ServeArgs {
    fn sources(&self) -> Sources {
        let mut flags = Vec::new();
        let mut given = |key, flag, value: Option<String>| {
            if let Some(value) = value {
                flags.push(FlagValue { key, flag, value });
            }
        };
        given("listen", "--listen", self.listen.clone());
        given(
            "insecure_listen",
            "--insecure-listen",
            self.insecure_listen.then(|| "true".to_owned()),
        );
        given("database", "--database", self.database.clone());
        given("log.format", "--log-format", self.log_format.clone());
        given("log.level", "--log-level", self.log_level.clone());
        Sources {
            file: self.config.clone(),
            environment: std::env::vars_os()
                .filter_map(|(name, value)| {
                    Some((
                        name.into_string().ok()?,
                        value.to_string_lossy().into_owned(),
                    ))
                })
                .collect(),
            flags,
        }
    }
}

/// Runs the service until SIGINT or SIGTERM.
pub(crate) async fn run(args: &ServeArgs) -> Result<Exit, Failure> {
    let config = Config::load(&args.sources())?;
    telemetry::start(config.log.format, &config.log.level)
        .map_err(|error| Failure::Other(error.to_string()))?;
    let shutdown = stop_signal()?;
    crate::serve::run(config, shutdown.cancelled_owned())
        .await
        .map_err(|error| Failure::Other(error.to_string()))?;
    Ok(Exit::Ok)
}

/// Cancelled by the first SIGINT or SIGTERM.
pub(super) fn stop_signal() -> Result<CancellationToken, Failure> {
    use tokio::signal::unix::{SignalKind, signal};
    let failed =
        |error: std::io::Error| Failure::Other(format!("cannot listen to signals: {error}"));
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let shutdown = CancellationToken::new();
    let told = shutdown.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        told.cancel();
    });
    Ok(shutdown)
}
