//! Connection: how a client command reaches the service, and how long it waits for an answer.

use std::time::Duration;

use tonic::transport::{Channel, Endpoint};

use super::failure::Failure;
use crate::grpc::proto::relationship_service_client::RelationshipServiceClient;

/// A page of 1,000 offboardings is larger than the 4 MiB that a client takes by default.
const LARGEST_ANSWER: usize = 64 << 20;

/// Where the service is.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct ServerArgs {
    /// URL of the service.
    #[arg(
        long,
        value_name = "URL",
        env = "RELATIONSHIP_SERVER",
        default_value = "http://127.0.0.1:50051"
    )]
    server: String,
    /// How long to wait for an answer, e.g. 30s or 5m.
    #[arg(long, value_name = "TIME", default_value = "2m", value_parser = super::arguments::duration)]
    timeout: Duration,
}

/// A connected service.
#[derive(Debug, Clone)]
pub(crate) struct Service {
    /// The client.
    pub(crate) client: RelationshipServiceClient<Channel>,
    /// URL of the service.
    pub(crate) server: String,
    timeout: Duration,
}

impl ServerArgs {
    /// Connects.
    pub(crate) async fn connect(&self) -> Result<Service, Failure> {
        Service::connect(&self.server, self.timeout).await
    }
}

impl Service {
    /// Connects to the service at this URL; every call waits for `timeout` at most.
    pub(crate) async fn connect(server: &str, timeout: Duration) -> Result<Self, Failure> {
        if !server.starts_with("http://") {
            return Err(Failure::Usage(format!(
                "--server {server:?}: must begin with http://, e.g. http://127.0.0.1:50051"
            )));
        }
        let endpoint = Endpoint::from_shared(server.to_owned())
            .map_err(|error| Failure::Usage(format!("--server {server:?}: {error}")))?
            .connect_timeout(Duration::from_secs(5))
            .http2_keep_alive_interval(Duration::from_secs(30))
            .keep_alive_while_idle(true);
        let channel = endpoint
            .connect()
            .await
            .map_err(|error| Failure::Unreachable {
                server: server.to_owned(),
                error: innermost(&error),
            })?;
        Ok(Self {
            client: RelationshipServiceClient::new(channel)
                .max_decoding_message_size(LARGEST_ANSWER),
            server: server.to_owned(),
            timeout,
        })
    }

    /// A request that gives up after the timeout.
    pub(crate) fn request<T>(&self, message: T) -> tonic::Request<T> {
        let mut request = tonic::Request::new(message);
        request.set_timeout(self.timeout);
        request
    }
}

/// tonic says "transport error"; what people need stands at the end of the chain.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}
