//! Server: the RPCs, health and reflection behind one listener, and how all of it stops.

use std::future::Future;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::codec::CompressionEncoding;
use tonic::transport::server::TcpIncoming;
use tonic_health::ServingStatus;
use tower_http::catch_panic::CatchPanicLayer;

use crate::application::service::Service;

use super::handlers::Handlers;
use super::layers::{DeadlineLayer, TraceLayer, answer_panic};
use super::proto::relationship_service_server::RelationshipServiceServer;

/// The name under which health is reported, beside the empty one.
pub const SERVICE_NAME: &str = "relationship.v1.RelationshipService";

/// What may be set about the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// How often a watch gives a sign of life.
    pub watch_heartbeat: Duration,
    /// Bytes of the largest request that is read.
    pub max_request_bytes: usize,
    /// Bytes of the largest answer that is sent.
    pub max_response_bytes: usize,
    /// How long health says NOT_SERVING before the listener closes, so that balancers notice.
    pub drain: Duration,
    /// How long calls may take after that.
    pub grace: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            watch_heartbeat: Duration::from_secs(30),
            max_request_bytes: 1024 * 1024,
            max_response_bytes: 32 * 1024 * 1024,
            drain: Duration::ZERO,
            grace: Duration::from_secs(20),
        }
    }
}

/// Why the server did not run to its end.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The compiled protobuf definitions cannot be served.
    #[error("reflection: {0}")]
    Reflection(#[from] tonic_reflection::server::Error),
    /// The connections failed as a whole.
    #[error("gRPC server: {0}")]
    Transport(#[from] tonic::transport::Error),
}

/// Serves until `shutdown` resolves: then health says NOT_SERVING, after [`Options::drain`] the listener
/// closes and watches end, and running calls get [`Options::grace`] to finish.
///
/// # Errors
/// [`ServeError`].
pub async fn serve(
    service: Service,
    listener: TcpListener,
    shutdown: impl Future<Output = ()> + Send + 'static,
    options: Options,
) -> Result<(), ServeError> {
    let stopping = CancellationToken::new();
    let (health, health_service) = tonic_health::server::health_reporter();
    for name in ["", SERVICE_NAME] {
        health
            .set_service_status(name, ServingStatus::Serving)
            .await;
    }
    let service = RelationshipServiceServer::new(Handlers {
        service,
        heartbeat: options.watch_heartbeat,
        stopping: stopping.clone(),
    })
    .max_decoding_message_size(options.max_request_bytes)
    .max_encoding_message_size(options.max_response_bytes)
    .accept_compressed(CompressionEncoding::Gzip)
    .send_compressed(CompressionEncoding::Gzip);
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(super::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            // So that grpcurl shows the details of an error instead of their bytes.
            .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)
    };
    let layers = tower::ServiceBuilder::new()
        .layer(TraceLayer)
        .layer(CatchPanicLayer::custom(answer_panic))
        .layer(DeadlineLayer)
        .into_inner();
    let signal = {
        let stopping = stopping.clone();
        async move {
            shutdown.await;
            for name in ["", SERVICE_NAME] {
                health
                    .set_service_status(name, ServingStatus::NotServing)
                    .await;
            }
            tokio::time::sleep(options.drain).await;
            stopping.cancel();
        }
    };
    let running = tonic::transport::Server::builder()
        .http2_keepalive_interval(Some(Duration::from_secs(30)))
        .http2_keepalive_timeout(Some(Duration::from_secs(20)))
        .layer(layers)
        .add_service(service)
        .add_service(health_service)
        // grpcurl and older tools still ask for v1alpha.
        .add_service(reflection().build_v1()?)
        .add_service(reflection().build_v1alpha()?)
        .serve_with_incoming_shutdown(TcpIncoming::from(listener).with_nodelay(Some(true)), signal);
    tokio::select! {
        ended = running => Ok(ended?),
        () = async {
            stopping.cancelled().await;
            tokio::time::sleep(options.grace).await;
        } => {
            tracing::warn!("calls were still running when the grace period ended");
            Ok(())
        }
    }
}
