//! Telemetry: the one tracing subscriber of the process, writing to standard error.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

/// In which form log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object per line.
    Json,
    /// For people.
    Human,
}

/// The subscriber could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The level names nothing that can be logged.
    #[error("log level {level:?}: {error}")]
    Level {
        /// As configured.
        level: String,
        /// Why it is wrong.
        error: String,
    },
    /// There is one already.
    #[error("logging was set up before")]
    Again,
}

/// Sets up logging for the whole process; to be called once, before anything is started. `level` is a
/// level (`info`) or directives (`info,sqlx=warn`).
///
/// # Errors
/// [`TelemetryError`]: nothing is logged then.
pub fn start(format: LogFormat, level: &str) -> Result<(), TelemetryError> {
    let filter = EnvFilter::builder()
        .parse(level)
        .map_err(|error| TelemetryError::Level {
            level: level.to_owned(),
            error: error.to_string(),
        })?;
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    match format {
        LogFormat::Human => lines
            .with_ansi(
                std::io::stderr().is_terminal()
                    && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
            )
            .try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    }
    .map_err(|_| TelemetryError::Again)
}
