//! Watch: one stream of `WatchOffboarding`. First the status, then events, and now and then a sign of life.

use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

use futures::stream::{BoxStream, StreamExt as _, unfold};
use tokio::time::{Interval, MissedTickBehavior, interval_at};
use tokio_util::sync::CancellationToken;
use tonic::Status;

use crate::application::clock::{Clock as _, SystemClock};
use crate::application::watch::Watch;

use super::proto::watch_offboarding_response::Update;
use super::{convert, errors, proto};

/// What ends or enlivens a stream besides events.
pub(super) struct Terms {
    /// How often it gives a sign of life.
    pub(super) heartbeat: Duration,
    /// When the caller has had enough.
    pub(super) deadline: Option<Instant>,
    /// The service stops.
    pub(super) stopping: CancellationToken,
}

type Message = Result<proto::WatchOffboardingResponse, Status>;

struct Streaming {
    watch: Watch,
    heartbeat: Interval,
    terms: Terms,
    begun: bool,
    over: bool,
}

/// The stream. Costs no task of its own: it is driven by whoever reads it.
pub(super) fn stream(watch: Watch, terms: Terms) -> BoxStream<'static, Message> {
    let mut heartbeat = interval_at(
        tokio::time::Instant::now() + terms.heartbeat,
        terms.heartbeat,
    );
    heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let streaming = Streaming {
        watch,
        heartbeat,
        terms,
        begun: false,
        over: false,
    };
    let messages = unfold(streaming, |mut streaming| async {
        let message = streaming.next().await?;
        Some((message, streaming))
    });
    // A panic in here would take the whole connection along, with everybody else's calls.
    AssertUnwindSafe(messages)
        .catch_unwind()
        .map(|message| message.unwrap_or_else(|panic| Err(errors::panicked(panic.as_ref()))))
        .boxed()
}

impl Streaming {
    async fn next(&mut self) -> Option<Message> {
        if self.over {
            return None;
        }
        if !self.begun {
            self.begun = true;
            return Some(message(Update::Status(convert::offboarding(
                &self.watch.status,
            ))));
        }
        let event = tokio::select! {
            // Events first: an end that is there already is worth more than a sign of life.
            biased;
            event = self.watch.next() => event,
            () = self.terms.stopping.cancelled() => return self.end(errors::stopping()),
            () = until(self.terms.deadline) => return self.end(errors::deadline_exceeded()),
            _ = self.heartbeat.tick() => {
                return Some(message(Update::Heartbeat(proto::Heartbeat {
                    sequence: i64::try_from(self.watch.sequence()).unwrap_or(i64::MAX),
                    send_time: Some(convert::timestamp(SystemClock.now())),
                })));
            }
        };
        match event {
            Ok(Some(event)) => Some(message(Update::Event(convert::event(&event)))),
            Ok(None) => None,
            Err(error) => self.end(errors::status(&error)),
        }
    }

    fn end(&mut self, status: Status) -> Option<Message> {
        self.over = true;
        Some(Err(status))
    }
}

fn message(update: Update) -> Message {
    Ok(proto::WatchOffboardingResponse {
        update: Some(update),
    })
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}
