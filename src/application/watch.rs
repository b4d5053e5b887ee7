//! Watch: one offboarding's events as they are recorded, none left out, by whichever replica.

use std::collections::HashMap;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::broadcast::error::RecvError;
use tokio::sync::watch;

use crate::domain::ids::OffboardingId;

use super::error::Error;
use super::log::read_event;
use super::service::{LoggedEvent, Status};
use super::store::{EventRow, Store};

/// How many events are read at once.
const BATCH: u32 = 64;
/// How often a watch looks by itself, should an announcement get lost.
const POLL: Duration = Duration::from_secs(5);

/// Fans the store's announcements out by offboarding, so that a change wakes only who watches it.
#[derive(Clone, Default)]
pub struct Hub {
    topics: Arc<Mutex<HashMap<OffboardingId, watch::Sender<u64>>>>,
}

impl Hub {
    /// Starts to follow the store's announcements, until the store is gone.
    pub fn follow(store: &dyn Store) -> Self {
        let hub = Self::default();
        let mut changes = store.changes();
        let topics = Arc::downgrade(&hub.topics);
        tokio::spawn(async move {
            loop {
                let change = match changes.recv().await {
                    Ok(change) => Some(change),
                    // Something was missed: everybody looks.
                    Err(RecvError::Lagged(_)) => None,
                    Err(RecvError::Closed) => return,
                };
                let Some(topics) = topics.upgrade() else {
                    return;
                };
                let mut topics = topics.lock().unwrap_or_else(PoisonError::into_inner);
                match change {
                    Some(change) => {
                        let unwatched = topics.get(&change.id).is_some_and(|topic| {
                            topic.send_replace(change.sequence);
                            topic.receiver_count() == 0
                        });
                        if unwatched {
                            topics.remove(&change.id);
                        }
                    }
                    None => topics.retain(|_, topic| {
                        topic.send_modify(|_| {});
                        topic.receiver_count() > 0
                    }),
                }
            }
        });
        hub
    }

    fn subscribe(&self, id: OffboardingId) -> watch::Receiver<u64> {
        let mut topics = self.topics.lock().unwrap_or_else(PoisonError::into_inner);
        topics
            .entry(id)
            .or_insert_with(|| watch::channel(0).0)
            .subscribe()
    }
}

/// A watch over one offboarding.
pub struct Watch {
    /// Where it stood when the watch began.
    pub status: Status,
    id: OffboardingId,
    store: Arc<dyn Store>,
    topic: watch::Receiver<u64>,
    /// Sequence of the newest event read from the store, or of the newest that need not be.
    after: u64,
    /// Events up to this one are not wanted. May be ahead of the log.
    unwanted: u64,
    ready: VecDeque<EventRow>,
    ended: bool,
}

impl Watch {
    /// Subscribes first, so that nothing falls between the status and the first event.
    pub(super) fn subscribe(hub: &Hub, id: OffboardingId) -> watch::Receiver<u64> {
        hub.subscribe(id)
    }

    pub(super) fn new(
        status: Status,
        store: Arc<dyn Store>,
        topic: watch::Receiver<u64>,
        after: u64,
    ) -> Self {
        let ended = status.offboarding.state.is_terminal() && after >= status.offboarding.sequence;
        let id = status.offboarding.id;
        // From an event that does not exist yet on, the end of the offboarding would be skipped unseen.
        let (after, unwanted) = (after.min(status.offboarding.sequence), after);
        Self {
            status,
            id,
            store,
            topic,
            after,
            unwanted,
            ready: VecDeque::new(),
            ended,
        }
    }

    /// Sequence of the newest event delivered or skipped.
    pub fn sequence(&self) -> u64 {
        self.after
    }

    /// The next event; `None` when the offboarding has ended and everything was delivered.
    ///
    /// Safe to drop and call again: no event is lost.
    ///
    /// # Errors
    /// The store's.
    pub async fn next(&mut self) -> Result<Option<LoggedEvent>, Error> {
        loop {
            if let Some(row) = self.ready.front() {
                let logged = read_event(row.clone())?;
                self.ready.pop_front();
                self.after = logged.event.sequence;
                self.ended = logged.state.is_terminal() && self.ready.is_empty();
                if logged.event.sequence > self.unwanted {
                    return Ok(Some(logged));
                }
                continue;
            }
            if self.ended {
                return Ok(None);
            }
            self.topic.borrow_and_update();
            self.ready = self.store.events(self.id, self.after, BATCH).await?.into();
            if self.ready.is_empty() {
                // Either an announcement or the clock; both lead to another look.
                let _ = tokio::time::timeout(POLL, self.topic.changed()).await;
            }
        }
    }
}
