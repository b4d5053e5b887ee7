//! Follow: watches an offboarding to its end, over broken streams and restarts of the service.

use std::time::Duration;

use tokio_stream::StreamExt as _;

use super::connection::Service;
use super::failure::Failure;
use super::words;
use crate::grpc::proto::get_offboarding_status_request::Selector;
use crate::grpc::proto::watch_offboarding_response::Update;
use crate::grpc::proto::{
    GetOffboardingStatusRequest, Heartbeat, Offboarding, OffboardingEvent, WatchOffboardingRequest,
};

/// The service sends a sign of life every 30 s; after three without one the stream is dead.
const SILENCE: Duration = Duration::from_secs(95);

/// How often in a row the service may be out of reach before we give up: five minutes or so.
const LOST_AT_MOST: u32 = 60;

/// Longest pause before the next attempt.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Who is told what happens.
pub(crate) trait View: Send {
    /// Where the offboarding stands: at first, and after every event if [`View::wants_status`].
    fn status(&mut self, offboarding: &Offboarding) -> Result<(), Failure>;
    /// An event, in order, none left out or told twice.
    fn event(&mut self, event: &OffboardingEvent) -> Result<(), Failure>;
    /// The stream lives.
    fn heartbeat(&mut self, heartbeat: &Heartbeat) -> Result<(), Failure>;
    /// The stream broke; it is tried again after `pause`.
    fn lost(&mut self, why: &str, pause: Duration);
    /// The offboarding has ended.
    fn ended(&mut self, offboarding: &Offboarding) -> Result<(), Failure>;
    /// Whether the status is wanted after every event.
    fn wants_status(&self) -> bool;
}

/// Watches until the offboarding has ended and returns it.
///
/// The first call has to succeed; later ones are tried again for some minutes.
pub(crate) async fn to_the_end(
    mut service: Service,
    offboarding_id: &str,
    after: i64,
    view: &mut dyn View,
) -> Result<Offboarding, Failure> {
    let mut sequence = after;
    let mut lost = 0;
    let mut met = false;
    loop {
        let before = sequence;
        let why = match watch(&mut service, offboarding_id, &mut sequence, &mut met, view).await {
            Ok(ended) => {
                view.ended(&ended)?;
                return Ok(ended);
            }
            Err(Broken::Final(failure)) => return Err(failure),
            Err(Broken::Passing(why)) => why,
        };
        lost = if sequence > before { 1 } else { lost + 1 };
        if lost > LOST_AT_MOST {
            return Err(Failure::Unreachable {
                server: service.server.clone(),
                error: why,
            });
        }
        let pause =
            (Duration::from_millis(250) * 2_u32.saturating_pow(lost - 1)).min(LONGEST_PAUSE);
        view.lost(&why, pause);
        tokio::time::sleep(pause).await;
    }
}

/// Why a watch ended before the offboarding.
enum Broken {
    /// Trying again is of no use.
    Final(Failure),
    /// Trying again may help.
    Passing(String),
}

impl From<Failure> for Broken {
    fn from(failure: Failure) -> Self {
        Self::Final(failure)
    }
}

/// One stream, from its beginning to its end.
async fn watch(
    service: &mut Service,
    offboarding_id: &str,
    sequence: &mut i64,
    met: &mut bool,
    view: &mut dyn View,
) -> Result<Offboarding, Broken> {
    let mut stream = service
        .client
        .watch_offboarding(WatchOffboardingRequest {
            offboarding_id: offboarding_id.to_owned(),
            after_sequence: *sequence,
        })
        .await
        .map_err(|status| broken(status, *met))?
        .into_inner();
    loop {
        let update = match tokio::time::timeout(SILENCE, stream.next()).await {
            Err(_) => return Err(Broken::Passing("no sign of life".to_owned())),
            Ok(None) => break,
            Ok(Some(Err(status))) => return Err(broken(status, *met)),
            Ok(Some(Ok(response))) => response.update,
        };
        match update {
            Some(Update::Status(offboarding)) => {
                *met = true;
                view.status(&offboarding)?;
            }
            Some(Update::Event(event)) => {
                // A resumed stream must not tell anything twice.
                if event.sequence <= *sequence {
                    continue;
                }
                *sequence = event.sequence;
                view.event(&event)?;
                if view.wants_status() {
                    let now = status(service, offboarding_id, *met).await?;
                    view.status(&now)?;
                }
            }
            Some(Update::Heartbeat(heartbeat)) => view.heartbeat(&heartbeat)?,
            None => {}
        }
    }
    let now = status(service, offboarding_id, *met).await?;
    if words::is_final(now.state()) {
        Ok(now)
    } else {
        Err(Broken::Passing("the stream ended early".to_owned()))
    }
}

async fn status(
    service: &mut Service,
    offboarding_id: &str,
    met: bool,
) -> Result<Offboarding, Broken> {
    let request = service.request(GetOffboardingStatusRequest {
        selector: Some(Selector::OffboardingId(offboarding_id.to_owned())),
    });
    let response = service
        .client
        .get_offboarding_status(request)
        .await
        .map_err(|status| broken(status, met))?;
    response
        .into_inner()
        .offboarding
        .ok_or_else(|| Failure::Other("the service answered without offboarding".to_owned()).into())
}

/// Once the offboarding was seen, a lost connection or a service that restarts passes.
fn broken(status: tonic::Status, met: bool) -> Broken {
    use tonic::Code;
    let passing = matches!(
        status.code(),
        Code::Unavailable
            | Code::Unknown
            | Code::Internal
            | Code::Cancelled
            | Code::DeadlineExceeded
            | Code::ResourceExhausted
    );
    if met && passing {
        Broken::Passing(status.message().to_owned())
    } else {
        Broken::Final(status.into())
    }
}
