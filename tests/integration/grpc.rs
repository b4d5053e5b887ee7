//! The gRPC adapter over a real socket: health, reflection, deadlines, panics, the RPCs, how it stops.

mod documents;
mod rpcs;
mod wire;

use std::time::Duration;

use relationship_service::grpc::proto::relationship_service_client::RelationshipServiceClient;
use relationship_service::grpc::server::{Options, ServeError, serve};
use relationship_service::simulator::Scenario;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tonic::transport::{Channel, Endpoint};

use crate::harness::World;

/// A gRPC server over a whole world, and a channel to it.
struct Served {
    world: World,
    channel: Channel,
    address: String,
    stop: oneshot::Sender<()>,
    running: JoinHandle<Result<(), ServeError>>,
}

impl Served {
    async fn new(scenario: Scenario, options: Options) -> Self {
        let world = World::new(scenario).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let (stop, stopped) = oneshot::channel::<()>();
        let service = world.engine.service().clone();
        let running = tokio::spawn(serve(
            service,
            listener,
            async {
                let _ = stopped.await;
            },
            options,
        ));
        let channel = Endpoint::new(address.clone())
            .unwrap()
            .connect()
            .await
            .unwrap();
        Self {
            world,
            channel,
            address,
            stop,
            running,
        }
    }

    fn client(&self) -> RelationshipServiceClient<Channel> {
        RelationshipServiceClient::new(self.channel.clone())
    }

    async fn stop(self) {
        drop(self.channel);
        self.stop.send(()).unwrap();
        self.running.await.unwrap().unwrap();
        self.world.stop().await;
    }
}

fn quick() -> Options {
    Options {
        watch_heartbeat: Duration::from_millis(20),
        ..Options::default()
    }
}
