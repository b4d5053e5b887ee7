//! What every call meets: deadlines, panics, health, reflection, size limits, the way it stops.

use std::time::Duration;

use http::{Request, Response};
use http_body_util::BodyExt as _;
use relationship_service::grpc::layers::{DeadlineLayer, TraceLayer, answer_panic};
use relationship_service::grpc::proto;
use relationship_service::grpc::server::{Options, SERVICE_NAME};
use relationship_service::simulator::Scenario;
use tokio::net::TcpListener;
use tokio_stream::StreamExt as _;
use tonic::body::Body;
use tonic::transport::server::TcpIncoming;
use tonic::{Code, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::{v1, v1alpha};
use tonic_types::StatusExt as _;
use tower_http::catch_panic::CatchPanicLayer;

use super::{Served, quick};

/// A service that never answers, or panics.
#[derive(Clone)]
struct Odd;

impl tonic::server::NamedService for Odd {
    const NAME: &'static str = "test.Odd";
}

impl tower::Service<Request<Body>> for Odd {
    type Response = Response<Body>;
    type Error = std::convert::Infallible;
    type Future = futures::future::BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(
        &mut self,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Result<(), Self::Error>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let panics = request.uri().path().ends_with("Panic");
        Box::pin(async move {
            assert!(!panics, "the secret of the panic");
            std::future::pending().await
        })
    }
}

/// Calls a method of [`Odd`] behind the layers, as plain HTTP/2: a gRPC client has a timer of its own,
/// which would race with what is tested here.
async fn call_odd(method: &str, timeout: Option<&str>) -> Status {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let layers = tower::ServiceBuilder::new()
        .layer(TraceLayer)
        .layer(CatchPanicLayer::custom(answer_panic))
        .layer(DeadlineLayer)
        .into_inner();
    let server = tokio::spawn(
        tonic::transport::Server::builder()
            .layer(layers)
            .add_service(Odd)
            .serve_with_incoming(TcpIncoming::from(listener)),
    );
    let client = reqwest::Client::builder()
        .http2_prior_knowledge()
        .no_proxy()
        .build()
        .unwrap();
    let mut request = client
        .post(format!("http://{address}/test.Odd/{method}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(vec![0; 5]);
    if let Some(timeout) = timeout {
        request = request.header("grpc-timeout", timeout);
    }
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), 200);
    let status = Status::from_header_map(response.headers()).unwrap();
    server.abort();
    status
}

fn reason(status: &Status) -> String {
    let details = status.get_error_details();
    details
        .error_info()
        .map(|info| info.reason.clone())
        .unwrap_or_default()
}

#[tokio::test]
async fn a_passed_deadline_is_deadline_exceeded_and_not_cancelled() {
    let status = call_odd("Never", Some("50m")).await;
    assert_eq!(status.code(), Code::DeadlineExceeded, "{status:?}");
    assert_eq!(reason(&status), "DEADLINE_EXCEEDED");
}

#[tokio::test]
async fn a_panic_is_internal_and_keeps_its_text() {
    let status = call_odd("Panic", None).await;
    assert_eq!(status.code(), Code::Internal, "{status:?}");
    assert_eq!(reason(&status), "INTERNAL");
    assert!(!format!("{status:?}").contains("secret"));
}

#[tokio::test(flavor = "multi_thread")]
async fn health_and_reflection_answer() {
    let served = Served::new(Scenario::seeded(1, 1, 1), quick()).await;
    let mut health = HealthClient::new(served.channel.clone());
    for service in ["", SERVICE_NAME] {
        let answer = health
            .check(HealthCheckRequest {
                service: service.to_owned(),
            })
            .await
            .unwrap();
        assert_eq!(answer.into_inner().status(), ServingStatus::Serving);
    }

    // Error details too: without their types grpcurl shows them as bytes.
    for symbol in [
        SERVICE_NAME,
        "google.rpc.ErrorInfo",
        "google.rpc.BadRequest",
        "google.rpc.PreconditionFailure",
        "google.rpc.RetryInfo",
    ] {
        let request = v1::ServerReflectionRequest {
            host: String::new(),
            message_request: Some(
                v1::server_reflection_request::MessageRequest::FileContainingSymbol(
                    symbol.to_owned(),
                ),
            ),
        };
        let mut answers =
            v1::server_reflection_client::ServerReflectionClient::new(served.channel.clone())
                .server_reflection_info(tokio_stream::once(request))
                .await
                .unwrap()
                .into_inner();
        let answer = answers.next().await.unwrap().unwrap();
        assert!(
            matches!(
                answer.message_response,
                Some(v1::server_reflection_response::MessageResponse::FileDescriptorResponse(_))
            ),
            "{symbol}"
        );
    }

    let request = v1alpha::ServerReflectionRequest {
        host: String::new(),
        message_request: Some(
            v1alpha::server_reflection_request::MessageRequest::ListServices(String::new()),
        ),
    };
    let mut answers =
        v1alpha::server_reflection_client::ServerReflectionClient::new(served.channel.clone())
            .server_reflection_info(tokio_stream::once(request))
            .await
            .unwrap()
            .into_inner();
    let answer = answers.next().await.unwrap().unwrap();
    let Some(v1alpha::server_reflection_response::MessageResponse::ListServicesResponse(list)) =
        answer.message_response
    else {
        panic!("{answer:?}");
    };
    assert!(
        list.service
            .iter()
            .any(|service| service.name == SERVICE_NAME)
    );
    drop(answers);
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_above_the_limit_is_refused() {
    let options = Options {
        max_request_bytes: 1_000,
        ..quick()
    };
    let served = Served::new(Scenario::seeded(1, 1, 1), options).await;
    let refused = served
        .client()
        .preview_removal(proto::PreviewRemovalRequest {
            partner: "x".repeat(2_000),
            ..proto::PreviewRemovalRequest::default()
        })
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Code::OutOfRange, "{refused:?}");
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn health_says_not_serving_before_the_listener_closes() {
    let options = Options {
        drain: Duration::from_secs(3_600),
        ..quick()
    };
    let served = Served::new(Scenario::seeded(1, 1, 1), options).await;
    let mut health = HealthClient::new(served.channel.clone());
    let request = HealthCheckRequest {
        service: SERVICE_NAME.to_owned(),
    };
    let mut watched = health.watch(request.clone()).await.unwrap().into_inner();
    let first = watched.next().await.unwrap().unwrap();
    assert_eq!(first.status(), ServingStatus::Serving);
    served.stop.send(()).unwrap();
    let second = watched.next().await.unwrap().unwrap();
    assert_eq!(second.status(), ServingStatus::NotServing);
    // Still there for whoever has not noticed yet.
    let answer = health.check(request).await.unwrap();
    assert_eq!(answer.into_inner().status(), ServingStatus::NotServing);
    served.running.abort();
    served.world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_over_http_ends_at_its_deadline() {
    let served = Served::new(Scenario::seeded(1, 1, 1), quick()).await;
    let id = super::rpcs::scheduled(&served).await;
    // As plain HTTP/2, for the reason above.
    let message = prost::Message::encode_to_vec(&proto::WatchOffboardingRequest {
        offboarding_id: id,
        after_sequence: 0,
    });
    let mut body = vec![0];
    body.extend(u32::try_from(message.len()).unwrap().to_be_bytes());
    body.extend(message);
    let response = reqwest::Client::builder()
        .http2_prior_knowledge()
        .no_proxy()
        .build()
        .unwrap()
        .post(format!(
            "{}/{SERVICE_NAME}/WatchOffboarding",
            served.address
        ))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("grpc-timeout", "500m")
        .body(body)
        .send()
        .await
        .unwrap();
    let response: Response<reqwest::Body> = response.into();
    let ended = response.into_body().collect().await.unwrap();
    let status = Status::from_header_map(ended.trailers().unwrap()).unwrap();
    assert_eq!(status.code(), Code::DeadlineExceeded, "{status:?}");
    assert_eq!(reason(&status), "DEADLINE_EXCEEDED");
    served.stop().await;
}
