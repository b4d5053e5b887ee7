//! What can keep the simulator from starting or from taking a scenario.

/// Why the simulator could not start, or refused a document given to it.
#[derive(Debug, thiserror::Error)]
pub enum SimulatorError {
    /// The scenario contradicts itself or holds a value that cannot be read.
    #[error("scenario: {0}")]
    Scenario(String),
    /// A scenario file could not be read.
    #[error("cannot read scenario file {path}")]
    File {
        /// The file as named by the caller.
        path: String,
        /// What the operating system said.
        #[source]
        source: std::io::Error,
    },
    /// The listening socket could not be opened or asked for its address.
    #[error("cannot listen")]
    Listen(#[source] std::io::Error),
    /// The address is not a loopback address; the simulator holds no secrets worth the name and
    /// its control API has no authentication, so it serves this machine only.
    #[error("{0} is not a loopback address: the simulator serves this machine only")]
    NotLoopback(std::net::SocketAddr),
}
